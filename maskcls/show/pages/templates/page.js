"use strict";
// The button that chooses the colours; the choice is kept where the browser allows it.
(() => {
  const names = { "": "as the system", light: "light", dark: "dark" }, order = ["", "light", "dark"];
  const button = document.getElementById("scheme"), root = document.documentElement;
  const kept = () => { try { return localStorage.getItem("maskcls-scheme") || ""; } catch { return ""; } };
  const apply = (scheme) => {
    if (scheme) root.dataset.scheme = scheme; else delete root.dataset.scheme;
    button.textContent = `Colours: ${names[scheme]}`;
  };
  let scheme = order.includes(kept()) ? kept() : "";
  button.hidden = false;
  apply(scheme);
  button.addEventListener("click", () => {
    scheme = order[(order.indexOf(scheme) + 1) % order.length];
    try { localStorage.setItem("maskcls-scheme", scheme); } catch { /* not kept */ }
    apply(scheme);
  });
})();
