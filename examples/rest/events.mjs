// Orders an MR and waits until the event stream tells of it: fetch alone, no packages.
//
//     BROKER=http://127.0.0.1:3000 BROKER_KEY=msk_... node events.mjs
//
// The key stays on the server: a browser gets its events from your own server, which adds the
// key as this program does. A page that had the key would give it to everybody who opens it.

const broker = process.env.BROKER ?? "http://127.0.0.1:3000";
const key = process.env.BROKER_KEY ? { "x-api-key": process.env.BROKER_KEY } : {};

/** The events of a stream, one at a time; goes on at `last` when the link breaks. */
async function* events(types, last, signal) {
  for (;;) {
    const headers = { ...key, ...(last ? { "last-event-id": last } : {}) };
    const answer = await fetch(`${broker}/api/v1/events?types=${types}`, { headers, signal });
    if (!answer.ok) throw new Error(`${answer.status} ${(await answer.json()).error}`);
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of answer.body) {
      text += decoder.decode(chunk, { stream: true });
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const lines = block.split("\n").map((line) => [line.split(":", 1)[0], line.slice(line.indexOf(":") + 1).trim()]);
        const event = Object.fromEntries(lines);
        if (event.id) last = event.id;
        if (event.event === "lagged") break;
        yield event.data ? JSON.parse(event.data) : null;
      }
    }
  }
}

async function order() {
  const answer = await fetch(`${broker}/api/orders`, {
    method: "POST",
    headers: { "content-type": "application/json", ...key },
    body: JSON.stringify({
      order: {
        patient: { id: "PAT-JS", name: "NOVAK, PETR", gender: "M", dateOfBirth: "19650711" },
        study: { description: "MR HEAD" },
      },
    }),
  });
  const made = await answer.json();
  if (!answer.ok) throw new Error(`${made.status} ${made.error}`);
  console.log(`ordered ${made.order.accessionNumber} ${made.ack.code}`);
  return made.order.accessionNumber;
}

const stop = new AbortController();
const stream = events("order.*", undefined, stop.signal);
let wanted;
// The first block is the greeting: from then on nothing is missed.
await stream.next();
wanted = await order();
for await (const event of stream) {
  if (event?.accessionNumber === wanted) {
    console.log(`${event.type} ${event.accessionNumber}`);
    break;
  }
}
stop.abort();
