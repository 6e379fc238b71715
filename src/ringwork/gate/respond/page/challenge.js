
"use strict";
(() => {
  // Shown until a script runs: <noscript> says nothing where scripts are blocked one by one.
  document.getElementById("off").hidden = true;
  const main = document.querySelector("main");
  const [status, work, progress, more, again] =
    ["status", "work", "progress", "more", "again"].map((id) => document.getElementById(id));
  const challenge = JSON.parse(main.dataset.challenge);
  const AGAIN_WITHIN_MS = 60000; // solved so lately and asked again: the cookie was not kept

  // Altcha v2, PBKDF2/SHA-256: a counter behind the nonce, whose key begins with the prefix.
  const solver = async ({ data }) => {
    const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (two) => parseInt(two, 16));
    const nonce = bytes(data.nonce), salt = bytes(data.salt);
    const AT_ONCE = 16;
    const derived = async (counter) => {
      const password = new Uint8Array(nonce.length + 4);
      password.set(nonce);
      new DataView(password.buffer).setUint32(nonce.length, counter);
      const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
      const how = { name: "PBKDF2", hash: "SHA-256", salt, iterations: data.cost };
      const bits = await crypto.subtle.deriveBits(how, key, data.keyLength * 8);
      return Array.from(new Uint8Array(bits), (one) => one.toString(16).padStart(2, "0")).join("");
    };
    for (let first = 0; first < 2 ** 32; first += AT_ONCE) {
      const keys = await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => derived(first + n)));
      const at = keys.findIndex((key) => key.startsWith(data.keyPrefix));
      if (at >= 0) return postMessage({ counter: first + at, derivedKey: keys[at] });
      postMessage({ tried: first + AT_ONCE });
    }
  };

  const stop = (text, label, act) => {
    work.hidden = true;
    status.textContent = text;
    if (!label) return;
    again.textContent = label;
    again.onclick = act;
    more.hidden = false;
    again.focus();
  };
  const failed = (text) => stop(text, "Try again", () => { remembered("0"); location.reload(); });
  const remembered = (value) => {
    try {
      const before = Number(sessionStorage.getItem("gate-solved"));
      if (value) sessionStorage.setItem("gate-solved", value);
      return before;
    } catch {
      return 0; // storage is blocked; so are cookies, then, which is said before
    }
  };

  const send = async (solution) => {
    const payload = btoa(JSON.stringify({ challenge, solution }));
    const answer = await fetch(main.dataset.solve, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ payload }),
    });
    if (answer.status === 429) return failed("There were too many tries. Wait a minute, then try again.");
    if (!answer.ok) return failed("The answer was not accepted: it may have come too late.");
    remembered(String(Date.now()));
    if (main.dataset.method !== "GET") {
      return stop("Done. What you sent was not kept: go back and send it again.", "Go back", () => history.back());
    }
    stop("Done. The page opens now.");
    location.reload();
  };

  const start = () => {
    if (!isSecureContext || !globalThis.crypto?.subtle || !globalThis.Worker) {
      return stop("Your browser cannot do this here: it needs a current browser and an address that begins with https.");
    }
    if (!navigator.cookieEnabled || Date.now() - remembered() < AGAIN_WITHIN_MS) {
      return failed("Your browser did not keep the cookie that says you have passed. Allow cookies for this site, then try again.");
    }
    status.textContent = "Working…";
    work.hidden = false;
    const { parameters } = challenge;
    const miss = 1 - 16 ** -parameters.keyPrefix.length;
    const url = URL.createObjectURL(new Blob([`onmessage = ${solver}`], { type: "text/javascript" }));
    const worker = new Worker(url);
    const began = performance.now();
    worker.onerror = () => failed("The computation was stopped, perhaps by an extension of your browser.");
    worker.onmessage = ({ data }) => {
      if (data.tried) {
        progress.value = 100 * (1 - miss ** data.tried);
        return;
      }
      worker.terminate();
      progress.value = 100;
      send({ ...data, time: Math.round(performance.now() - began) })
        .catch(() => failed("The answer could not be sent. Is your connection up?"));
    };
    worker.postMessage(parameters);
  };
  start();
})();
