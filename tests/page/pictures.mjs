// Pictures of a page whose workers serve requests and crash: `node pictures.mjs URL FOLDER`.
import { launch, live, open } from "./browser.mjs";

const [url, folder] = process.argv.slice(2);
const PORTS = [8080, 8081, 8082];
const REQUESTS_EVERY_MS = 100;
const WATCHED_MS = 65_000;

// A visitor of the lab. A server that crashes answers none.
const visit = (n) => fetch(`http://127.0.0.1:${PORTS[n % PORTS.length]}/${n % 7 ? "" : "gp.png"}`).then((answer) => answer.arrayBuffer()).catch(() => {});

let n = 0;
const visits = setInterval(() => visit(n++), REQUESTS_EVERY_MS);
const browser = await launch();
try {
  const pages = [];
  for (const colorScheme of ["light", "dark"]) {
    const { page } = await open(browser, url, { colorScheme, viewport: { width: 1280, height: 1000 } });
    await live(page);
    pages.push([colorScheme, page]);
  }
  // A minute of samples.
  await new Promise((resolve) => setTimeout(resolve, WATCHED_MS));
  for (const [colorScheme, page] of pages) {
    await page.bringToFront();
    await page.locator("#slots a.why:visible").first().click();
    await page.waitForSelector(".deaths details");
    await page.mouse.move(0, 0);
    // Whose folder it is is no part of the picture.
    await page.evaluate(() => document.querySelector("#plan").textContent = "~/pm");
    await page.screenshot({ path: `${folder}/page-${colorScheme}.png` });
  }
} finally {
  clearInterval(visits);
  await browser.close();
}
