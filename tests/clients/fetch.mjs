// Reads a stream of the server at URL with fetch, on a page of the origin ELSEWHERE, and comes back with `Last-Event-ID` as
// fetch-event-source and its kin do. Each line of standard input says how many prices to wait for; then it prints what it saw.
import { chromium } from "playwright-core";
import { createInterface } from "node:readline";

const [elsewhere, url, executablePath] = process.argv.slice(2);
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath, args });
const page = await browser.newPage();
await page.goto(`${elsewhere}/healthz`);
await page.evaluate((url) => {
  const saw = (window.saw = { prices: [], resumed: [] });
  let last;
  const read = async () => {
    const headers = { accept: "text/event-stream", ...(last && { "last-event-id": last }) };
    const response = await fetch(`${url}/v1/stream?mode=all&symbols=A`, { headers, cache: "no-store" });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (text + value).split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const field = (name) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
        last = field("id") ?? last;
        if (field("event") === "tick") saw.prices.push(JSON.parse(field("data")).price);
        if (field("event") === "ready") saw.resumed.push(JSON.parse(field("data")).resumed);
      }
    }
  };
  const again = () => read().catch(() => {}).then(() => setTimeout(again, 100));
  again();
}, url);
for await (const line of createInterface({ input: process.stdin })) {
  const seen = (count) => window.saw.prices.length >= count && window.saw.resumed.length >= count;
  await page.waitForFunction(seen, Number(line), { timeout: 60_000 });
  console.log(JSON.stringify(await page.evaluate(() => window.saw)));
}
await browser.close();
