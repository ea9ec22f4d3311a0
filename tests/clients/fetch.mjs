// Reads a stream of the server at URL with fetch, on a page of another origin (ORIGIN), and reconnects with `Last-Event-ID`, as
// fetch-event-source does. Each line of standard input is a number of prices to wait for. The script then prints what it received.
import { chromium } from "playwright-core";
import { createInterface } from "node:readline";

const [origin, url, executablePath] = process.argv.slice(2);
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath, args });
// Any page of this origin. The answers of the server run no scripts, so the browser is told to ignore that.
const page = await browser.newPage({ bypassCSP: true });
await page.goto(`${origin}/healthz`);
await page.evaluate((url) => {
  const received = (window.received = { prices: [], resumed: [] });
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
        if (field("event") === "tick") received.prices.push(JSON.parse(field("data")).price);
        if (field("event") === "ready") received.resumed.push(JSON.parse(field("data")).resumed);
      }
    }
  };
  const readForever = () => read().catch(() => {}).then(() => setTimeout(readForever, 100));
  readForever();
}, url);
for await (const line of createInterface({ input: process.stdin })) {
  const hasReceived = (count) => window.received.prices.length >= count && window.received.resumed.length >= count;
  await page.waitForFunction(hasReceived, Number(line), { timeout: 60_000 });
  console.log(JSON.stringify(await page.evaluate(() => window.received)));
}
await browser.close();
