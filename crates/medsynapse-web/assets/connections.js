// Who is connected, as it changes.
const list = document.getElementById("list");

/** At most one look at the server in this time. */
const PAUSE_MS = 700;

let looking = false;
let again = false;

async function look() {
  if (looking) { again = true; return; }
  looking = true;
  try {
    const answer = await fetch("/connections", { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("list");
    if (answer.ok && fresh) list.replaceChildren(...fresh.childNodes);
  } catch { /* the event stream tells when the server is back */ }
  await new Promise((done) => setTimeout(done, PAUSE_MS));
  looking = false;
  if (again) { again = false; look(); }
}

let source = null;

function listen() {
  source = new EventSource("/events");
  for (const name of ["ready", "connections", "lagged"]) source.addEventListener(name, look);
}

listen();
// A page that nobody sees does not hold a connection.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { source?.close(); source = null; } else if (!source) listen();
});
