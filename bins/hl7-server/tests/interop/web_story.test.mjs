// What somebody does who comes to the pages for the first time, and the tools of every day, by
// keyboard alone. Run by .ci/interop-web.
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Browser, broker, order, pressAway, send, tabTo, violations } from "./web_bed.mjs";

let server;
let browser;

/** No violation, and a picture, in both themes; the page is light again afterwards. */
async function judged(page, name) {
  for (const theme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme: theme });
    assert.deepEqual(await violations(page), [], `${name}, ${theme}`);
    const file = join(process.env.SCREENSHOTS, `${name}-${theme}.png`);
    await page.screenshot({ path: file, animations: "disabled" });
    assert.ok(statSync(file).size > 5000, `${file} is empty`);
  }
}

before(async () => {
  server = await broker({ demo: 0 });
  browser = await Browser.start(server.address);
});

after(async () => {
  await browser?.stop();
  await server?.stop();
});

test("somebody who has never seen HL7 comes from nothing to the report in the outbox", async () => {
  const page = await browser.window({ viewport: { width: 1040, height: 740 } });
  await page.goto("/");
  await judged(page, "first-steps");
  // 1. Generate a story and send it, while another window watches.
  const watching = await browser.window();
  await watching.goto("/");
  await watching.locator("#live-state", { hasText: /^Live$/ }).waitFor();
  await tabTo(page, '.first-steps a[href^="/generate"]');
  await pressAway(page, "Enter");
  await page.getByRole("heading", { name: /Message 1 of 12/ }).waitFor();
  await tabTo(page, "#send-all button");
  await pressAway(page, "Enter");
  assert.match(await page.locator("#result").innerText(), /12 of 12 accepted/);
  // 2. It arrives by itself.
  await watching.locator("tr[data-id]").nth(11).waitFor();
  await watching.locator("svg.spark").waitFor();
  await watching.context().close();
  // 3. A message, field by field.
  await page.goto("/?type=ORM&q=ack:AA");
  await page.keyboard.press("ArrowUp");
  await pressAway(page, "Enter");
  assert.match(await page.locator("#panes").innerText(), /Patient Name[^]*Scheduled Station AE Title/);
  // 4. What a scanner sees.
  await page.goto("/worklist");
  assert.match(await page.locator("main").innerText(), /The modality sees [1-9]/);
  // 5. A study is completed and reported.
  await page.goto("/orders?state=scheduled");
  await page.keyboard.press("ArrowDown");
  await pressAway(page, "Enter");
  const order = page.url();
  await tabTo(page, 'form:has(input[value="completed"]) button');
  await pressAway(page, "Enter");
  await tabTo(page, "details > summary");
  await page.keyboard.press("Enter");
  await tabTo(page, "#text");
  await page.keyboard.type("Nothing to be seen.");
  await tabTo(page, 'form:has(input[value="final"]) button');
  await pressAway(page, "Enter");
  // 6. The report is in the outbox, and was taken; the page of the order says so by itself.
  await page.locator('svg.life[aria-label*=", delivered "]').waitFor();
  await page.goto("/outbox");
  const row = page.locator("tr[data-id]", { hasText: "with the report" });
  await row.filter({ hasText: "Sent" }).waitFor();
  await page.keyboard.press("ArrowDown");
  await pressAway(page, "Enter");
  assert.match(await page.locator("main").innerText(), /Nothing to be seen\./);
  await page.goto(order);
  assert.match(await page.locator("#happened").innerText(), /to the RIS/);
  await page.context().close();
  browser.clean();
});

test("bytes, tree and meaning keep in step, by keyboard alone", async () => {
  await send(server.mllp, [order(40)]);
  const page = await browser.window();
  await page.goto("/?q=WEBACC40");
  await page.keyboard.press("ArrowDown");
  await pressAway(page, "Enter");
  const here = () => page.locator(".here-line").innerText();
  const lit = () => page.locator("#panes .lit").evaluateAll((all) => all.map((one) => one.dataset.path));
  await tabTo(page, "#panes .lines");
  // Down to PID, then right to the patient's name, part by part.
  await page.keyboard.press("ArrowDown");
  assert.deepEqual(await lit(), ["PID-1", "PID-1"]);
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  assert.deepEqual(await lit(), ["PID-5.2", "PID-5.2"]);
  assert.match(await here(), /PID-5\.2[^]*Given Name[^]*JOHN/);
  assert.match(page.url(), /#at-PID-5\.2$/);
  // Into the fields, on, and back.
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "PID-5.2");
  await page.keyboard.press("ArrowDown");
  assert.deepEqual(await lit(), ["PID-7", "PID-7"]);
  await page.keyboard.press("m");
  assert.ok(await page.evaluate(() => document.activeElement.matches("#panes .lines")));
  await page.keyboard.press("End");
  assert.match(await here(), /OBR-36[^]*Scheduled Procedure Step Start Date Time[^]*\(0040,0002\)/);
  await judged(page, "three-panes");
  // The place is in the address.
  await page.reload();
  assert.match(await here(), /OBR-36/);
  // The pointer marks too, and leaves what was chosen.
  await page.locator('#panes .lines [data-path="PID-3"]').hover();
  assert.match(await here(), /PID-3/);
  await page.locator("h1").hover();
  assert.match(await here(), /OBR-36/);
  await page.context().close();
  browser.clean();
});

test("a message from a template is sent wrong on purpose, by keyboard alone", async () => {
  const page = await browser.window({ viewport: { width: 1040, height: 620 } });
  await page.goto("/send");
  await tabTo(page, 'a[href="/send?template=report"]');
  await pressAway(page, "Enter");
  assert.match(await page.locator("#message").inputValue(), /ORU\^R01/);
  const breaks = async (name, said) => {
    await tabTo(page, "#break");
    await page.keyboard.type(name);
    await tabTo(page, ".tool .main-button");
    await pressAway(page, "Enter");
    assert.match(await page.locator("#result").innerText(), said);
  };
  await breaks("Two delimiters", /Sent wrong on purpose: Two delimiters of MSH-2 are the same; AR[^]*AR[^]*connected to/);
  await judged(page, "send-broken");
  await breaks("Half a message", /no answer[^]*and hung up/);
  await breaks("Report without text", /Report without text; AR[^]*AR[^]*Missing OBX-5/);
  await page.context().close();
  browser.clean();
});

test("the documentation is read by keyboard alone", async () => {
  const page = await browser.window();
  await page.goto("/");
  await tabTo(page, 'nav a[href="/docs"]');
  await pressAway(page, "Enter");
  await tabTo(page, '.cards a[href="/docs/conformance"]');
  await pressAway(page, "Enter");
  assert.match(await page.locator("article").innerText(), /Accession Number[^]*OBR-2/);
  await tabTo(page, 'a[href="/docs/guide/hl7-from-zero"]');
  await pressAway(page, "Enter");
  const first = await page.locator("h1").innerText();
  await pressAway(page, "n");
  assert.notEqual(await page.locator("h1").innerText(), first);
  await pressAway(page, "p");
  assert.equal(await page.locator("h1").innerText(), first);
  // The pictures are the program's own.
  await page.goto("/docs/guide/web");
  const [wide] = await page.locator("article img").evaluateAll(
    (all) => Promise.all(all.map(async (one) => { one.loading = "eager"; await one.decode(); return one.naturalWidth; })),
  );
  assert.ok(wide > 100);
  await page.context().close();
  browser.clean();
});

test("no page asked anybody but its own host", () => browser.clean());
