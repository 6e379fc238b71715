/* Ringwork consent tag. Before ringwork.js:
     <script src="https://ADS/ringwork-consent.js" data-ringwork-publisher="ID"></script>
   Asks in <div data-ringwork-ask> when it is right to ask, shows what holds in
   <div data-ringwork-mine>, and tells ad requests and __tcfapi/__gpp what was chosen. When the
   choice changes, the window gets the event "ringwork-choice". It sets no cookie. Until somebody chooses it keeps nothing on the device; then the choice itself
   (a refusal must be remembered not to be asked for again), and a random number only with consent. */
(() => {
  "use strict";
  const script = document.currentScript;
  const server = new URL(script.src).origin;
  const given = script.dataset;
  const cmp = globalThis.ringworkCmp ?? {};
  const KEY = "ringwork-choice";
  const SIGNALS_WITHIN_MS = 500;
  const frames = new Map(); // iframe -> the page below /choice/ that it shows

  // ---- what is kept on the device --------------------------------------------------------------
  const kept = (() => {
    try {
      return JSON.parse(localStorage.getItem(KEY)) ?? {};
    } catch {
      return {}; // storage is refused, or holds another's value
    }
  })();
  // Of whom the page names the server knows: on a device that others use too, nothing is kept.
  const isNamed = Boolean(given.ringworkLink || given.ringworkPerson);
  const isKept = !isNamed && kept.choice && (kept.until_ms < 0 || Date.now() < kept.until_ms);
  const keep = (value) => {
    try {
      if (value?.choice !== "personalised") sessionStorage.removeItem("ringwork-visit");
      if (isNamed) return;
      if (value) localStorage.setItem(KEY, JSON.stringify(value));
      else localStorage.removeItem(KEY);
    } catch {} // then it is asked again next time
  };

  const drawn = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const text = btoa(String.fromCharCode(...bytes));
    return "r." + text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  };
  const person = given.ringworkPerson || (isKept && kept.person) || drawn();
  const who = given.ringworkLink ? { link: given.ringworkLink } : { person };

  let stands = { choice: isKept ? kept.choice : "undecided", ask: !isKept, until_ms: 0 };
  if (isKept) Object.assign(stands, { until_ms: kept.until_ms, signals: kept.signals });

  const learn = (news) => {
    const isNew = news.choice !== stands.choice;
    stands = news;
    if (news.choice === "undecided") keep(null);
    else {
      const { choice, until_ms, signals } = news;
      keep({ choice, until_ms, signals, ...(choice === "personalised" && { person }) });
    }
    tell();
    if (isNew) dispatchEvent(new Event("ringwork-choice"));
    return isNew;
  };

  // ---- frames ----------------------------------------------------------------------------------
  const address = (page) => {
    const members = {
      publisher: given.ringworkPublisher,
      ...who,
      origin: location.origin,
      locale: given.ringworkLocale ?? document.documentElement.lang,
      site: given.ringworkSite,
      region: given.ringworkRegion,
      channel: given.ringworkChannel,
      subscribe_to: given.ringworkSubscribe && new URL(given.ringworkSubscribe, location.href).href,
      ink: given.ringworkInk,
      paper: given.ringworkPaper,
      kept: stands.choice === "less" && !isNamed && !kept.person ? "less" : undefined,
    };
    const query = new URLSearchParams(Object.entries(members).filter(([, value]) => value));
    return `${server}/choice/${page}?${query}`;
  };
  const show = (place, page) => {
    const frame = document.createElement("iframe");
    frame.title = given.ringworkTitle ?? "Ads";
    frame.style.cssText = "border:0;display:block;width:100%;height:20rem";
    frame.src = address(page);
    frames.set(frame, page);
    place.replaceChildren(frame);
  };
  addEventListener("message", (event) => {
    if (event.origin !== server) return;
    const source = [...frames.keys()].find((one) => one.contentWindow === event.source);
    const said = source && event.data && event.data.ringwork;
    if (!said) return;
    if (said.height > 0) source.style.height = `${Math.ceil(said.height)}px`;
    if (said.title) source.title = said.title;
    if (said.stands && learn(said.stands)) {
      for (const [frame, page] of frames) if (frame !== source) frame.src = address(page);
    }
  });

  // ---- __tcfapi and __gpp ----------------------------------------------------------------------
  let tellApis = null;
  const isAsking = () => [...frames.values()].includes("embed") && stands.choice === "undecided";
  const tell = () => tellApis && tellApis(stands.signals, isAsking());

  // The part of __gpp that no library brings: a queue until it is there, and calls from frames.
  const queueGpp = () => {
    const queue = [];
    window.__gpp = (...call) => {
      if (!call.length) return queue;
      const [command, callback] = call;
      if (command !== "ping") return void queue.push(call);
      const none = { sectionList: [], applicableSections: [], gppString: "", parsedSections: {} };
      const status = { cmpStatus: "stub", cmpDisplayStatus: "hidden", signalStatus: "not ready" };
      callback({ gppVersion: "1.1", supportedAPIs: [], cmpId: cmp.id, ...status, ...none }, true);
    };
    const locate = () => {
      if (window.frames.__gppLocator) return;
      if (!document.body) return void setTimeout(locate, 5);
      const frame = document.createElement("iframe");
      frame.style.display = "none";
      frame.name = "__gppLocator";
      document.body.append(frame);
    };
    locate();
    addEventListener("message", ({ data, source }) => {
      const isText = typeof data === "string";
      let call = null;
      try {
        call = (isText ? JSON.parse(data) : data).__gppCall;
      } catch {} // somebody else's message
      if (!call) return;
      const answer = (returnValue, success) => {
        const sent = { __gppReturn: { returnValue, success, callId: call.callId } };
        source.postMessage(isText ? JSON.stringify(sent) : sent, "*");
      };
      window.__gpp(call.command, answer, call.parameter, call.version ?? "1.1");
    });
  };
  const answerApis = () => {
    if (!window.__gpp) queueGpp();
    const library = document.createElement("script");
    library.src = `${server}/choice/iab.js`;
    library.onload = () => {
      tellApis = globalThis.ringworkIab(cmp);
      tell();
    };
    document.head.append(library);
  };

  // ---- what ad requests say --------------------------------------------------------------------
  const within = (promise, otherwise) =>
    Promise.race([
      promise,
      new Promise((resolve) => setTimeout(resolve, SIGNALS_WITHIN_MS, otherwise)),
    ]);
  const ofOther = () =>
    Promise.all([
      within(new Promise((resolve) => {
        if (typeof window.__tcfapi !== "function") return void resolve({});
        window.__tcfapi("addEventListener", 2, (data, isGiven) => {
          if (!isGiven || data.eventStatus === "cmpuishown") return;
          const gdpr = data.gdprApplies === undefined ? {} : { gdpr: Number(data.gdprApplies) };
          resolve({ ...gdpr, ...(data.tcString && { tc: data.tcString }) });
        });
      }), {}),
      within(new Promise((resolve) => {
        if (typeof window.__gpp !== "function") return void resolve({});
        window.__gpp("ping", (data) => {
          const isReady = data && data.signalStatus === "ready" && data.gppString;
          resolve(isReady ? { gpp: data.gppString, gpp_sid: data.applicableSections } : {});
        });
      }), {}),
    ]).then((found) => Object.assign({}, ...found));

  // ---- begin -----------------------------------------------------------------------------------
  const asked = async () => {
    if (isNamed || kept.person) {
      try {
        const answer = await fetch(address("state"), { credentials: "omit" });
        if (answer.ok) learn(await answer.json());
      } catch {} // a server that is down must not break the page
    }
    return stands;
  };
  const placed = () => {
    if (stands.ask) {
      let place = document.querySelector("[data-ringwork-ask]");
      if (!place) document.body.append((place = document.createElement("div")));
      show(place, "embed"); // it turns into one's own page when one has chosen
    } else {
      const places = document.querySelectorAll("[data-ringwork-mine]");
      for (const place of places) show(place, "mine-embed");
    }
    tell();
  };
  const isOther = Boolean(cmp.other);
  const ready = asked();
  globalThis.ringworkConsent = {
    ready, // resolves when it is known where the person stands
    get choice() {
      return stands.choice;
    },
    said: async () => {
      await within(ready, null);
      const signals = isOther ? await ofOther() : stands.signals;
      const mayStore = stands.choice === "personalised"; // TCF purpose 1
      // Data minimisation (GDPR 5(1)(c)): who refused or has not chosen is named to nobody, as no
      // answer would depend on it. To name a subscriber keeps ads away.
      const isNeeded = mayStore || stands.choice === "subscribe";
      return { mayStore, signals, ...(isNeeded && who) };
    },
  };
  if (cmp.id && !isOther) answerApis();
  const begin = () => ready.then(placed);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
