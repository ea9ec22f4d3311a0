// Shows the guide's page. Each line of standard input is a price of AAPL to wait for. The script then prints the number of
// EventSource objects that the page has created.
import { chromium } from "playwright-core";
import { createInterface } from "node:readline";

const [html, executablePath] = process.argv.slice(2);
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath, args });
const page = await browser.newPage();
const count = "window.created = 0; window.EventSource = class extends EventSource { constructor(url) { super(url); window.created += 1; } };";
await page.setContent(html.replace("<script>", `<script>${count}</script><script>`));
for await (const price of createInterface({ input: process.stdin })) {
  const shown = (price) => document.getElementById("AAPL").textContent === price;
  await page.waitForFunction(shown, price, { timeout: 60_000 });
  console.log(await page.evaluate(() => window.created));
}
await browser.close();
