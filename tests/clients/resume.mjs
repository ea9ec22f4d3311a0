// Reads every tick with the browser's own EventSource. Prints a line for each required number of connections. After a line with the
// number of the last tick, prints the gaps, the duplicates, the resets, and the number of connections.
import { chromium } from "playwright-core";
import { createInterface } from "node:readline";

const [url, executablePath] = process.argv.slice(2);
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath, args });
const page = await browser.newPage();
// A page of this origin. The answers of the server run no scripts.
const blank = `${url}/blank`;
await page.route(blank, (route) => route.fulfill({ contentType: "text/html", body: "" }));
await page.goto(blank);
await page.evaluate(() => {
  const seen = (window.seen = { last: 0, gaps: [], duplicates: [], resets: 0, ready: 0, resumed: 0 });
  const source = new EventSource("/v1/stream?mode=all&symbols=A&since=start");
  source.addEventListener("tick", (event) => {
    const { n } = JSON.parse(event.data);
    if (n <= seen.last) seen.duplicates.push(n);
    else if (n !== seen.last + 1) seen.gaps.push([seen.last, n]);
    seen.last = Math.max(n, seen.last);
  });
  source.addEventListener("ready", (event) => {
    seen.ready += 1;
    seen.resumed += JSON.parse(event.data).resumed ? 1 : 0;
  });
  source.addEventListener("reset", () => (seen.resets += 1));
});
const ready = async (count) => {
  await page.waitForFunction((count) => window.seen.ready >= count, count, { timeout: 60_000 });
  console.log("ready");
};
await ready(1);
for await (const line of createInterface({ input: process.stdin })) {
  const [what, number] = line.split(" ");
  if (what === "ready") {
    await ready(Number(number));
    continue;
  }
  await page.waitForFunction((last) => window.seen.last >= last, Number(number), { timeout: 60_000 });
  console.log(JSON.stringify(await page.evaluate(() => window.seen)));
  break;
}
await browser.close();
