// An editor that says what is wrong while one writes; Ctrl-Enter sends.
const area = document.querySelector("textarea");
const issues = document.getElementById("issues");
const address = area?.dataset.check;

/** No look at the server before this much quiet. */
const QUIET_MS = 300;

let timer = 0;
let looking = null;

async function check() {
  looking?.abort();
  looking = new AbortController();
  try {
    const body = new URLSearchParams({ message: area.value });
    const answer = await fetch(address, { method: "POST", body, signal: looking.signal });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    issues.replaceChildren(...page.body.childNodes);
  } catch { /* another look has begun, or the server is away: sending will tell */ }
}

if (address && issues) {
  area.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(check, QUIET_MS);
  });
}

area?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    area.form.requestSubmit();
  }
});

document.getElementById("result")?.focus();
