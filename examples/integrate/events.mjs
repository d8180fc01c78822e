// Prints the events of orders and reports, and goes on where it stopped the last time.
//
//     BROKER=http://127.0.0.1:3000 BROKER_KEY=msk_... node events.mjs last-id.txt 3
//
// The file keeps the id of the last event that was dealt with: what happens while this program is
// away, or while the link is broken, comes later and nothing comes twice. The number, if given,
// ends the program after so many events.

import fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const broker = process.env.BROKER ?? "http://127.0.0.1:3000";
const key = process.env.BROKER_KEY ? { "x-api-key": process.env.BROKER_KEY } : {};
const types = "order.*,report.*";

/** One connection: the events after this id. A comment comes every 15 seconds at the least. */
async function* stream(last) {
  const silent = new AbortController();
  let alarm = setTimeout(() => silent.abort(), 40_000);
  const headers = { ...key, "last-event-id": last };
  const answer = await fetch(`${broker}/api/v1/events?types=${types}`, { headers, signal: silent.signal });
  if (!answer.ok) {
    console.error(answer.status, (await answer.json()).error);
    process.exit(1);
  }
  try {
    const decoder = new TextDecoder();
    let text = "";
    for await (const piece of answer.body) {
      clearTimeout(alarm);
      alarm = setTimeout(() => silent.abort(), 40_000);
      text += decoder.decode(piece, { stream: true });
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const lines = block.split("\n").map((line) => /^([^:]*):? ?(.*)$/.exec(line).slice(1));
        const event = Object.fromEntries(lines);
        if (event.data) yield event;
      }
    }
  } finally {
    clearTimeout(alarm);
    silent.abort();
  }
}

/** What your program does with an event: here it prints it. */
function dealWith(event) {
  console.log(event.type, event.accessionNumber);
}

async function main(path, count) {
  let last = fs.existsSync(path) ? fs.readFileSync(path, "utf8").trim() : "0";
  let left = Number(count ?? 0);
  for (;;) {
    try {
      for await (const event of stream(last)) {
        // `lagged`: we were too slow and are told from where to go on.
        const lagged = event.event === "lagged";
        if (!lagged) dealWith(JSON.parse(event.data));
        last = event.id;
        fs.writeFileSync(`${path}.new`, last);
        fs.renameSync(`${path}.new`, path);
        if (!lagged && --left === 0) return;
      }
    } catch (error) {
      console.error(`again in 2 s: ${error.message}`);
    }
    await sleep(2000);
  }
}

await main(...process.argv.slice(2));
