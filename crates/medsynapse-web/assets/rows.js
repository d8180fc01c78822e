// A list of messages under the keyboard and the pointer.
import { onKey } from "./keys.js";

const list = document.getElementById("list");

list?.addEventListener("click", (event) => {
  if (event.target.closest("a") || String(getSelection())) return;
  const link = event.target.closest("tr[data-id]")?.querySelector("a");
  if (!link) return;
  if (event.metaKey || event.ctrlKey) open(link.href, "_blank", "noopener");
  else link.click();
});

function step(by) {
  const links = [...(list?.querySelectorAll("tr[data-id] .time a") ?? [])];
  if (links.length === 0) return;
  const at = links.indexOf(document.activeElement?.closest("tr[data-id]")?.querySelector(".time a"));
  const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by;
  links[Math.max(0, Math.min(links.length - 1, next))].focus();
}

onKey({
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
  u: () => document.querySelector("a.up")?.click(),
});
