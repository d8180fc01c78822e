// One message: bytes, tree and meaning in step, by pointer and by keyboard; paths to copy.
import { onKey } from "./keys.js";

const raw = document.querySelector("#panes .lines");
const rows = [...document.querySelectorAll("#panes tr[data-path]")];
const here = document.getElementById("here");
const said = here?.querySelector(".here-line");
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** What is shown on the way of the pointer, and what was chosen. */
let lit = [];
let chosen = "";

/** `PID-5.2.1`, `PID-5.2`, `PID-5`, `PID`: a place and what it is in. */
function around(path) {
  const all = [path];
  for (let at = path; /[.[-]/.test(at);) {
    at = at.replace(/(\.\d+|\[\d+\]|-\d+)$/, "");
    if (at === all[all.length - 1]) break;
    all.push(at);
  }
  return all;
}

/** The element of a pane that stands for a path, or for what it is in. */
function find(elements, path) {
  for (const one of around(path)) {
    const exact = elements.find((element) => element.dataset.path === one);
    if (exact) return exact;
    // A value that has parts is shown by its first.
    if (one === path) {
      const inside = elements.find((element) => /^[.[]/.test(element.dataset.path.slice(path.length)) && element.dataset.path.startsWith(path));
      if (inside) return inside;
    }
  }
  return null;
}

const places = () => [...(raw?.querySelectorAll("[data-path]") ?? [])];
const rowOf = (path) => find(rows, path);
const placeOf = (path) => find(places(), path);

/** The values of the message one after the other: what has no parts of its own. */
const leaves = () => places().filter((place) => !place.querySelector("[data-path]") && place.textContent !== "");

function light(path) {
  for (const element of lit) element.classList.remove("lit");
  lit = path ? [placeOf(path), rowOf(path)].filter(Boolean) : [];
  for (const element of lit) element.classList.add("lit");
  tell(path);
}

/** The third pane: what stands at the mark, and what it means. */
function tell(path) {
  if (!here) return;
  const row = path && rowOf(path);
  here.hidden = !row;
  if (!row) { said.replaceChildren(); return; }
  const part = (name, text) => {
    const element = document.createElement("span");
    element.className = name;
    element.textContent = text;
    return element;
  };
  const cell = (name) => row.querySelector(`.${name}`);
  const name = cell("name")?.textContent.trim() ?? "";
  const value = cell("value")?.cloneNode(true);
  value?.querySelectorAll(".note").forEach((note) => note.remove());
  const parts = [part("path", path), part("name", name), part("value", value?.textContent.trim() ?? "")];
  const meaning = cell("meaning")?.textContent.trim();
  if (meaning) parts.push(part("meaning", meaning));
  for (const note of row.querySelectorAll(".note")) parts.push(part(note.className, note.textContent.trim()));
  said.replaceChildren(...parts.filter((one) => one.textContent !== ""));
}

/** Scrolls inside of the pane alone, and not the page under the reader. */
function show(element) {
  if (!element) return;
  element.closest("details")?.setAttribute("open", "");
  element.scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
}

/** Marks a place for good: it is in the address too. */
function choose(path) {
  chosen = path;
  light(path);
  const row = rowOf(path);
  if (row) history.replaceState(history.state, "", `#${row.id}`);
}

document.addEventListener("pointerover", (event) => {
  const path = event.target.closest?.("#panes [data-path]")?.dataset.path;
  light(path ?? chosen);
});

// Problems are at their place in the bytes too.
for (const row of rows) {
  const note = row.querySelector(".note");
  if (note) placeOf(row.dataset.path)?.classList.add(note.classList.contains("bad") ? "wrong" : "odd");
}

// Paths to copy. Of all of them one is reached by Tab; arrows lead to the others.
const buttons = [];
for (const path of document.querySelectorAll("[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "path copy";
  button.textContent = path.dataset.copy;
  button.title = "Copy this path";
  button.tabIndex = buttons.length === 0 ? 0 : -1;
  button.addEventListener("click", async () => {
    choose(path.dataset.copy);
    try {
      await navigator.clipboard.writeText(path.dataset.copy);
      button.classList.add("copied");
      setTimeout(() => button.classList.remove("copied"), 1200);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(button);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
    }
  });
  path.replaceWith(button);
  buttons.push(button);
}

function focusRow(path) {
  const button = rowOf(path)?.querySelector(".copy");
  if (!button) return;
  button.closest("details")?.setAttribute("open", "");
  for (const other of buttons) other.tabIndex = other === button ? 0 : -1;
  button.focus();
}

function mark(path) {
  choose(path);
  show(placeOf(path));
  show(rowOf(path));
}

document.addEventListener("focusin", (event) => {
  const row = event.target.closest?.("#panes tr[data-path]");
  if (!row) return;
  for (const other of buttons) other.tabIndex = other === event.target ? 0 : -1;
  mark(row.dataset.path);
});

// In the bytes: a click marks, arrows go from value to value.
raw?.addEventListener("click", (event) => {
  const path = event.target.closest?.("[data-path]")?.dataset.path;
  if (path && !String(getSelection())) mark(path);
});

raw?.addEventListener("focus", () => {
  const first = chosen || leaves()[0]?.dataset.path;
  if (first) mark(first);
});

raw?.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const all = leaves();
  if (all.length === 0) return;
  const at = all.indexOf(placeOf(chosen));
  const line = (element) => element?.closest("li");
  const lines = [...raw.querySelectorAll("li")];
  const inLine = (number) => all.find((one) => line(one) === lines[number]);
  const current = lines.indexOf(line(all[at]));
  const next = {
    ArrowRight: () => all[Math.min(at + 1, all.length - 1)],
    ArrowLeft: () => all[Math.max(at - 1, 0)],
    ArrowDown: () => inLine(current + 1),
    ArrowUp: () => inLine(current - 1),
    Home: () => all[0],
    End: () => all[all.length - 1],
  }[event.key];
  if (next) {
    event.preventDefault();
    const to = next();
    if (to) mark(to.dataset.path);
  } else if (event.key === "Enter" && chosen) {
    event.preventDefault();
    focusRow(chosen);
  }
});

// In the fields: up and down, and back to the bytes.
document.addEventListener("keydown", (event) => {
  const row = event.target.closest?.("#panes tr[data-path]");
  if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (by) {
    event.preventDefault();
    const to = rows[rows.indexOf(row) + by];
    if (to) focusRow(to.dataset.path);
  }
});

const go = (rel) => () => document.querySelector(`a[rel="${rel}"]`)?.click();
onKey({
  n: go("prev"), o: go("next"), u: () => document.querySelector("a.up").click(),
  m: () => raw?.focus(),
});

// An address that names a place shows it.
const asked = decodeURIComponent(location.hash).replace(/^#at-/, "");
if (asked && rows.some((row) => row.dataset.path === asked)) {
  choose(asked);
  show(placeOf(asked));
}
addEventListener("hashchange", () => {
  const path = decodeURIComponent(location.hash).replace(/^#at-/, "");
  if (rowOf(path)) { light(path); chosen = path; show(placeOf(path)); }
});
