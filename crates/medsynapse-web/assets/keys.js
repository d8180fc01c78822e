/**
 * Single keys as commands, but never while something is written or held with another key.
 * @param {Record<string, () => void>} commands
 */
export function onKey(commands) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const writes = event.target.closest?.("input, select, textarea, [contenteditable]");
    if (writes) {
      if (event.key === "Escape") writes.blur();
      return;
    }
    if (event.key.startsWith("Arrow") && event.target.closest?.(".lines, pre, summary")) return;
    const command = commands[event.key];
    if (!command) return;
    event.preventDefault();
    command();
  });
}
