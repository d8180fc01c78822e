// A broker with a pretend RIS, a browser, and what every page must keep to.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(join(process.env.WEB_MODULES, "package.json"));
const { chromium } = require("playwright-core");
const { AxeBuilder } = require("@axe-core/playwright");

const VT = "\x0b";
const FS_CR = "\x1c\r";

/** Ends a program and waits until it is gone. */
const end = (program) => new Promise((done) => {
  if (program.exitCode !== null || program.signalCode) return done();
  program.once("exit", done);
  program.kill("SIGTERM");
  setTimeout(() => program.kill("SIGKILL"), 5000).unref();
});

/** Starts a broker on free ports; `ports` comes once it listens. */
export async function broker({ demo, config = "", web = "127.0.0.1:0", key } = {}) {
  const directory = mkdtempSync(join(tmpdir(), "interop-web-"));
  const file = join(directory, "config.toml");
  writeFileSync(file, config);
  const free = "127.0.0.1:0";
  const program = spawn(process.env.HL7_SERVER, [
    "--config", file, "--data-dir", join(directory, "data"), "--quiet", "--print-ports",
    "--mllp", free, "--rest", free, "--web", web, "--dicom", free,
    ...(demo === undefined ? [] : ["--demo", String(demo)]),
  ], { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...(key ? { API_KEY: key } : {}) } });
  let log = "";
  program.stderr.on("data", (text) => { log = (log + text).slice(-4000); });
  const stop = async () => { await end(program); rmSync(directory, { recursive: true, force: true }); };
  let out = "";
  const ports = await new Promise((done, failed) => {
    program.once("exit", (code) => failed(new Error(`the server ended with ${code}: ${log}`)));
    program.stdout.on("data", (text) => {
      out += text;
      if (out.includes("\n")) done(JSON.parse(out));
    });
  });
  return { ...ports, address: `http://${ports.web.replace("0.0.0.0", "127.0.0.1")}`, stop };
}

/** Sends messages over MLLP and gives their answers. */
export function send(address, messages) {
  const [host, port] = address.split(":");
  return new Promise((done, failed) => {
    const socket = net.connect(Number(port), host, () => {
      for (const message of messages) socket.write(VT + message + FS_CR);
    });
    let got = "";
    socket.setEncoding("latin1");
    socket.setTimeout(60_000, () => { socket.destroy(); failed(new Error("no answer")); });
    socket.on("error", failed);
    socket.on("data", (text) => {
      got += text;
      const answers = got.split(FS_CR);
      if (answers.length > messages.length) { socket.end(); done(answers.slice(0, -1)); }
    });
  });
}

/** A RIS that hangs up until it is told to listen. */
export async function pretendRis() {
  const ris = { listens: false, heard: [] };
  const server = net.createServer((socket) => {
    if (!ris.listens) return socket.destroy();
    let got = "";
    socket.setEncoding("latin1");
    socket.on("error", () => {});
    socket.on("data", (text) => {
      got += text;
      for (let at = got.indexOf(FS_CR); at >= 0; at = got.indexOf(FS_CR)) {
        const message = got.slice(got.indexOf(VT) + 1, at);
        got = got.slice(at + FS_CR.length);
        ris.heard.push(message);
        const id = message.split("\r")[0].split("|")[9];
        const head = "MSH|^~\\&|RIS|HOSPITAL|PACS_APP|PACS_FACILITY|20230614131415||ACK|";
        socket.write(`${VT}${head}${ris.heard.length}|P|2.3\rMSA|AA|${id}\r${FS_CR}`);
      }
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  ris.address = `127.0.0.1:${server.address().port}`;
  ris.stop = () => new Promise((done) => { server.close(done); });
  return ris;
}

export const order = (n, { patient = `PAT${n}`, name = "SMITH^JOHN", aet = "CT1" } = {}) => [
  `MSH|^~\\&|RIS|HOSPITAL|PACS_APP|PACS_FACILITY|20230614131415||ORM^O01|WEB${n}|P|2.3`,
  `PID|1||${patient}||${name}||19800101|M`,
  "PV1|1|O",
  "ORC|NW",
  `OBR|1|WEBACC${n}||CT123^CT CHEST|ROUTINE||||||||||CT CHEST|||${aet}|RP${n}||${aet}|||CT||||||||||||20230614132030`,
].join("\r") + "\r";

/** A browser that writes down everything a page must not do. */
export class Browser {
  static async start(address) {
    const self = new Browser();
    self.address = address;
    self.off = [];
    self.wrong = [];
    self.requests = 0;
    self.browser = await chromium.launch({
      executablePath: process.env.CHROMIUM,
      args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    });
    return self;
  }

  /** A window; nothing but the host is reached from it. */
  async window({ theme = "light", address = this.address, ...options } = {}) {
    const context = await this.browser.newContext({
      baseURL: address, colorScheme: theme, reducedMotion: "reduce",
      viewport: { width: 1280, height: 800 }, ...options,
    });
    await context.route("**/*", (route) => {
      this.requests += 1;
      const url = route.request().url();
      if (url.startsWith(`${address}/`)) return route.continue();
      this.off.push(url);
      return route.abort();
    });
    // A slow machine is no failure.
    context.setDefaultTimeout(60_000);
    const page = await context.newPage();
    page.on("dialog", (dialog) => { this.wrong.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.on("pageerror", (error) => this.wrong.push(`error: ${error.message}`));
    page.on("console", (line) => {
      const expected = line.text().includes("the server responded with a status of 4");
      if (line.type() === "error" && !expected) this.wrong.push(`console: ${line.text()}`);
    });
    return page;
  }

  /** Nothing went wrong since the last look. */
  clean() {
    assert.deepEqual(this.wrong.splice(0), []);
    assert.deepEqual(this.off, [], "requests off the host");
  }

  stop() { return this.browser.close(); }
}

/** What axe finds on a page, in short. */
export async function violations(page) {
  const found = await new AxeBuilder({ page }).analyze();
  return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target).join(" ")}`);
}

/** Presses Tab until the element that has the focus is the one. */
export async function tabTo(page, selector) {
  for (let n = 0; n < 150; n += 1) {
    const there = await page.evaluate(
      (wanted) => document.activeElement?.matches(wanted) ?? false, selector,
    );
    if (there) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`Tab does not reach ${selector} on ${page.url()}`);
}

/** Presses a key that leads to another page. */
export async function pressAway(page, key) {
  await Promise.all([page.waitForEvent("load"), page.keyboard.press(key)]);
}
