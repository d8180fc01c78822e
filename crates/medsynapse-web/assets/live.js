// The parts of a page that change while one looks: `data-live` names the events that say so.
const parts = [...document.querySelectorAll("[data-live][id]")];

/** At most one look at the server in this time. */
const PAUSE_MS = 700;

let looking = false;
let again = false;
let source = null;

/** Which element of a part has the focus, so that it has it afterwards too. */
function focusOf(part) {
  const element = document.activeElement;
  if (!part.contains(element)) return null;
  const all = [...part.querySelectorAll("a, button, summary, input, [tabindex]")];
  return all.indexOf(element);
}

function replace(part, fresh) {
  if (part.innerHTML === fresh.innerHTML) return;
  const at = focusOf(part);
  part.replaceChildren(...fresh.childNodes);
  if (at === null) return;
  const all = part.querySelectorAll("a, button, summary, input, [tabindex]");
  (all[at] ?? all[all.length - 1])?.focus();
}

async function look() {
  if (looking) { again = true; return; }
  looking = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of answer.ok ? parts : []) {
      const fresh = page.getElementById(part.id);
      if (fresh) replace(part, fresh);
    }
  } catch { /* the event stream tells when the server is back */ }
  await new Promise((done) => setTimeout(done, PAUSE_MS));
  looking = false;
  if (again) { again = false; look(); }
}

function listen() {
  source = new EventSource("/events");
  const names = parts.flatMap((part) => part.dataset.live.split(" "));
  for (const name of new Set(["ready", "lagged", ...names])) source.addEventListener(name, look);
}

listen();
// A page that nobody sees does not hold a connection.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { source?.close(); source = null; } else if (!source) listen();
});
