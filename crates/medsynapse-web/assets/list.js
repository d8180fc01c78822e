// The message list: new messages by themselves, and the keyboard.
import "./rows.js";
import { onKey } from "./keys.js";

const list = document.getElementById("list");
const live = document.getElementById("live");
const state = document.getElementById("live-state");
const pause = document.getElementById("pause");

/** At most one look at the server in this time, however many messages come in. */
const PAUSE_MS = 700;

let paused = false;
/** The message that another one is to be compared with. */
let picked = "";
let waiting = 0;
let looking = false;
let again = false;
let source = null;

const firstPage = () => list.dataset.firstPage === "true";

function show() {
  live.classList.toggle("paused", paused);
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Resume" : "Pause";
  const news = waiting > 0 ? `${waiting.toLocaleString("en")} new` : "";
  if (paused) state.textContent = news || "Paused";
  else if (!firstPage()) state.textContent = news || "Live";
  else state.textContent = source && source.readyState === EventSource.OPEN ? "Live" : "Connecting…";
  if (picked) state.textContent = `Comparing message ${picked}: choose another, press c`;
}

/** Takes the list from the server again and puts it in place, focus and all. */
async function look() {
  if (looking) { again = true; return; }
  looking = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.ok && !paused) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("list");
      if (fresh) replace(fresh);
    }
  } catch { /* the event stream tells when the server is back */ }
  await new Promise((done) => setTimeout(done, PAUSE_MS));
  looking = false;
  if (again) { again = false; look(); }
}

function replace(fresh) {
  const last = Number(list.dataset.last);
  const focused = document.activeElement?.closest("tr[data-id]")?.dataset.id;
  for (const row of fresh.querySelectorAll("tr[data-id]")) {
    if (last > 0 && Number(row.dataset.id) > last) row.classList.add("fresh");
  }
  list.dataset.last = fresh.dataset.last;
  list.replaceChildren(...fresh.childNodes);
  if (focused) list.querySelector(`tr[data-id="${CSS.escape(focused)}"] a`)?.focus();
  waiting = 0;
  mark();
  show();
}

function listen() {
  source = new EventSource("/events");
  source.addEventListener("ready", () => { show(); if (firstPage() && !paused) look(); });
  source.addEventListener("messages", (event) => {
    waiting += JSON.parse(event.data).count;
    show();
    if (!paused && firstPage()) look();
  });
  source.addEventListener("lagged", () => { if (!paused && firstPage()) look(); });
  source.addEventListener("error", show);
}

function setPaused(next) {
  paused = next;
  show();
  if (!paused) {
    if (firstPage()) look();
    else if (waiting > 0) location.assign("/");
  }
}

live.hidden = false;
pause.addEventListener("click", () => setPaused(!paused));
listen();
// A page that nobody sees does not hold a connection.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { source?.close(); source = null; } else if (!source) listen();
});

const answer = document.getElementById("ack");
// An address says only what is asked for.
answer.form.addEventListener("submit", () => { answer.disabled = answer.value === ""; });
addEventListener("pageshow", () => { answer.disabled = false; });
answer.addEventListener("change", (event) => event.target.form.requestSubmit());

const focusedRow = () => document.activeElement?.closest?.("tr[data-id]");

function pick() {
  const id = focusedRow()?.dataset.id;
  if (!id) return;
  if (picked && picked !== id) {
    location.assign(`/messages/${picked}?with=${id}#differences`);
    return;
  }
  picked = picked === id ? "" : id;
  mark();
  show();
}

function mark() {
  for (const row of list.querySelectorAll("tr[data-id]")) row.classList.toggle("current", row.dataset.id === picked);
}

onKey({
  c: pick,
  r: () => { const id = focusedRow()?.dataset.id; if (id) location.assign(`/send?from=${id}&fresh=true`); },
  "/": () => document.getElementById("q").select(),
  l: () => setPaused(!paused),
});
show();
