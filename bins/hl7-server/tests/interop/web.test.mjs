// The pages as people use them: every screen, every task by keyboard, hostile values, two windows.
// Run by .ci/interop-web.
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Browser, broker, order, pressAway, pretendRis, send, tabTo, violations } from "./web_bed.mjs";

const MANY = 100_000;

let ris;
let server;
let big;
let browser;
let screens;

before(async () => {
  ris = await pretendRis();
  const config = `[[destinations]]
name = "ris"
address = "${ris.address}"
retry_first_secs = 600
retry_max_secs = 600
`;
  big = broker({ demo: MANY });
  big.catch(() => {}); // The test that waits for it tells.
  server = await broker({ demo: 60, config });
  browser = await Browser.start(server.address);
  await send(server.mllp, [1, 2, 3].map((n) => order(n)));
  // A completed study waits for a RIS that hangs up.
  const page = await browser.window();
  await page.goto("/orders/WEBACC3");
  await page.getByRole("button", { name: "Complete" }).click();
  await page.getByRole("status").waitFor();
  await page.goto("/outbox");
  const waiting = await page.locator("tbody .time a").first().getAttribute("href");
  await page.goto("/");
  const odd = await page.evaluate(async () => {
    const { messages } = await (await fetch("/api/messages?limit=1&type=ORU")).json();
    return messages[0].id;
  });
  const patient = "/patients/PAT1";
  screens = [
    ["messages", "/"], ["search", "/?q=acc:WEBACC1"], ["nothing-found", "/?q=NOBODY"],
    ["inspector", `/messages/${odd}`], ["inspector-place", "/messages/61#at-OBR-21"],
    ["compare", "/messages/61?with=62"], ["words", "/?q=type:ORM ack:AA after:today"], ["orders", "/orders"],
    ["board", "/orders/board"], ["patients", "/patients"], ["order", "/orders/WEBACC3"],
    ["patient", patient], ["worklist", "/worklist?aet=CT1&order=WEBACC1"],
    ["outbox", "/outbox"], ["outbox-message", waiting], ["connections", "/connections"], ["send", "/send"],
    ["send-template", "/send?template=order"],
    ["docs", "/docs"], ["docs-page", "/docs/guide/web"], ["docs-table", "/docs/reference/outgoing"],
    ["conformance", "/docs/conformance"],
    ["generate", "/generate?type=orm&count=3&seed=1"], ["convert", "/convert"],
    ["no-such-page", "/nowhere"],
  ];
  await page.context().close();
  browser.clean();
});

after(async () => {
  await browser?.stop();
  await server?.stop();
  await big?.then((one) => one.stop(), () => {});
  await ris?.stop();
});

for (const theme of ["light", "dark"]) {
  test(`no screen has an axe violation, ${theme}`, async () => {
    // Small enough for pictures in the documentation.
    const page = await browser.window({ theme, viewport: { width: 1040, height: 620 } });
    for (const [name, path] of screens) {
      await page.goto(path);
      assert.deepEqual(await violations(page), [], `${name}, ${theme}`);
      const file = join(process.env.SCREENSHOTS, `${name}-${theme}.png`);
      await page.screenshot({ path: file, animations: "disabled" });
      assert.ok(statSync(file).size > 5000, `${file} is empty`);
    }
    await page.context().close();
    browser.clean();
  });
}

test("no screen is wider than a narrow window", async () => {
  const page = await browser.window({ viewport: { width: 390, height: 800 } });
  for (const [name, path] of screens) {
    await page.goto(path);
    const [wide, window] = await page.evaluate(
      () => [document.documentElement.scrollWidth, innerWidth],
    );
    assert.ok(wide <= window, `${name} is ${wide} wide in a window of ${window}`);
  }
  await page.context().close();
  browser.clean();
});

test("searching and reading a message, by keyboard alone", async () => {
  const page = await browser.window();
  await page.goto("/");
  await page.keyboard.press("/");
  await page.keyboard.type("WEBACC2");
  await pressAway(page, "Enter");
  assert.match(page.url(), /q=WEBACC2/);
  assert.equal(await page.locator("tbody tr").count(), 1);
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("ArrowDown");
  await pressAway(page, "Enter");
  assert.match(page.url(), /\/messages\/\d+$/);
  assert.match(await page.locator("main").innerText(), /Scheduled Station AE Title/);
  await tabTo(page, "summary");
  const open = () => page.locator("details.branch").first().getAttribute("open");
  const was = await open();
  await tabTo(page, "details.branch > summary");
  await page.keyboard.press("Enter");
  assert.notEqual(await open(), was, "a segment opens and closes by Enter");
  await pressAway(page, "u");
  assert.equal(new URL(page.url()).pathname, "/");
  await page.context().close();
  browser.clean();
});

test("generating a story and sending it, by keyboard alone", async () => {
  const page = await browser.window();
  await page.goto("/generate");
  await tabTo(page, "#type");
  await page.keyboard.type("Orders");
  await tabTo(page, "#count");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("2");
  await tabTo(page, "form.choices button");
  await pressAway(page, "Enter");
  assert.match(await page.locator("#made").innerText(), /Message 1 of 2/);
  await pressAway(page, "n");
  assert.match(await page.locator("#made").innerText(), /Message 2 of 2/);
  await pressAway(page, "p");
  await tabTo(page, 'form[action="/send#result"] button');
  await pressAway(page, "Enter");
  assert.match(await page.locator("#result").innerText(), /AA/);
  await page.context().close();
  browser.clean();
});

test("writing a message and sending it, by keyboard alone", async () => {
  const page = await browser.window();
  await page.goto("/send");
  await tabTo(page, "#message");
  await page.keyboard.insertText(order(4).replaceAll("\r", "\n"));
  await page.getByText("The broker would read this.").waitFor();
  await pressAway(page, "Control+Enter");
  assert.match(await page.locator("#result").innerText(), /AA[^]*Order registered/);
  // One that is refused says so before it is sent.
  await page.goto("/send");
  await tabTo(page, "#message");
  await page.keyboard.insertText(order(5).replace("OBR|1|WEBACC5", "OBR|1|").replaceAll("\r", "\n"));
  await page.getByText("The broker would refuse this").waitFor();
  await page.context().close();
  browser.clean();
});

test("a study is completed and reported, and the outbox sends it, by keyboard alone", async () => {
  const page = await browser.window();
  await page.goto("/orders?q=WEBACC1");
  await page.keyboard.press("ArrowDown");
  await pressAway(page, "Enter");
  await tabTo(page, 'form:has(input[value="completed"]) button');
  await pressAway(page, "Enter");
  assert.match(await page.getByRole("status").innerText(), /Done/);
  await tabTo(page, "details > summary");
  await page.keyboard.press("Enter");
  await tabTo(page, "#text");
  await page.keyboard.type("No fracture.");
  await tabTo(page, 'form:has(input[value="final"]) button');
  await pressAway(page, "Enter");
  assert.match(await page.locator("main").innerText(), /No fracture\./);
  // The RIS hangs up: the message waits, and the lane says for what.
  await page.goto("/connections");
  await page.locator(".lanes", { hasText: "Waiting to try again, message" }).waitFor();
  assert.match(await page.locator(".lanes").innerText(), /next at[^]*the last try failed/);
  // The message waits. It is held, the RIS comes back, and it is released.
  await page.goto("/outbox?state=queued");
  await page.keyboard.press("ArrowUp"); // The last row is the oldest: what goes first.
  await pressAway(page, "Enter");
  const item = page.url();
  await tabTo(page, 'form[action$="/hold"] button');
  await pressAway(page, "Enter");
  assert.match(await page.locator(".verdict").first().innerText(), /held/i);
  ris.listens = true;
  await tabTo(page, 'form[action$="/retry"] button');
  await pressAway(page, "Enter");
  await assert.doesNotReject(async () => {
    for (let n = 0; n < 600; n += 1) {
      await page.goto(item);
      if (/sent/i.test(await page.locator(".verdict").first().innerText())) return;
      await new Promise((done) => setTimeout(done, 100));
    }
    throw new Error("the outbox does not send");
  });
  assert.ok(ris.heard.some((message) => message.includes("ORU^R01")), "the RIS hears of the study");
  await page.context().close();
  browser.clean();
});

test("asking as a modality, by keyboard alone", async () => {
  const page = await browser.window();
  await send(server.mllp, [order(20, { aet: "ws_ct" })]);
  await page.goto("/worklist");
  await tabTo(page, "#aet");
  await page.keyboard.type("WS_CT");
  await pressAway(page, "Enter");
  const main = await page.locator("main").innerText();
  assert.match(main, /The modality sees 0/);
  assert.match(main, /AE title WS_CT differs in case from ws_ct\./);
  await page.context().close();
  browser.clean();
});

test("the keys are shown, and what tells who a patient is can be blurred", async () => {
  const page = await browser.window();
  await page.goto("/messages/61");
  await page.keyboard.press("?");
  assert.match(await page.getByRole("dialog").innerText(), /Keys[^]*newer[^]*Tab/);
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("Escape");
  assert.equal(await page.getByRole("dialog").count(), 0);
  const filter = () => page.locator(".facts dd").first().evaluate((one) => getComputedStyle(one).filter);
  assert.equal(await filter(), "none");
  await tabTo(page, "#blur");
  await page.keyboard.press("Enter");
  assert.match(await filter(), /blur/);
  await page.reload();
  assert.match(await filter(), /blur/);
  // The keyboard marks a field in both panes.
  await tabTo(page, "tr[data-path] .copy");
  assert.ok(await page.locator(".lines .lit").count() > 0);
  await page.context().close();
  browser.clean();
});

test("comparing two messages and sending one again, by keyboard alone", async () => {
  const page = await browser.window();
  // From the list: one, another, and what differs.
  await page.goto("/?q=type:ORM");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("c");
  await page.locator("#live-state", { hasText: "Comparing message" }).waitFor();
  await page.keyboard.press("ArrowDown");
  await pressAway(page, "c");
  assert.match(await page.locator("#differences").innerText(), /values differ/);
  await page.goto("/?q=WEBACC1");
  await page.keyboard.press("ArrowDown");
  await pressAway(page, "r");
  assert.match(page.url(), /\/send\?from=\d+&fresh=true/);
  await page.goto("/messages/61");
  await tabTo(page, "#with");
  await page.keyboard.type("62");
  await pressAway(page, "Enter");
  assert.match(await page.locator("#differences").innerText(), /MSH-10[^]*WEB1[^]*WEB2/);
  await tabTo(page, 'a[href^="/send?from="]');
  await pressAway(page, "Enter");
  await tabTo(page, "#message");
  await pressAway(page, "Control+Enter");
  const result = await page.locator("#result").innerText();
  assert.match(result, /MSA\|A[AR]\|RE/);
  await page.context().close();
  browser.clean();
});

test("faults are switched on and off, by keyboard alone", async () => {
  const page = await browser.window();
  await page.goto("/connections");
  await tabTo(page, "#f-error");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("100");
  await tabTo(page, ".faults .main-button");
  await pressAway(page, "Enter");
  assert.match(await page.locator("#faults").innerText(), /on: AE 100 %/);
  assert.match((await send(server.mllp, [order(21)]))[0], /MSA\|AE\|WEB21/);
  await tabTo(page, 'button[value="off"]');
  await pressAway(page, "Enter");
  assert.match(await page.locator("#faults").innerText(), /off/);
  assert.match((await send(server.mllp, [order(22)]))[0], /MSA\|AA\|WEB22/);
  await page.context().close();
  browser.clean();
});

test("a connection shows while it is open", async () => {
  const page = await browser.window();
  await page.goto("/connections");
  await page.getByText("0 open over MLLP").waitFor();
  const [host, port] = server.mllp.split(":");
  const socket = net.connect(Number(port), host);
  await page.getByText("1 open over MLLP").waitFor();
  socket.end();
  await page.getByText("0 open over MLLP").waitFor();
  await page.context().close();
  browser.clean();
});

for (const [where, web] of [["on this machine", "127.0.0.1:0"], ["where others can reach the pages", "0.0.0.0:0"]]) test(`a key is shown once, ${where}`, async () => {
  const key = "a-key-for-the-desk";
  const closed = await broker({ web, key });
  try {
    const page = await browser.window({ address: closed.address });
    await page.goto("/orders?state=scheduled");
    assert.match(page.url(), /\/login\?next=/);
    for (const theme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: theme });
      assert.deepEqual(await violations(page), [], `login, ${theme}`);
    }
    await tabTo(page, "#key");
    await page.keyboard.type("a guess");
    await pressAway(page, "Enter");
    assert.match(await page.getByRole("alert").innerText(), /not known/);
    await tabTo(page, "#key");
    await page.keyboard.type(key);
    await pressAway(page, "Enter");
    assert.match(page.url(), /\/orders\?state=scheduled$/);
    await page.goto("/");
    await page.locator("#live-state", { hasText: /^Live$/ }).waitFor();
    // No script can read what opens the pages, and the key is nowhere.
    const seen = await page.evaluate(() => document.cookie + JSON.stringify(localStorage) + document.documentElement.outerHTML);
    assert.ok(!seen.includes(key) && !seen.includes("medsynapse_session"));
    const [cookie] = await page.context().cookies();
    assert.equal(cookie.httpOnly, true);
    assert.equal(cookie.sameSite, "Strict");
    await page.getByRole("button", { name: "Log out" }).click();
    await page.locator("#key").waitFor();
    await page.goto("/orders");
    assert.match(page.url(), /\/login/);
    await page.context().close();
  } finally {
    await closed.stop();
  }
  browser.clean();
});

test("nothing that a message or an address says becomes markup", async () => {
  const hostile = [
    "<script data-xss>alert(1)</script>",
    "\"><img data-xss src=x onerror=alert(1)>",
    "' data-xss autofocus onfocus='alert(1)",
    "</title></textarea></pre></select><b data-xss>",
    "</script><svg data-xss onload=alert(1)>",
    "javascript:alert(1)//<a data-xss>",
    "{{7*7}}<!--<b data-xss>",
    "\u202Eevil<b data-xss>",
  ];
  const page = await browser.window();
  const escaped = (text) => text.replaceAll("\\", "\\E\\").replaceAll("&", "\\T\\").replaceAll("^", "\\S\\");
  const look = async (path) => {
    const answer = await page.goto(path);
    assert.ok(answer.status() < 500, `${path} answers ${answer.status()}`);
    const found = await page.evaluate(() => ({
      marks: document.querySelectorAll("[data-xss]").length,
      scripts: [...document.scripts].filter((one) => !one.getAttribute("src")?.startsWith("/assets/")).length,
      handlers: [...document.querySelectorAll("*")].filter(
        (one) => [...one.attributes].some((attribute) => /^on|^style$/i.test(attribute.name)),
      ).length,
      links: [...document.querySelectorAll("[href], [src], [action]")].filter((one) => /^\s*(javascript|data):/i.test(
        one.getAttribute("href") ?? one.getAttribute("src") ?? one.getAttribute("action"),
      )).length,
    }));
    assert.deepEqual(found, { marks: 0, scripts: 0, handlers: 0, links: 0 }, path);
  };
  for (const [n, value] of hostile.entries()) {
    const text = escaped(value);
    await send(server.mllp, [[
      `MSH|^~\\&|${text}|${text}|${text}|${text}|20230614131415||ORM^O01|${text}${n}|P|2.3`,
      `PID|1|${text}|XSS${n}|${text}|${text}^${text}||19800101|M|||${text}`,
      `PV1|1|O|${text}|||||${text}^${text}`,
      `ORC|NW|||||||||||||||||${text}`,
      `OBR|1|XSSACC${n}||${text.slice(0, 16)}^${text}|${text}||||||||||${text}|||${text}|RP||CT1|||CT|||||||${text}||||||20230614132030|${text}`,
      `ZXX|${text}|${text}`,
    ].join("\r") + "\r", `MSH|^~\\&|A|B|C|D|E||${text}^${text}|X${n}|P|${text}\r${text}|${text}\r`]);
    const asked = encodeURIComponent(value);
    for (const path of [
      `/orders/XSSACC${n}`, `/patients/XSS${n}`, `/worklist?order=XSSACC${n}`,
      `/?q=${asked}&type=${asked}&ack=${asked}&page=${asked}`,
      `/orders?q=${asked}&state=${asked}&modality=${asked}&aet=${asked}&before=${asked}`,
      `/worklist?aet=${asked}&modality=${asked}&from=${asked}&to=${asked}&calling=${asked}&order=${asked}`,
      `/patients?q=${asked}&after=${asked}&merged=${asked}`, "/orders/board", "/patients",
      `/send?template=${asked}&from=${asked}`, `/docs/${asked}`,
      `/outbox?state=${asked}&destination=${asked}&before=${asked}`,
      `/generate?type=${asked}&count=${asked}&scenario=${asked}&profile=${asked}&seed=${asked}&at=${asked}`,
      `/orders/${asked}`, `/messages/${asked}`, `/patients/${asked}`, `/outbox/${asked}`, `/${asked}`,
    ]) await look(path);
    for (const [path, area] of [["/convert", "#text"], ["/send", "#message"]]) {
      await page.goto(path);
      await page.fill(area, `MSH|^~\\&|${text}|${text}|||20230614||ORM^O01|${text}|P|2.3\nPID|${text}|${value}`);
      await Promise.all([page.waitForEvent("load"), page.locator(`${area} ~ .row button`).first().click()]);
      assert.equal(await page.locator("[data-xss]").count(), 0, `${path} with ${value}`);
    }
  }
  await look("/");
  await look("/orders");
  await look("/worklist");
  const newest = await page.evaluate(async () => Number(
    document.querySelector("[data-xss]") ? 0 : (await (await fetch("/api/messages?limit=1")).json()).totalCount,
  ));
  for (let id = newest; id > newest - 2 * hostile.length; id -= 1) await look(`/messages/${id}?with=${id - 1}`);
  await page.context().close();
  browser.clean();
});

test("a reload keeps what is shown, and the theme stays", async () => {
  const page = await browser.window();
  await page.goto("/?type=ORM&ack=AA&q=WEBACC1");
  const state = () => page.evaluate(() => [
    location.href, document.getElementById("q").value, document.getElementById("ack").value,
    document.documentElement.dataset.theme ?? "",
    [...document.querySelectorAll("tr[data-id]")].map((row) => row.dataset.id).join(),
  ]);
  await page.locator("#theme").click();
  const before = await state();
  assert.equal(before[3], "dark");
  await page.reload();
  assert.deepEqual(await state(), before);
  await page.goto("/orders?state=scheduled&modality=CT");
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  assert.equal(await page.locator("#modality").inputValue(), "CT");
  await page.context().close();
  browser.clean();
});

test("everything works without JavaScript", async () => {
  const page = await browser.window({ javaScriptEnabled: false });
  await page.goto("/");
  await page.fill("#q", "WEBACC2");
  await page.click(".search button");
  assert.equal(await page.locator("tbody tr").count(), 1);
  await page.goto("/generate?type=orm&count=1&seed=77");
  await page.click('form[action="/send#result"] button');
  assert.match(await page.locator("#result").innerText(), /AA|AE|AR/);
  await page.goto("/worklist?aet=CT1");
  assert.match(await page.locator("main").innerText(), /The modality sees/);
  await page.context().close();
  browser.clean();
});

test("a message shows by itself, and two windows agree", async () => {
  await big; // What fills the other broker is done: this is about time.
  const windows = await Promise.all([browser.window(), browser.window()]);
  for (const page of windows) {
    await page.goto("/");
    await page.locator("#live-state", { hasText: /^Live$/ }).waitFor();
  }
  // What is drawn for the first time takes longer than what a tester sees all day.
  await send(server.mllp, [order(29)]);
  for (const page of windows) await page.getByText("WEBACC29").waitFor();
  await new Promise((done) => setTimeout(done, 1000));
  const sent = performance.now();
  await send(server.mllp, [order(30)]);
  const times = await Promise.all(windows.map(async (page) => {
    await page.getByText("WEBACC30").waitFor();
    return performance.now() - sent;
  }));
  console.log(`    shown after ${times.map((ms) => `${ms.toFixed(0)} ms`).join(" and ")}`);
  const rows = await Promise.all(windows.map((page) => page.locator("tr[data-id]").evaluateAll(
    (all) => all.map((row) => row.innerText),
  )));
  assert.deepEqual(rows[0], rows[1]);
  // A paused window counts, and catches up.
  const [paused] = windows;
  await paused.keyboard.press("l");
  await send(server.mllp, [order(31)]);
  await paused.locator("#live-state", { hasText: "1 new" }).waitFor();
  assert.equal(await paused.getByText("WEBACC31").count(), 0);
  await paused.keyboard.press("l");
  await paused.getByText("WEBACC31").waitFor();
  for (const page of windows) await page.context().close();
  browser.clean();
});

test("the first rows of 100,000 messages show", async () => {
  const { address } = await big;
  const page = await browser.window({ address });
  const times = [];
  for (let n = 0; n < 15; n += 1) {
    await page.goto("/");
    times.push(await page.evaluate(() => {
      const [entry] = performance.getEntriesByType("navigation");
      // A window that nobody looks at need not be painted.
      const painted = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0;
      return Math.max(entry.domInteractive, painted);
    }));
  }
  const all = await page.locator(".chips a b").first().innerText();
  assert.ok(Number(all.replaceAll(",", "")) >= MANY, `${all} messages`);
  assert.ok(await page.locator("tbody tr").count() >= 50);
  times.sort((a, b) => a - b);
  console.log(`    ${times.map((ms) => ms.toFixed(0)).join(" ")} ms, ${all} messages`);
  await page.context().close();
  browser.clean();
});

test("no page asked anybody but its own host", () => {
  assert.ok(browser.requests > 100, `${browser.requests} requests`);
  browser.clean();
});
