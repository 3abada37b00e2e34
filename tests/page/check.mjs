// What tests/blackbox/page/browser.rs asks of the page in a browser: `node check.mjs SCENARIO URL [VALUE]`. Prints what it
// has found; a fault ends it with status 1.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { launch, live, open, row } from "./browser.mjs";

const [scenario, url, value] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const scenarios = {
  // A worker that is killed is there with its successor, without a reload; how long that took.
  async crashes(browser) {
    const { page, faults } = await open(browser, url);
    await live(page);
    const slot = await page.locator("#slots tr").first().getAttribute("data-slot");
    await page.evaluate(() => document.body.dataset.same = "yes");
    const times = [];
    for (let n = 0; n < Number(value); n++) {
      const pid = await row(page, slot).locator(".pid").textContent();
      const seen = page.waitForFunction(
        ([slot, pid]) => {
          const row = document.querySelector(`#slots tr[data-slot="${slot}"]`);
          const now = row.querySelector(".pid").textContent;
          return row.dataset.phase === "ready" && now !== pid && now !== "–" && performance.timeOrigin + performance.now();
        },
        [slot, pid],
        { polling: "raf" },
      );
      const killed = performance.timeOrigin + performance.now();
      process.kill(Number(pid), "SIGKILL");
      times.push(await (await seen).jsonValue() - killed);
    }
    assert.equal(await page.evaluate(() => document.body.dataset.same), "yes", "the page was loaded again");
    assert.match(await row(page, slot).locator(".death .words").textContent(), /^was killed by SIGKILL/);
    times.sort((a, b) => a - b);
    const at = (part) => times[Math.min(times.length - 1, Math.floor(part * times.length))].toFixed(0);
    console.log(`crash to page: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, ${times.length} crashes`);
    return faults;
  },

  // Without a script: the same table, the deaths by a link, the lines by a link; it is loaded again by itself.
  async plain(browser) {
    const { page, faults } = await open(browser, url, { javaScriptEnabled: false });
    const first = page.locator("#slots tr").first();
    const slot = await first.getAttribute("data-slot");
    await first.locator("a.why").click();
    assert.match(await page.locator(".deaths pre").first().textContent(), /<\/script>/);
    await page.locator(`a.log-of[data-log="${slot}"]`).first().click();
    assert.match(await page.locator("#log").textContent(), /<img src=x onerror=/);
    assert.equal(await page.locator("[data-script]:visible").count(), 0, "a control without a script");
    await page.waitForEvent("load", { timeout: 10_000 });
    return faults;
  },

  // What workers, paths and names say stays text.
  async hostile(browser) {
    const { page, faults } = await open(browser, url);
    await live(page);
    await page.waitForFunction(() => document.querySelector("#log").textContent.includes("<img src=x onerror="));
    const first = page.locator("#slots tr").first();
    await first.locator("a.why").click();
    await page.waitForFunction(() => document.querySelector(".deaths pre")?.textContent.includes("</script>"));
    assert.equal(await page.locator("#log img, .deaths img, h1 img, #log script").count(), 0);
    assert.equal(await page.locator("script").count(), 1);
    assert.match(await page.locator("#plan").textContent(), /<b>&/);
    assert.ok(!(await page.locator("#log").textContent()).includes("\u001b"), "an escape sequence is shown");
    return faults;
  },

  // pm is stopped and started again: the page goes on by itself.
  async restart(browser) {
    const { page, faults } = await open(browser, url);
    await live(page);
    const pid = await page.locator(".pid").first().textContent();
    console.log("restart");
    await page.waitForSelector('#live[data-state="lost"]');
    await page.waitForFunction((pid) => {
      const now = document.querySelector(".pid")?.textContent;
      return now !== pid && now !== "–" && document.querySelector("#live").dataset.state === "live";
    }, pid);
    return faults;
  },

  // The next run has other pools: those lines are gone that were selected, and all of the new ones are there.
  async other(browser) {
    const { page, faults } = await open(browser, `${url}?log=${value}`);
    await live(page);
    await page.waitForSelector("#log .line");
    console.log("restart");
    await page.waitForFunction((old) => {
      const names = [...document.querySelectorAll("#slots tr")].map((row) => row.dataset.slot);
      return names.length === 1 && !names[0].startsWith(`${old}.`) && document.querySelector("#live").dataset.state === "live";
    }, value);
    assert.equal(new URL(page.url()).search, "");
    await page.waitForFunction(() => document.querySelectorAll("#log .line").length === 9);
    assert.deepEqual(await page.locator("#sources > a").allTextContents(), ["all", "other"]);
    return faults.filter((fault) => !fault.startsWith(`request: ${new URL(url).origin}/`));
  },

  // A terminal would show a title, a link and a set of characters as nothing.
  async sequences(browser) {
    const { page, faults } = await open(browser, url);
    const shown = ["link", "after"];
    const lines = () => page.locator("#log .line span").allTextContents();
    assert.deepEqual(await lines(), shown, "in the page itself");
    await live(page);
    await page.evaluate(() => document.querySelector("#log").replaceChildren());
    process.kill(Number(await page.locator(".pid").first().textContent()), "SIGKILL");
    await page.waitForFunction(() => document.querySelectorAll("#log .line").length === 3);
    assert.deepEqual((await lines()).slice(1), shown, "in the stream");
    return faults;
  },

  // axe-core finds nothing, in both schemes, wide and narrow, with the deaths open.
  async access(browser) {
    const faults = [];
    for (const colorScheme of ["light", "dark"]) {
      for (const width of [1280, 400]) {
        const options = { colorScheme, viewport: { width, height: 900 }, bypassCSP: true };
        const { page } = await open(browser, url, options);
        await live(page);
        await page.locator("#slots a.why:visible").first().click();
        await page.waitForSelector(".deaths");
        await page.waitForSelector("#log .line");
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => globalThis.axe.run());
        const found = violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`));
        faults.push(...found.map((fault) => `${colorScheme} ${width}: ${fault}`));
        const small = await page.evaluate(() =>
          [...document.querySelectorAll("a, button, input:not([type=checkbox]), label.check, summary")]
            .filter((element) => element.offsetParent && !element.matches(".skip"))
            .map((element) => [element.textContent || element.id, element.getBoundingClientRect()])
            .filter(([, { width, height }]) => width < 44 || height < 44)
            .map(([name, { width, height }]) => `${name}: ${width} x ${height}`)
        );
        faults.push(...small.map((target) => `${colorScheme} ${width}: a small target: ${target}`));
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (overflow > 0) faults.push(`${width}: wider than the window by ${overflow}`);
        await page.context().close();
      }
    }
    return faults;
  },

  // Keys, the filter, the selection of lines, and what is said to a screen reader.
  async keys(browser) {
    const { page, faults } = await open(browser, url);
    await live(page);
    const slot = await page.locator("#slots tr").first().getAttribute("data-slot");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
    await page.keyboard.press("j");
    assert.equal(await page.evaluate(() => document.activeElement.dataset.log), slot);
    await page.keyboard.press("Enter");
    await page.waitForFunction((slot) => {
      const names = [...document.querySelectorAll("#log .line b")].map((name) => name.textContent);
      return names.length > 0 && names.every((name) => name === slot);
    }, slot);
    assert.match(await page.locator("#download").getAttribute("href"), /slots=/);
    await page.keyboard.press("/");
    await page.keyboard.type("onerror");
    await page.waitForFunction(() => / of /.test(document.querySelector("#count").textContent));
    assert.equal(await page.locator("#log .line:visible", { hasNotText: "onerror" }).count(), 0);
    await page.keyboard.press("Escape");
    await page.locator("#slot-filter").fill("no such slot");
    assert.ok(await page.locator("#no-slots").isVisible());
    await page.locator("#slot-filter").fill("");
    const why = row(page, slot).locator("a.why");
    await why.focus();
    await page.keyboard.press("Space");
    await page.waitForSelector(".deaths");
    assert.equal(await why.getAttribute("aria-expanded"), "true");
    const pid = Number(await row(page, slot).locator(".pid").textContent());
    process.kill(pid, "SIGKILL");
    await page.waitForFunction((slot) => document.querySelector("#said").textContent.startsWith(slot), slot);
    assert.equal(await page.evaluate(() => document.activeElement.className), "why", "the focus is kept");
    return faults;
  },
};

const browser = await launch();
try {
  const faults = await scenarios[scenario](browser);
  for (const fault of faults) console.log(fault);
  process.exitCode = faults.length ? 1 : 0;
} finally {
  await browser.close();
}
