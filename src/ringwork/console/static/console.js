// Live values: an event stream replaces texts in place, new rows wait behind a count. Nothing else needs
// a script. Each message is {"texts": {name: text}, "seq": number}; nodes name themselves by data-live.
"use strict";
(() => {
  let stream = null;

  const show = (root, texts) => {
    for (const node of root.querySelectorAll("[data-live]")) {
      const text = texts[node.dataset.live];
      if (text !== undefined && node.textContent !== text) node.textContent = text;
    }
  };

  const state = (live) => {
    const node = document.querySelector("[data-state]");
    if (node === null) return;
    node.classList.toggle("live", live);
    node.classList.toggle("stale", !live);
    node.querySelector("[data-state-word]").textContent = live ? "live, " : "stopped at ";
  };

  const newer = (seq) => {
    const link = document.querySelector("[data-seq]");
    if (link === null) return;
    const count = seq - Number(link.dataset.seq);
    link.hidden = count <= 0;
    link.textContent = `${count.toLocaleString("en")} newer ${count === 1 ? "event" : "events"}`;
  };

  const connect = () => {
    if (stream !== null) stream.close();
    stream = null;
    const address = document.getElementById("main")?.dataset.stream;
    if (!address || document.hidden) return;
    stream = new EventSource(address);
    stream.onmessage = (message) => {
      const { texts, seq } = JSON.parse(message.data);
      show(document, texts);
      state(true);
      if (seq !== undefined) newer(seq);
    };
    stream.onerror = () => state(false);
  };

  document.addEventListener("DOMContentLoaded", connect);
  document.addEventListener("visibilitychange", connect);
  document.addEventListener("htmx:after:settle", connect);
})();
