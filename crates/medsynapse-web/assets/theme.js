// Light or dark: as the system has it, until the button says otherwise. And whether what tells
// who a patient is can be read: not on a picture for somebody else.
(() => {
  const root = document.documentElement;
  let chosen = null;
  try { chosen = localStorage.getItem("theme"); } catch { /* storage is switched off */ }
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;

  let blurred = false;
  try { blurred = localStorage.getItem("blur") === "on"; } catch { /* it can be read */ }
  root.toggleAttribute("data-blur", blurred);

  document.addEventListener("DOMContentLoaded", () => {
    const blur = document.getElementById("blur");
    if (blur) {
      blur.hidden = false;
      blur.setAttribute("aria-pressed", String(blurred));
      blur.addEventListener("click", () => {
        blurred = !blurred;
        root.toggleAttribute("data-blur", blurred);
        blur.setAttribute("aria-pressed", String(blurred));
        try {
          if (blurred) localStorage.setItem("blur", "on");
          else localStorage.removeItem("blur");
        } catch { /* it lasts for this page then */ }
      });
    }
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
