// Prints what Chromium's own EventSource receives from the simple stream at URL, as one JSON object.
import { chromium } from "playwright-core";

const [url, executablePath] = process.argv.slice(2);
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath, args });
const page = await browser.newPage();
const errors = [];
const externalRequests = [];
page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
page.on("pageerror", (error) => errors.push(String(error)));
page.on("request", (request) => request.url().startsWith(url) || request.url().startsWith("data:") || externalRequests.push(request.url()));

await page.goto(url);

// The browser's own client receives only ticks from the same stream, each with its symbol as the id.
const events = await page.evaluate(() => new Promise((resolve) => {
  const seen = [];
  const source = new EventSource("/prices/stream?symbols=AAPL,BTC*");
  const record = (event) => {
    seen.push([event.type, event.lastEventId, JSON.parse(event.data).symbol]);
    if (seen.length === 10) { source.close(); resolve(seen); }
  };
  source.addEventListener("tick", record);
  source.addEventListener("message", record);
}));
console.log(JSON.stringify({ errors, externalRequests, events, title: await page.title() }));
await browser.close();
