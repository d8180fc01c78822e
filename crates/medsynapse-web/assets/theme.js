// Light or dark: as the system has it, until the button says otherwise.
(() => {
  const root = document.documentElement;
  let chosen = null;
  try { chosen = localStorage.getItem("theme"); } catch { /* storage is switched off */ }
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    if (!button) return;
    const system = matchMedia("(prefers-color-scheme: dark)");
    const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
    button.hidden = false;
    button.addEventListener("click", () => {
      const next = dark() ? "light" : "dark";
      const follows = (next === "dark") === system.matches;
      try {
        if (follows) localStorage.removeItem("theme");
        else localStorage.setItem("theme", next);
      } catch { /* it lasts for this page then */ }
      if (follows) delete root.dataset.theme;
      else root.dataset.theme = next;
    });
  });
})();
