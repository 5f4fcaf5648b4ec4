// What changes on the server is told to the page, as events of document.body: live:balance,
// live:usage, live:top_up, live:purchase. Parts of a page fetch themselves anew by htmx:
// hx-trigger="live:usage from:body". One stream for each page that is looked at.
"use strict";
{
  const NAMES = ["balance", "usage", "top_up", "purchase"];
  const HIDDEN_MS = 15000;
  // How things stood when the page was written: what has the same mark is no news.
  const marks = Object.fromEntries(new URLSearchParams(document.body.dataset.live ?? ""));
  let stream = null;
  let closing;

  function showBalance(told) {
    for (const place of document.querySelectorAll("[data-live-balance]")) {
      const money = place.querySelector(".money");
      money.textContent = told.shown;
      money.title = `${told.available} ${told.currency}`;
      const badge = place.querySelector(".badge");
      badge.textContent = told.said;
      badge.className = `badge ${told.badge}`;
      badge.hidden = told.state === "healthy";
    }
  }

  function hear(event) {
    const told = JSON.parse(event.data);
    if (marks[event.type] === told.mark) return;
    marks[event.type] = told.mark;
    if (event.type === "balance") showBalance(told);
    document.body.dispatchEvent(new CustomEvent(`live:${event.type}`, { detail: told }));
  }

  function open() {
    clearTimeout(closing);
    // A stream that was refused, because the session is over, stays closed.
    if (stream !== null) return;
    stream = new EventSource("/console/live");
    for (const name of NAMES) stream.addEventListener(name, hear);
  }

  function close() {
    clearTimeout(closing);
    stream?.close();
    stream = null;
  }

  if (document.body.dataset.live !== undefined) {
    // Browsers have six connections to a host: a page that nobody sees needs none of them.
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) closing = setTimeout(close, HIDDEN_MS);
      else open();
    });
    window.addEventListener("pagehide", close);
    window.addEventListener("pageshow", (event) => { if (event.persisted) open(); });
    if (!document.hidden) open();
  }
}
