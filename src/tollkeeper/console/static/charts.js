// What the pages of usage do beyond links and forms. The charts are drawn by the server, as SVG
// whose bars are links; here they get a tooltip, arrow keys, and a click that knows its group.
"use strict";

const readerZone = Intl.DateTimeFormat().resolvedOptions().timeZone;

// Days begin where the reader is. The server is told once, and from then on by a cookie.
function tellZone() {
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `tollkeeper_zone=${readerZone}; path=/console; max-age=31536000; samesite=lax${secure}`;
  if (new URLSearchParams(location.search).has("zone")) return;
  for (const field of document.querySelectorAll("input[data-reader-zone]")) {
    const shown = field.value;
    field.value = readerZone;
    if (field.dataset.readerZone !== "draws" || shown === readerZone) continue;
    const address = new URL(location);
    address.searchParams.set("zone", readerZone);
    location.replace(address);
  }
}

function line(tooltip, key, name, amount) {
  const row = document.createElement("div");
  const mark = document.createElement("span");
  mark.className = key === null ? "key" : `key s${key}`;
  const label = document.createElement("span");
  label.textContent = name;
  const figure = document.createElement("span");
  figure.className = "figure";
  figure.textContent = amount;
  row.append(mark, label, figure);
  tooltip.append(row);
}

function describe(chart, bar, tooltip) {
  tooltip.replaceChildren();
  const title = document.createElement("strong");
  title.textContent = bar.dataset.label;
  tooltip.append(title);
  for (const part of [...bar.querySelectorAll("[data-amount]")].reverse()) {
    const name = chart.querySelector(`[data-series="${part.dataset.key}"]`)?.dataset.name ?? "";
    line(tooltip, part.dataset.key, name, part.dataset.amount);
  }
  line(tooltip, null, chart.dataset.total, bar.dataset.total);
  if (bar.dataset.before) line(tooltip, null, chart.dataset.before, bar.dataset.before);
}

function place(chart, bar, tooltip) {
  const frame = chart.getBoundingClientRect();
  const box = bar.getBoundingClientRect();
  const middle = box.left + box.width / 2 - frame.left;
  const left = middle + 12 + tooltip.offsetWidth > frame.width ? middle - 12 - tooltip.offsetWidth : middle + 12;
  tooltip.style.left = `${Math.max(0, left)}px`;
}

// A bar is a link to its calls; where one of its parts is clicked, to those of that group.
function follow(chart, event) {
  const key = event.target.closest("[data-key]")?.dataset.key;
  const bar = event.target.closest("a.bar");
  const query = chart.querySelector(`[data-series="${key}"]`)?.dataset.query;
  if (!query || !bar || event.defaultPrevented) return;
  const address = new URL(bar.getAttribute("href"), location);
  for (const [name, value] of new URLSearchParams(query)) address.searchParams.set(name, value);
  bar.setAttribute("href", address.pathname + address.search);
}

function enliven(chart) {
  const bars = [...chart.querySelectorAll("a.bar")];
  const tooltip = document.createElement("div");
  tooltip.className = "tooltip";
  tooltip.hidden = true;
  tooltip.setAttribute("aria-hidden", "true"); // Each bar's name says the same.
  chart.append(tooltip);
  const hide = () => { tooltip.hidden = true; };
  bars.forEach((bar, number) => {
    const home = bar.getAttribute("href");
    const native = bar.querySelector("title");
    bar.setAttribute("aria-label", native.textContent);
    native.remove();
    bar.setAttribute("tabindex", number === bars.length - 1 ? "0" : "-1");
    const show = () => {
      describe(chart, bar, tooltip);
      tooltip.hidden = false;
      place(chart, bar, tooltip);
    };
    bar.addEventListener("pointerenter", show);
    bar.addEventListener("pointerleave", hide);
    bar.addEventListener("focus", show);
    bar.addEventListener("blur", hide);
    bar.addEventListener("click", (event) => {
      bar.setAttribute("href", home);
      follow(chart, event);
    });
  });
  chart.addEventListener("keydown", (event) => {
    const at = bars.indexOf(document.activeElement);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: bars.length - 1 }[event.key];
    if (event.key === "Escape") hide();
    if (at < 0 || to === undefined || !bars[to]) return;
    event.preventDefault();
    bars[at].setAttribute("tabindex", "-1");
    bars[to].setAttribute("tabindex", "0");
    bars[to].focus();
  });
}

tellZone();
document.querySelectorAll("[data-chart]").forEach(enliven);
