// Orders a CT by JSON, looks it up, and hands in its report: fetch alone, no packages.
//
//     BROKER=http://127.0.0.1:3000 BROKER_KEY=msk_... node orders.mjs
//
// The key stays on the server: a page in a browser calls your own server, which calls the broker.

import { randomUUID } from "node:crypto";

const broker = process.env.BROKER ?? "http://127.0.0.1:3000";
const key = process.env.BROKER_KEY ? { "x-api-key": process.env.BROKER_KEY } : {};

/** One request; an error of the broker is thrown with everything that is wrong. */
async function call(method, path, body, more = {}) {
  const answer = await fetch(broker + path, {
    method,
    headers: { accept: "application/json", "content-type": "application/json", ...key, ...more },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  const said = await answer.json();
  if (answer.ok) return said;
  const places = (said.hl7 ?? []).map((at) => `${at.path || at.jsonPointer}: ${at.message}`);
  throw new Error([`${said.status} ${said.error}`, ...places].join("\n"));
}

const order = {
  order: {
    patient: { id: "PAT-JS", name: "NOVAK, PETR", gender: "M", dateOfBirth: "19650711" },
    study: { description: "CT CHEST", priority: "ROUTINE" },
  },
};
// The same key again gives the same answer again: a time-out is no reason to order twice.
const made = await call("POST", "/api/orders", order, { "idempotency-key": randomUUID() });
const number = made.order.accessionNumber;
console.log(number, made.ack.code, made.ack.text);

const known = await call("GET", `/api/v1/orders/${number}`);
console.log(known.accessionNumber, known.status, known.study.modality);

const report = { status: "final", report: { content: "Normal study.\nLungs are clear." } };
const done = await call("POST", `/api/v1/orders/${number}/status`, report);
console.log(number, done.outcome, done.reportStatus);
