// What pages do beyond links and forms. Without this script everything still works.
"use strict";

// Times come in UTC, and are shown in the reader's zone in the same form (see rendering.py).
const FORMS = {
  day: { year: "numeric", month: "short", day: "numeric" },
  moment: {
    month: "short", day: "numeric",
    hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
  },
  clock: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
};
const language = document.documentElement.lang;
const writers = Object.fromEntries(
  Object.entries(FORMS).map(([name, form]) => [name, new Intl.DateTimeFormat(language, form)]),
);

function showTimes() {
  for (const time of document.querySelectorAll("time[data-form]")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) time.textContent = writers[time.dataset.form].format(moment);
    delete time.dataset.form;
  }
  for (const foot of document.querySelectorAll("[data-zone]")) {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (zone !== "UTC") foot.textContent = foot.dataset.zone.replace("{zone}", zone.replaceAll("_", " "));
    foot.removeAttribute("data-zone");
  }
}

// <button data-copy="text" data-copied="Copied">: for a while the button says what it has done.
async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    copyWithoutPermission(button.dataset.copy); // Pages of plain http have no clipboard.
  }
  if (button.dataset.before !== undefined) return;
  button.dataset.before = button.textContent;
  button.style.minWidth = `${button.offsetWidth}px`;
  button.textContent = button.dataset.copied;
  setTimeout(() => {
    button.textContent = button.dataset.before;
    delete button.dataset.before;
  }, 2000);
}

function copyWithoutPermission(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  const had = document.activeElement;
  area.select();
  document.execCommand("copy");
  area.remove();
  had?.focus();
}

// <p class="toast" data-leaves>: goes by itself, but not while it is being read.
const TOAST_STAYS = 7000;

function keepToast(toast) {
  delete toast.dataset.leaves;
  let timer;
  const leave = () => toast.remove();
  const wait = () => { timer = setTimeout(leave, TOAST_STAYS); };
  const stay = () => clearTimeout(timer);
  for (const begin of ["pointerenter", "focusin"]) toast.addEventListener(begin, stay);
  for (const end of ["pointerleave", "focusout"]) toast.addEventListener(end, wait);
  wait();
}

// <button commandfor="id" command="show-modal"> opens <dialog id>, command="close" closes it: what
// newer browsers do by themselves.
function command(button) {
  const dialog = document.getElementById(button.getAttribute("commandfor"));
  const word = button.getAttribute("command");
  if (word === "show-modal" && !dialog.open) dialog.showModal();
  if (word === "close") dialog.close();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.copy !== undefined) copy(button);
  if (button?.dataset.dismiss !== undefined) button.closest(".toast, dialog")?.remove();
  if (button?.hasAttribute("commandfor") && !("command" in button)) command(button);
});

// On a phone the menu is wider than the screen: the page that is open, and what the keyboard is at,
// are wholly seen.
const open = document.querySelector(".menu [aria-current]");
if (open) open.closest(".menu").scrollLeft = open.offsetLeft - (innerWidth - open.offsetWidth) / 2;
document.addEventListener("focusin", (event) => {
  event.target.closest(".menu a")?.scrollIntoView({ block: "nearest", inline: "nearest" });
});

// <div class="scroll">: what is wider than its place is scrolled by the keyboard, too.
const scrolling = new ResizeObserver((changes) => {
  for (const { target } of changes) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});

function dress() {
  showTimes();
  for (const wide of document.querySelectorAll(".scroll")) scrolling.observe(wide);
  for (const toast of document.querySelectorAll(".toast[data-leaves]")) keepToast(toast);
}

// A page that said what was done does not say it again when it is loaded again.
const address = new URL(location);
if (address.searchParams.has("done")) {
  address.searchParams.delete("done");
  history.replaceState(history.state, "", address);
}

// A form that was refused: the keyboard is at what it says first, and a reader reads that out.
const refused = document.querySelector("main form :is([aria-invalid=true], [role=alert])");
if (refused) {
  if (refused.tabIndex < 0) refused.tabIndex = -1;
  refused.focus();
}

dress();
// What htmx or another script puts into the page later is dressed when it comes.
new MutationObserver(dress).observe(document.body, { childList: true, subtree: true });
