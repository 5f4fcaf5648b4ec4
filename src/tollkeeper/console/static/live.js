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
  const AGAIN_MS = 5000;
  const MOST_REFUSALS = 6;
  let closing;
  let refusals = 0;

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
    if (stream !== null) return;
    stream = new EventSource("/console/live");
    stream.addEventListener("open", () => { refusals = 0; });
    stream.addEventListener("error", tryAgain);
    for (const name of NAMES) stream.addEventListener(name, hear);
  }

  // What breaks off is asked for again by the browser; what was refused, by us: a proxy says so
  // while the server starts anew. A session that is over is not asked for without end.
  function tryAgain() {
    if (stream?.readyState !== EventSource.CLOSED) return;
    stream = null;
    if (refusals < MOST_REFUSALS) closing = setTimeout(open, AGAIN_MS * 2 ** refusals);
    refusals += 1;
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
