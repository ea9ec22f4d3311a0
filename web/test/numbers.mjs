// Tests that every number on the pages is completely visible at every width, in the layout of a
// real browser.
//
//     cd WHERE-PLAYWRIGHT-CORE-IS && node …/web/test/numbers.mjs http://127.0.0.1:8080 /usr/bin/chromium SYMBOL…
//
// Each symbol must have a price. Prints one line per check. Exits with status 1 if a check failed.

import { launch } from "./browser.mjs";

const [base, executablePath, ...symbols] = process.argv.slice(2);
const list = symbols.map(encodeURIComponent).join(",");
let failed = 0;

function check(what, holds, detail = "") {
  if (!holds) failed += 1;
  console.log(`${holds ? "ok  " : "FAIL"} ${what}${holds ? "" : `: ${detail}`}`);
}

/** Runs in the page. Returns the texts of the selected elements, and which of them are cut off. */
function look([selector, inWidget]) {
  const root = inWidget ? document.querySelector("tickcast-ticker").shadowRoot : document;
  const found = { cut: [], texts: {} };
  for (const element of root.querySelectorAll(selector)) {
    if (element.getClientRects().length === 0 || element.textContent === "") continue;
    const range = document.createRange();
    range.selectNodeContents(element);
    const { left, right } = range.getBoundingClientRect();
    const name =
      element.closest("[data-symbol]")?.dataset.symbol ??
      element.closest("li")?.querySelector(".symbol").textContent ??
      "";
    const part = element.id || element.className;
    found.texts[`${name} ${part}`] = element.textContent;
    // Computes the visible range in the horizontal direction: the window and all ancestors that
    // clip their content.
    let clip = { left: 0, right: innerWidth };
    for (let up = element; up; up = up.parentElement) {
      if (getComputedStyle(up).overflowX === "visible") continue;
      const box = up.getBoundingClientRect();
      clip = { left: Math.max(clip.left, box.left), right: Math.min(clip.right, box.right) };
      if (up === element && up.scrollWidth > up.clientWidth)
        found.cut.push(`${name} ${part} ${element.textContent}: wider than its box`);
    }
    // The layout uses fractions of a pixel.
    if (left < clip.left - 0.6 || right > clip.right + 0.6)
      found.cut.push(
        `${name} ${part} ${element.textContent}: ${left}–${right} in ${clip.left}–${clip.right}`,
      );
  }
  return found;
}

/** Returns a selector for the cells of these columns. */
const cells = (...columns) =>
  columns.map((column) => `#watchlist tr[data-symbol] td.${column}`).join(",");
const ROWS = cells("price", "change", "percent", "bid", "ask", "volume", "age");
const PANEL =
  "#instrument :is(.big b, .big span, .inside dd, .quote-status small, .ohlc dd), .gauges dd";

const prices = await (await fetch(`${base}/v1/prices?symbols=${list}`)).text();
/** Returns a value with the digits of the server. */
const exact = (symbol, part) =>
  prices
    .split('{"symbol":')
    .find((each) => each.startsWith(JSON.stringify(symbol)))
    ?.match(new RegExp(`"${part}":([^,}]+)`))?.[1];

const browser = await launch(executablePath);

async function open(width, height, path, there) {
  const page = await browser.newPage({ viewport: { width, height } });
  await page.goto(base + path);
  await page.waitForSelector(there);
  return page;
}

try {
  for (const [width, height] of [
    [320, 256],
    [390, 844],
    [844, 390],
    [1280, 800],
    [1366, 768],
    [1920, 1080],
    [2560, 1440],
  ]) {
    const at = `${width} × ${height}`;
    const page = await open(width, height, `/?symbols=${list}`, '#connection[data-state="live"]');
    await page.waitForFunction(
      (count) =>
        [...document.querySelectorAll("#watchlist td.price")].filter(
          (cell) => cell.textContent !== "—",
        ).length >= Math.min(count, 5),
      symbols.length,
    );
    const rows = { cut: [], texts: {} };
    for (const symbol of symbols) {
      // If the height is small, not all rows exist at once.
      await page.evaluate(
        (index) => document.querySelector("#scroller").scrollTo(0, index * 26),
        symbols.indexOf(symbol),
      );
      await page.waitForSelector(`#watchlist tr[data-symbol="${symbol}"]`);
      const seen = await page.evaluate(look, [ROWS, false]);
      rows.cut.push(...seen.cut);
      Object.assign(rows.texts, seen.texts);
    }
    check(
      `no number of the list is cut at ${at}`,
      rows.cut.length === 0,
      rows.cut.slice(0, 3).join("; "),
    );
    const wrongPrices = symbols.filter(
      (symbol) =>
        ![exact(symbol, "price"), ...(width < 390 ? ["####"] : [])].includes(
          rows.texts[`${symbol} price`],
        ),
    );
    check(
      `each price of the list is whole at ${at}`,
      wrongPrices.length === 0,
      wrongPrices.map((symbol) => `${symbol} ${rows.texts[`${symbol} price`]}`).join("; "),
    );
    const others = ["bid", "ask"]
      .flatMap((part) =>
        symbols.map((symbol) => [rows.texts[`${symbol} ${part}`], exact(symbol, part)]),
      )
      .filter(
        ([text, given]) =>
          text !== undefined && given !== undefined && text !== given && text !== "####",
      );
    check(`bid and ask are whole or marked at ${at}`, others.length === 0, JSON.stringify(others));
    if (width >= 1280)
      check(
        `one long price hides no other's bid at ${at}`,
        rows.texts["BTC-KRW bid"] === exact("BTC-KRW", "bid"),
        rows.texts["BTC-KRW bid"],
      );
    const buttons = await page.$$eval("#watchlist .remove", (each) =>
      each.every((button) => button.getBoundingClientRect().right <= innerWidth),
    );
    check(`rows can be removed at ${at}`, buttons);
    for (const symbol of symbols) {
      await page.evaluate(
        (index) => document.querySelector("#scroller").scrollTo(0, index * 26),
        symbols.indexOf(symbol),
      );
      await page.click(`#watchlist tr[data-symbol="${symbol}"] button.name`);
      const panel = await page.evaluate(look, [PANEL, false]);
      check(
        `the panel shows ${symbol} whole at ${at}`,
        panel.cut.length === 0 && panel.texts[" big-price"] === exact(symbol, "price"),
        `${panel.cut.join("; ")} ${panel.texts[" big-price"]}`,
      );
    }
    const widths = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    check(`nothing is beside the window at ${at}`, widths[0] <= widths[1], widths.join(" > "));
    await page.close();

    const embedded = await open(
      width,
      height,
      `/embed?symbols=${list}`,
      'tickcast-ticker[data-connection="live"]',
    );
    const items = await embedded.evaluate(look, ["li span:is(.price, .change)", true]);
    const whole = symbols.every(
      (symbol) => items.texts[`${symbol} price`] === exact(symbol, "price"),
    );
    check(
      `the widget shows them whole at ${at}`,
      whole && items.cut.length === 0,
      items.cut.slice(0, 3).join("; "),
    );
    const broken = await embedded.$$eval("tickcast-ticker", ([ticker]) =>
      [...ticker.shadowRoot.querySelectorAll(".price")]
        .filter((price) => {
          const range = document.createRange();
          range.selectNodeContents(price);
          return range.getClientRects().length > 1;
        })
        .map((price) => price.textContent),
    );
    if (width >= 390)
      check(`the widget shows each in one line at ${at}`, broken.length === 0, broken.join(" "));
    await embedded.close();
  }

  // Rows are visible even if the height is small: on a phone in landscape orientation, and at 400 %
  // zoom.
  for (const [width, height, least] of [
    [844, 390, 6],
    [320, 256, 2],
  ]) {
    const page = await open(width, height, `/?symbols=${list}`, "#watchlist tr[data-symbol]");
    await page.locator("#scroller").scrollIntoViewIfNeeded();
    await page.evaluate(() => document.querySelector("#scroller").scrollIntoView({ block: "end" }));
    const rows = await page.$$eval(
      "#watchlist tr[data-symbol]",
      (rows) =>
        rows.filter((row) => {
          const { top, bottom } = row.getBoundingClientRect();
          return top >= 0 && bottom <= innerHeight;
        }).length,
    );
    check(`${least} rows are in sight at ${width} × ${height}`, rows >= least, rows);
    await page.evaluate(() => document.querySelector("#chart").scrollIntoView({ block: "end" }));
    const chart = await page.$eval("#chart", (chart) => chart.getBoundingClientRect().height);
    check(
      `the chart can be scrolled to at ${width} × ${height}`,
      chart >= 100 && (await page.evaluate(() => scrollY)) > 0,
      chart,
    );
    await page.close();
  }

  // Signs stay before their numbers in pages from right to left: the first character of the text is
  // the leftmost on the screen.
  const rightToLeft = await open(1280, 800, `/?symbols=${list}`, '#connection[data-state="live"]');
  await rightToLeft.evaluate(() => document.documentElement.setAttribute("dir", "rtl"));
  const backwards = await rightToLeft.$$eval(`${ROWS}, ${PANEL}`, (elements) =>
    elements.flatMap((element) => {
      const node = [...element.childNodes].find(
        (child) => child.nodeType === Node.TEXT_NODE && child.length > 1,
      );
      if (!node || element.getClientRects().length === 0) return [];
      const place = (at) => {
        const range = document.createRange();
        range.setStart(node, at);
        range.setEnd(node, at + 1);
        return range.getBoundingClientRect().left;
      };
      return place(0) < place(node.length - 1) ? [] : [element.textContent];
    }),
  );
  check(
    "signs stand before their numbers in pages from right to left",
    backwards.length === 0,
    backwards.slice(0, 5).join(" "),
  );
  await rightToLeft.close();

  // The chart uses the forced colours of the user.
  const forced = await browser.newPage({ forcedColors: "active" });
  await forced.goto(`${base}/?symbols=${list}`);
  await forced.waitForSelector('#connection[data-state="live"]');
  const colours = await forced.waitForFunction(() => {
    const seen = new Set();
    for (const canvas of document.querySelectorAll("#chart canvas")) {
      if (canvas.width === 0 || canvas.height === 0) continue;
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      for (let at = 0; at < data.length; at += 4)
        if (data[at + 3] === 255) seen.add((data[at] + data[at + 1] + data[at + 2]) / 3);
    }
    return seen.size > 1 && Math.max(...seen) - Math.min(...seen);
  });
  check(
    "the chart can be read in forced colours",
    (await colours.jsonValue()) > 128,
    await colours.jsonValue(),
  );
} finally {
  await browser.close();
}
process.exitCode = failed > 0 ? 1 : 0;
