// The chat as it is written: sends the form's fields, shows what streams in, stops it, says what it
// cost. All words come from the page; without this script the form does the same in one piece.
"use strict";
{
  const form = document.querySelector("[data-playground]");
  const at = (name) => form.querySelector(`[data-${name}]`);
  const HERE = "/console/playground";
  const ESTIMATE_MS = 500;
  const COUNTED_MS = 700;
  const COUNTED_TRIES = 90;
  const KEPT = ["text", "model", "project", "system", "longest"];
  // In this tab alone, and for this session alone: so that who goes to buy credit comes back to it.
  const place = `playground-${form?.dataset.playground}`;
  let talk = [];
  let stopping = null;

  function fields() {
    const sent = new URLSearchParams(new FormData(form));
    sent.set("talk", JSON.stringify(talk));
    return sent;
  }

  function keep() {
    const known = Object.fromEntries(KEPT.map((name) => [name, form.elements[name].value]));
    try {
      sessionStorage.setItem(place, JSON.stringify({ ...known, talk }));
    } catch {
      // A browser that keeps nothing, or a talk too long for it: the page still works.
    }
  }

  function newId() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    form.elements.send_id.value = [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("");
  }

  function put(said) {
    const copy = at(said.role).content.cloneNode(true);
    const item = copy.querySelector(".said");
    item.querySelector(".words").textContent = said.content;
    at("talk").append(item);
    at("empty").hidden = true;
    return item;
  }

  function show(name) {
    return at(name).content.cloneNode(true);
  }

  async function showCost(item, call) {
    const cost = item.querySelector("[data-cost]");
    cost.replaceChildren(show("counting"));
    // Of an answer that was stopped, what was written is known a little later.
    for (let tries = 0; tries < COUNTED_TRIES; tries += 1) {
      const answer = await fetch(`${HERE}/cost/${call}`);
      if (answer.status === 200) {
        cost.innerHTML = await answer.text();
        return;
      }
      if (answer.status !== 204) break;
      await new Promise((done) => setTimeout(done, COUNTED_MS));
    }
    cost.replaceChildren(show("broken"));
  }

  // Server-sent events, of which a piece may end anywhere.
  async function* events(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith("data: ") && line !== "data: [DONE]") yield JSON.parse(line.slice(6));
      }
    }
  }

  async function write(item, answer) {
    const words = item.querySelector(".words");
    for await (const event of events(answer.body)) {
      const piece = event.choices?.[0]?.delta?.content;
      if (piece) {
        const down = innerHeight + scrollY >= document.body.scrollHeight - 80;
        words.append(piece);
        if (down) scrollTo(0, document.body.scrollHeight);
      }
      if (event.error) {
        const said = show("broken").firstElementChild;
        said.textContent = event.error.message;
        item.append(said);
      }
    }
  }

  function setBusy(busy) {
    at("send").disabled = busy;
    at("clear").disabled = busy;
    at("stop").hidden = !busy;
  }

  async function send() {
    if (stopping !== null || !form.reportValidity()) return;
    stopping = new AbortController();
    setBusy(true);
    at("refused").replaceChildren();
    const sent = fields();
    const asked = { role: "user", content: form.elements.text.value.trim() };
    const question = put(asked);
    const item = put({ role: "assistant", content: "" });
    item.classList.add("writing");
    let call = null;
    try {
      const answer = await fetch(`${HERE}/answer`, {
        method: "POST", body: sent, signal: stopping.signal,
      });
      if (answer.status === 401) location.reload(); // The session is over.
      call = answer.ok ? answer.headers.get("x-tollkeeper-usage") : null;
      if (call === null) {
        at("refused").innerHTML = await answer.text();
        question.remove();
        item.remove();
      } else {
        form.elements.text.value = "";
        await write(item, answer);
      }
    } catch (error) {
      if (call === null) {
        question.remove();
        item.remove();
      } else if (error.name !== "AbortError") item.append(show("broken"));
      if (call === null) at("refused").append(show(error.name === "AbortError" ? "stopped" : "broken"));
    }
    item.classList.remove("writing");
    if (call !== null) talk.push(asked, { role: "assistant", content: item.querySelector(".words").textContent, call });
    at("empty").hidden = at("talk").children.length > 0;
    newId();
    keep();
    estimate();
    stopping = null;
    setBusy(false);
    form.elements.text.focus();
    if (call !== null) await showCost(item, call);
  }

  const nothing = form === null ? "" : at("estimate").textContent.trim();
  let waiting;
  let asked = 0;
  function estimate() {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      keep();
      const mine = (asked += 1);
      if (!form.elements.text.value.trim()) {
        at("estimate").replaceChildren(nothing);
        return;
      }
      const answer = await fetch(`${HERE}/estimate`, { method: "POST", body: fields() });
      if (answer.ok && mine === asked) at("estimate").innerHTML = await answer.text();
    }, ESTIMATE_MS);
  }

  function clear() {
    talk = [];
    at("talk").replaceChildren();
    at("refused").replaceChildren();
    at("empty").hidden = false;
    form.elements.text.value = "";
    keep();
    estimate();
    form.elements.text.focus();
  }

  function restore() {
    let known = null;
    try {
      known = JSON.parse(sessionStorage.getItem(place));
    } catch {
      return;
    }
    if (known === null || form.elements.talk.value !== "") return;
    for (const name of KEPT) {
      const before = form.elements[name].value;
      form.elements[name].value = known[name];
      // A model or project that is gone.
      if (form.elements[name].value !== known[name]) form.elements[name].value = before;
    }
    talk = known.talk;
    for (const said of talk) {
      const item = put(said);
      if (said.call) showCost(item, said.call);
    }
  }

  if (form !== null) {
    talk = JSON.parse(form.elements.talk.value || "[]");
    at("plain").hidden = true;
    restore();
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (event.submitter?.value === "clear") clear();
      else send();
    });
    at("stop").addEventListener("click", () => stopping?.abort());
    form.addEventListener("input", estimate);
    form.elements.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        send();
      }
    });
    estimate();
  }
}
