// One message: the same place lit up in both views, paths to copy, and the keyboard.
import { onKey } from "./keys.js";

let lit = [];

function light(path) {
  for (const element of lit) element.classList.remove("lit");
  lit = path ? [...document.querySelectorAll(`[data-path="${CSS.escape(path)}"]`)] : [];
  for (const element of lit) element.classList.add("lit");
}

/** `PID-5.2` stands in the field `PID-5`. */
const field = (path) => path.replace(/(-\d+)[.[].*$/, "$1");

document.addEventListener("pointerover", (event) => {
  const path = event.target.closest?.("[data-path]")?.dataset.path;
  light(path && field(path));
});

// The keyboard marks as the pointer does.
document.addEventListener("focusin", (event) => {
  const path = event.target.closest?.("[data-path]")?.dataset.path;
  if (!path) return;
  light(field(path));
  document.querySelector(".lines .lit")?.scrollIntoView({ block: "nearest" });
});

for (const path of document.querySelectorAll("[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "path copy";
  button.textContent = path.dataset.copy;
  button.title = "Copy this path";
  button.addEventListener("click", async () => {
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
}

// A field in the message as it stands leads to its row.
document.addEventListener("click", (event) => {
  const path = event.target.closest?.(".lines [data-path]")?.dataset.path;
  if (!path || String(getSelection())) return;
  const row = document.getElementById(`at-${path}`);
  row?.closest("details")?.setAttribute("open", "");
  row?.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
});

const go = (rel) => () => document.querySelector(`a[rel="${rel}"]`)?.click();
onKey({ n: go("prev"), o: go("next"), u: () => document.querySelector("a.up").click() });
