/* Ringwork tag: fills <div data-ringwork-placement="ID"> with the ads of that placement.
   It sets no cookie, reads nothing about the person, and talks to one origin only. It keeps nothing
   either, unless the page says data-ringwork-visit="session": then a random key, for 90 minutes.
   Where the consent tag is on the page, that needs consent, and requests say what was chosen, and
   by whom where it matters; when the choice changes, all places are filled again. */
(() => {
  "use strict";
  const script = document.currentScript;
  const { origin } = new URL(script.src);
  const { ringworkVisit, ringworkClick } = script.dataset;
  const VISIT_MS = 90 * 60_000;
  const SEEN_MS = 1000; // MRC: half of an ad's pixels for one second on end,
  const LARGE_PX = 242_500; // and 30 % of them where it has so many.

  let visit;
  const visitKey = (mayStore) => {
    const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
    if (ringworkVisit !== "session" || !mayStore) return key; // good for this page alone
    try {
      const kept = JSON.parse(sessionStorage.getItem("ringwork-visit"));
      if (kept && Date.now() - kept.since < VISIT_MS) return kept.key;
      sessionStorage.setItem("ringwork-visit", JSON.stringify({ key, since: Date.now() }));
    } catch {} // storage is refused: the page view is the visit
    return key;
  };

  // Without cookies, which a picture would send; it outlives a page that is left at once.
  const report = (url) =>
    fetch(url, { mode: "no-cors", credentials: "omit", keepalive: true }).catch(() => {});

  // The page's own ad server counts clicks first: its URL takes ours, encoded, at its end.
  const clicked = (ad) => {
    if (!ringworkClick || !ad.click) return ad.markup;
    const encoded = encodeURIComponent(ad.click);
    const through = new URL(ringworkClick, location.href).href.replaceAll("'", "%27") + encoded;
    return ad.markup
      .replaceAll(encoded, () => encodeURIComponent(through))
      .replaceAll(ad.click, () => through);
  };

  const frame = (ad) => {
    const iframe = document.createElement("iframe");
    // An origin of its own: what runs in it cannot reach this page.
    iframe.sandbox = "allow-popups allow-popups-to-escape-sandbox";
    if (ad.scripts) iframe.sandbox.add("allow-scripts");
    iframe.title = "Ad by " + ad.advertiser;
    iframe.style.cssText = "border:0;display:block";
    iframe.width = ad.width || "100%";
    iframe.height = ad.height || 160;
    iframe.srcdoc = "<!doctype html><style>body{margin:0}</style>" + clicked(ad);
    return iframe;
  };

  const watch = (iframe, url) => {
    let inView = false;
    let timer = 0;
    const check = () => {
      clearTimeout(timer);
      if (inView && !document.hidden) timer = setTimeout(done, SEEN_MS);
    };
    const look = (entries) => {
      const large = iframe.offsetWidth * iframe.offsetHeight >= LARGE_PX;
      const now = entries.pop().intersectionRatio >= (large ? 0.3 : 0.5);
      if (now === inView) return; // the second runs on
      inView = now;
      check();
    };
    const observer = new IntersectionObserver(look, { threshold: [0.3, 0.5] });
    const done = () => {
      observer.disconnect();
      document.removeEventListener("visibilitychange", check);
      report(url);
    };
    document.addEventListener("visibilitychange", check);
    observer.observe(iframe);
  };

  const show = (ad) => {
    const iframe = frame(ad);
    const begun = () => {
      report(ad.beacons.impression);
      if (ad.beacons.viewable) watch(iframe, ad.beacons.viewable);
    };
    // It is there, and a tab that is looked at draws it.
    iframe.addEventListener("load", () => requestAnimationFrame(begun), { once: true });
    const line = document.createElement("small");
    const why = document.createElement("a");
    why.textContent = "Why this ad?";
    why.title = ad.why;
    why.href = `${origin}/why/${ad.impression_id}`;
    why.target = "_blank";
    why.rel = "noreferrer"; // and with it noopener
    line.append(`${iframe.title}. `, why);
    return [iframe, line];
  };

  const keyValues = (place) => {
    const found = {};
    for (const { name, value } of place.attributes) {
      const key = name.startsWith("data-ringwork-kv-") && name.slice(17);
      const values = value.split(/\s*,\s*/).filter(Boolean);
      if (key && values.length) found[key] = values;
    }
    return found;
  };

  let turn = 0; // of the person's choice, which may change while the page is open
  const fill = async (place) => {
    const asked = turn;
    place.dataset.ringworkState = "asked";
    let ads = [], tier = "", passback; // an ad server that is down must not break the page
    try {
      const { mayStore = true, ...said } = (await window.ringworkConsent?.said()) ?? {};
      if (asked < turn) return;
      visit ??= visitKey(mayStore);
      const reply = await fetch(origin + "/v1/ads/request", {
        method: "POST",
        credentials: "omit",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          placement: place.dataset.ringworkPlacement,
          page: { url: location.origin + location.pathname },
          key_values: keyValues(place),
          visit,
          ...said, // signals; person or link where the answer depends on it
        }),
      });
      if (reply.ok) ({ ads, tier = "", passback } = await reply.json());
    } catch {}
    if (asked < turn) return; // what an earlier choice brings is not shown
    const shown = ads.filter((ad) => ad.markup).flatMap(show);
    const state = shown[0] ? "shown" : passback ? "passback" : "empty";
    if (state === "passback") place.innerHTML = passback; // sandboxed, with scripts and no origin
    else if (shown[0] || turn) place.replaceChildren(...shown);
    place.dataset.ringworkTier = tier;
    place.dataset.ringworkState = state;
  };
  const fillAll = (places) => document.querySelectorAll(places).forEach(fill);

  const start = () => fillAll("[data-ringwork-placement]:not([data-ringwork-state])");
  const begin = () => {
    // A page that is fetched ahead is shown to nobody yet.
    if (document.prerendering) document.addEventListener("prerenderingchange", start);
    else start();
  };
  addEventListener("ringwork-choice", () => {
    turn += 1;
    visit = null; // two visits, which nobody can put together
    fillAll("[data-ringwork-state]");
  });
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
