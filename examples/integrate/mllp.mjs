// HL7 over MLLP with node:net alone: sends a message as a RIS does, or receives as one.
//
//     node mllp.mjs send 127.0.0.1:2575 order.hl7
//     node mllp.mjs listen 127.0.0.1:2576 received.hl7 1

import { randomUUID } from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const START = 0x0b;
const END = Buffer.from([0x1c, 0x0d]);
const PATIENCE = 10_000; // milliseconds without a byte
const TRIES = 3;

// latin1 keeps every byte what it is, whatever MSH-18 says.
const text = (bytes) => bytes.toString("latin1");
const framed = (message) => Buffer.concat([Buffer.from([START]), message, END]);

/** A field as it stands in the message; in MSH the separator itself is number 1. */
function field(message, segment, number) {
  const all = text(message);
  const line = all.split("\r").find((line) => line.startsWith(segment + all[3])) ?? "";
  return line.split(all[3])[segment === "MSH" ? number - 1 : number] ?? "";
}

/** The messages of a connection. One read can bring half a frame, or three. */
async function* frames(socket) {
  let buffer = Buffer.alloc(0);
  for await (const piece of socket) {
    buffer = Buffer.concat([buffer, piece]);
    for (;;) {
      const start = buffer.indexOf(START);
      const end = buffer.indexOf(END, start + 1);
      if (start < 0 || end < 0) break;
      yield buffer.subarray(start + 1, end);
      buffer = buffer.subarray(end + END.length);
    }
  }
}

/** Sends a message on a connection of its own and returns its acknowledgement. */
async function exchange(host, port, message) {
  const socket = net.connect({ host, port });
  socket.setTimeout(PATIENCE, () => socket.destroy(new Error("no answer in time")));
  socket.write(framed(message));
  const { value: answer } = await frames(socket).next();
  socket.destroy();
  if (!answer) throw new Error("the connection was closed before the answer");
  // The answer to another message says nothing about this one.
  if (field(answer, "MSA", 2) !== field(message, "MSH", 10)) {
    throw new Error("the answer is for another message");
  }
  return answer;
}

async function send(host, port, path) {
  // Files have line feeds, the wire has carriage returns.
  const lines = text(fs.readFileSync(path)).split(/\r\n|\n|\r/).filter((line) => line);
  const message = Buffer.from(lines.join("\r") + "\r", "latin1");
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    try {
      const answer = await exchange(host, port, message);
      const code = field(answer, "MSA", 1);
      console.log(code, field(answer, "MSA", 3));
      process.exitCode = code === "AA" ? 0 : 1;
      return;
    } catch (error) {
      // Whether the broker has it is not known. The same bytes again do no harm.
      console.error(`try ${attempt} of ${TRIES}: ${error.message}`);
      await sleep(attempt * 1000);
    }
  }
  console.error("no answer; send the same file again later");
  process.exitCode = 1;
}

function acknowledgement(message, code, why) {
  const all = text(message);
  const of = (number) => field(message, "MSH", number);
  const now = new Date().toISOString().replace(/\D/g, "").slice(0, 14);
  const id = randomUUID().replaceAll("-", "").slice(0, 20);
  const header = [`MSH${all.slice(3, 8)}`, of(5), of(6), of(3), of(4), now, "", "ACK", id, "P", "2.3"];
  const answer = ["MSA", code, of(10), why];
  return Buffer.from(`${header.join(all[3])}\r${answer.join(all[3])}\r`, "latin1");
}

function listen(host, port, path, count) {
  const file = fs.openSync(path, "a");
  const server = net.createServer(async (socket) => {
    try {
      for await (const message of frames(socket)) {
        // On the disk first, then AA: the sender forgets the message from there on.
        fs.writeSync(file, text(message).replaceAll("\r", "\n") + "\n", null, "latin1");
        fs.fsyncSync(file);
        socket.write(framed(acknowledgement(message, "AA", "Received.")));
        console.log(field(message, "MSH", 9), field(message, "OBX", 11));
        if (--count === 0) {
          socket.end();
          server.close();
          return;
        }
      }
    } catch (error) {
      console.error(`a connection broke: ${error.message}`);
    }
  });
  server.listen(port, host);
}

const [what, address, path, count] = process.argv.slice(2);
const cut = address.lastIndexOf(":");
const [host, port] = [address.slice(0, cut), Number(address.slice(cut + 1))];
if (what === "send") await send(host, port, path);
else listen(host, port, path, Number(count));
