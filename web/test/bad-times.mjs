// Tests the dashboard, and the widget on a page of another origin, while sources become silent and
// the server stops.
//
//     cd WHERE-PLAYWRIGHT-CORE-IS && node …/web/test/bad-times.mjs http://127.0.0.1:8080 /usr/bin/chromium
//
// Reads from standard input what to wait for, one line each, and prints "ok" when the condition is
// true. After "end", prints everything that the pages have shown:
//
//     price SYMBOL TEXT    both pages show this price
//     state SYMBOL STATE   both pages show this state of the symbol (nothing if "live")
//     fresh SYMBOL STATE   a newly opened page shows this state of the symbol
//     panel TEXT STATE     the dashboard's panel shows this price and state of its first symbol
//     connection STATE     both pages show this state of their connection

import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { launch } from "./browser.mjs";

const [base, executablePath] = process.argv.slice(2);
const LIMIT = { timeout: 40_000 };

const otherOrigin = createServer((_, response) => {
  response.setHeader("content-type", "text/html");
  response.end(`<!doctype html><title>otherOrigin</title><link rel="icon" href="data:,">
<script src="${base}/tickcast.js" defer></script><tickcast-ticker symbols="A,B"></tickcast-ticker>`);
});
await new Promise((resolve) => otherOrigin.listen(0, "127.0.0.1", resolve));

const browser = await launch(executablePath);
const context = await browser.newContext();
const errors = [];

async function open(address) {
  const page = await context.newPage();
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    // The browser itself reports that a server is not reachable.
    const serverAbsent = /ERR_(CONNECTION|INCOMPLETE|EMPTY|NETWORK)/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !serverAbsent) errors.push(message.text());
  });
  await page.goto(address);
  return page;
}

const dashboard = await open(`${base}/?symbols=A,B`);
const widget = await open(`http://127.0.0.1:${otherOrigin.address().port}/`);

// Records every shown price, even if it is visible for a short time only.
await dashboard.evaluate(() => {
  window.shown = new Set();
  const note = () =>
    document
      .querySelectorAll('#watchlist tr[data-symbol="A"] td.price')
      .forEach((cell) => window.shown.add(cell.textContent));
  new MutationObserver(note).observe(document.querySelector("#watchlist"), {
    childList: true,
    characterData: true,
    subtree: true,
  });
  note();
});

const inRow = (page, test, ...values) => page.waitForFunction(test, values, LIMIT);
const rowPrice = ([symbol, text]) =>
  document.querySelector(`#watchlist tr[data-symbol="${symbol}"] td.price`)?.textContent === text;
const rowState = ([symbol, state]) => {
  const row = document.querySelector(`#watchlist tr[data-symbol="${symbol}"]`);
  return row !== null && (row.dataset.state ?? "live") === state;
};
const items = `[...document.querySelector("tickcast-ticker").shadowRoot.querySelectorAll("li")]`;
const item = (symbol) =>
  `${items}.find((item) => item.querySelector(".symbol").textContent === ${JSON.stringify(symbol)})`;
const inWidget = (expression) => widget.waitForFunction(expression, undefined, LIMIT);

const waits = {
  price: async (symbol, text) => {
    await inRow(dashboard, rowPrice, symbol, text);
    await inWidget(
      `${item(symbol)}?.querySelector(".price").textContent === ${JSON.stringify(text)}`,
    );
  },
  state: async (symbol, state) => {
    await inRow(dashboard, rowState, symbol, state);
    await inWidget(`(${item(symbol)}?.dataset.state ?? "live") === ${JSON.stringify(state)}`);
  },
  panel: async (text, state) => {
    await inRow(
      dashboard,
      ([text, state]) => {
        const { dataset } = document.querySelector("#instrument");
        const [price, word, age] = ["price", "state", "age"].map(
          (part) => document.querySelector(`#big-${part}`).textContent,
        );
        // A price always has an age, and an age always has a price.
        const aged = price === "—" ? age === "" : /^(<1s|\d+[smhd])$/.test(age);
        return (
          price === text &&
          (dataset.state ?? "live") === state &&
          (word !== "") === (state !== "live") &&
          aged
        );
      },
      text,
      state,
    );
  },
  fresh: async (symbol, state) => {
    // A new context does not use the tabs' shared stream.
    const other = await browser.newContext();
    const page = await other.newPage();
    await page.goto(`${base}/?symbols=${symbol}`);
    await page.waitForSelector('#connection[data-state="live"]', LIMIT);
    await inRow(page, rowState, symbol, state);
    await other.close();
  },
  connection: async (state) => {
    await dashboard.waitForSelector(`#connection[data-state="${state}"]`, LIMIT);
    await inWidget(
      `document.querySelector("tickcast-ticker").dataset.connection === ${JSON.stringify(state)}`,
    );
  },
};

/** Returns the content of both pages, to explain a failed wait. */
async function shownNow() {
  const rows = await dashboard.$$eval("tr[data-symbol], #connection", (rows) =>
    rows.map((row) => `${row.textContent.trim()} ${JSON.stringify(row.dataset)}`),
  );
  const items = await widget.evaluate(
    `${items}.map((item) => item.textContent + " " + JSON.stringify(item.dataset))`,
  );
  const sources = await dashboard.evaluate(async () =>
    JSON.stringify((await (await fetch("/v1/status")).json()).sources),
  );
  return JSON.stringify({ rows, items, sources, at: Date.now() });
}

for await (const line of createInterface({ input: process.stdin })) {
  const [what, ...values] = line.split(" ");
  if (what === "end") break;
  try {
    await waits[what](...values);
    console.log("ok");
  } catch (error) {
    console.log(`${line}: ${String(error).split("\n")[0]}; ${await shownNow()}`);
    break;
  }
}
const rows = await dashboard.$$eval("#watchlist tr[data-symbol]", (rows) =>
  rows.map((row) => row.dataset.symbol),
);
const shown = await dashboard.evaluate(() => [...window.shown].sort());
console.log(JSON.stringify({ rows, shown, errors }));
await browser.close();
otherOrigin.close();
// The parent process may keep its end of the pipe open.
process.stdin.destroy();
