/* Ringwork tag: fills <div data-ringwork-placement="ID"> with an ad of that placement.
   It sets no cookie, keeps nothing, reads nothing about the person, and talks to one origin only. */
(() => {
  "use strict";
  const script = document.currentScript;
  const origin = new URL(script.src).origin;

  const frame = (ad) => {
    const iframe = document.createElement("iframe");
    // No scripts and an origin of its own: a creative cannot reach this page.
    iframe.sandbox = "allow-popups allow-popups-to-escape-sandbox";
    iframe.title = "Ad by " + ad.advertiser;
    iframe.style.border = "0";
    iframe.style.display = "block";
    iframe.width = ad.width || "100%";
    iframe.height = ad.height || 160;
    iframe.srcdoc = "<!doctype html><style>body{margin:0}</style>" + ad.markup;
    return iframe;
  };

  const seen = (ad) => {
    // Without cookies, which a picture would send; it outlives a page that is left at once.
    const beacon = { mode: "no-cors", credentials: "omit", keepalive: true };
    fetch(ad.beacons.impression, beacon).catch(() => {});
  };

  const label = (ad) => {
    const line = document.createElement("small");
    line.textContent = "Ad by " + ad.advertiser;
    line.title = ad.why;
    return line;
  };

  const show = (place, ad) => {
    if (!ad.markup) return;
    const iframe = frame(ad);
    iframe.addEventListener("load", () => seen(ad), { once: true });
    place.replaceChildren(iframe, label(ad));
    place.dataset.ringworkState = "shown";
  };

  const fill = async (place) => {
    place.dataset.ringworkState = "asked";
    try {
      const answer = await fetch(origin + "/v1/ads/request", {
        method: "POST",
        credentials: "omit",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          placement: place.dataset.ringworkPlacement,
          page: { url: location.origin + location.pathname },
        }),
      });
      const { ads } = answer.ok ? await answer.json() : { ads: [] };
      if (ads.length) show(place, ads[0]);
      else place.dataset.ringworkState = "empty";
    } catch {
      place.dataset.ringworkState = "empty"; // an ad server that is down must not break the page
    }
  };

  const fillAll = () => {
    for (const place of document.querySelectorAll("[data-ringwork-placement]")) {
      if (!place.dataset.ringworkState) fill(place);
    }
  };

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", fillAll);
  else fillAll();
})();
