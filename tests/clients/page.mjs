// What Chromium's own EventSource makes of the simple stream at URL, as one JSON object.
import { chromium } from "playwright-core";

const [url, executablePath] = process.argv.slice(2);
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath, args });
const page = await browser.newPage();
const complaints = [];
const elsewhere = [];
page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("request", (request) => request.url().startsWith(url) || request.url().startsWith("data:") || elsewhere.push(request.url()));

await page.goto(url);

// The browser's own client, on the same stream: nothing but ticks, each with its symbol as the id.
const events = await page.evaluate(() => new Promise((resolve) => {
  const seen = [];
  const source = new EventSource("/prices/stream?symbols=AAPL,BTC*");
  const take = (event) => {
    seen.push([event.type, event.lastEventId, JSON.parse(event.data).symbol]);
    if (seen.length === 10) { source.close(); resolve(seen); }
  };
  source.addEventListener("tick", take);
  source.addEventListener("message", take);
}));
console.log(JSON.stringify({ complaints, elsewhere, events, title: await page.title() }));
await browser.close();
