// Tests the dashboard in a real browser, with a running server.
//
//     cd WHERE-PLAYWRIGHT-CORE-IS && node …/web/test/dashboard.mjs http://127.0.0.1:8080 /usr/bin/chromium [below]
//
// With "below", a proxy serves the dashboard below a path and removes that path.
//
// playwright-core (and axe-core, if installed) are loaded from the working directory. Prints one
// line per check. Exits with status 1 if a check failed.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { below } from "./below.mjs";
import { launch, require } from "./browser.mjs";

const server = (process.argv[2] ?? "http://127.0.0.1:8080").replace(/\/$/, "");
const proxy = process.argv[4] === "below" ? await below(server) : null;
const base = proxy?.base ?? server;
const executablePath = process.argv[3] ?? "/usr/bin/chromium";

const errors = [];
const externalRequests = [];
let failed = 0;

function check(what, holds, detail = "") {
  if (!holds) failed += 1;
  console.log(`${holds ? "ok  " : "FAIL"} ${what}${detail === "" ? "" : `: ${detail}`}`);
}

async function until(what, milliseconds, test) {
  const end = Date.now() + milliseconds;
  let last;
  while (Date.now() < end) {
    last = await test();
    if (last) return last;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  check(what, false, "not within time");
  return last;
}

const get = async (path) => (await fetch(base + path)).json();
const streams = async () => (await get("/v1/status")).streams;
// Within a second, some of 25 symbols receive a tick that changes their text.
const prices = (page) =>
  page.$$eval("#watchlist tr[data-symbol] td.price", (cells) =>
    cells.map((cell) => cell.textContent),
  );
const live = (page) => page.waitForSelector('#connection[data-state="live"]', { timeout: 15_000 });

function watch(page) {
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== "data:" && protocol !== "blob:" && origin !== new URL(base).origin)
      externalRequests.push(request.url());
  });
}

const browser = await launch(executablePath);

async function open(context, path = "/") {
  const page = await context.newPage();
  watch(page);
  await page.goto(base + path);
  return page;
}

try {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    reducedMotion: "reduce",
  });
  const before = await streams();
  const page = await open(context);
  await live(page);
  await page.waitForSelector("#watchlist tr[data-symbol]");

  // Prices change, and have the digits of the server.
  await until("prices are there", 5_000, async () =>
    (await prices(page)).every((text) => text !== "—"),
  );
  const first = await prices(page);
  const moved = await until("prices move", 5_000, async () =>
    (await prices(page)).some((text, at) => text !== first[at]),
  );
  check("prices move", Boolean(moved));
  const drawn = await until("sparklines are drawn", 10_000, () =>
    page.$$eval(
      "#watchlist td.trend canvas",
      (canvases) =>
        canvases.length > 0 &&
        canvases.every((canvas) => {
          if (canvas.width === 0) return false;
          const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {
            willReadFrequently: true,
          });
          copy.drawImage(canvas, 0, 0);
          const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
          // Every column of pixels of a full line contains a pixel.
          const columns = new Set();
          for (let at = 3; at < data.length; at += 4)
            if (data[at] > 0) columns.add(((at - 3) / 4) % canvas.width);
          return columns.size >= canvas.width * 0.9;
        }),
    ),
  );
  check("sparklines are drawn", Boolean(drawn));
  const exact = await until("prices are written as the server writes them", 5_000, async () => {
    const symbol = await page.$eval("#watchlist tr[data-symbol]", (row) => row.dataset.symbol);
    const raw = await (await fetch(`${base}/v1/prices/${encodeURIComponent(symbol)}`)).text();
    const text = await page.textContent(`#watchlist tr[data-symbol="${symbol}"] td.price`);
    return new RegExp(`"price":${text.replace(".", "\\.")}[,}]`).test(raw);
  });
  check("prices are written as the server writes them", Boolean(exact));
  await until(
    "updates are counted",
    5_000,
    async () => Number(await page.textContent("#rate")) > 0,
  );
  const lag = await until(
    "the lag is shown",
    5_000,
    async () => /^\d+ ms$/.exec(await page.textContent("#lag"))?.[0],
  );
  check("the lag is shown", Boolean(lag), lag);
  check("the sources are shown", (await page.$$("#sources li[data-state]")).length > 0);

  // A symbol is added and removed on the existing stream.
  const stream = await page.getAttribute("#connection", "data-stream");
  const { symbols } = await get("/v1/symbols?limit=1000");
  const shown = new Set(
    await page.evaluate(
      () => new URLSearchParams(location.search).get("symbols")?.split(",") ?? [],
    ),
  );
  const held = new Set(
    await page.$$eval("#watchlist tr[data-symbol]", (rows) =>
      rows.map((row) => row.dataset.symbol),
    ),
  );
  const fresh = symbols
    .map(({ symbol }) => symbol)
    .findLast((symbol) => !shown.has(symbol) && !held.has(symbol));
  await page.fill("#search", fresh);
  await page.waitForSelector("#found li");
  await page.keyboard.press("Enter");
  const row = `#watchlist tr[data-symbol="${fresh}"]`;
  await page.waitForSelector(row);
  const priced = await until(
    "an added symbol has a price",
    5_000,
    async () => (await page.textContent(`${row} td.price`)) !== "—",
  );
  check("an added symbol has a price", Boolean(priced), fresh);
  check("it is in the address", decodeURIComponent(page.url()).includes(fresh));
  await page.click(`${row} button.remove`);
  await page.waitForSelector(row, { state: "detached" });
  check("a removed symbol is gone", (await page.$(row)) === null);
  // Changes are processed in order: when this change is complete, the previous one is complete too.
  await page.fill("#search", fresh);
  await page.waitForSelector("#found li");
  await page.keyboard.press("Enter");
  const again = await until("it comes back", 5_000, async () =>
    /\d/.test(await page.textContent(`${row} td.price`)),
  );
  check("it comes back", Boolean(again));
  await page.click(`${row} button.remove`);
  check(
    "it is still the same stream",
    (await page.getAttribute("#connection", "data-stream")) === stream,
  );
  check("there is one stream", (await streams()) - before === 1, (await streams()) - before);

  // Tests the keyboard without a pointer.
  const order = () =>
    page.$$eval("#watchlist tr[data-symbol]", (rows) => rows.map((each) => each.dataset.symbol));
  const [one, two] = await order();
  await page.focus(`#watchlist tr[data-symbol="${one}"] button.name`);
  await page.keyboard.press("Alt+ArrowDown");
  await page.waitForFunction(
    (symbol) => document.querySelector("#watchlist tr[data-symbol]").dataset.symbol === symbol,
    two,
  );
  check("Alt+Down moves a row", (await order())[1] === one);
  await page.keyboard.press("ArrowUp");
  check("Up selects the row above", (await page.getAttribute("#chart", "data-symbol")) === two);

  // Tests that fetched candles and streamed ticks fit together without a gap.
  for (const interval of ["1s", "1m"]) {
    await page.click(`#intervals button[value="${interval}"]`);
    await page.waitForSelector(`#chart[data-interval="${interval}"]`);
    const symbol = await page.getAttribute("#chart", "data-symbol");
    // Waits for the fetched candle, then for at least one more tick.
    const fetched = await page.waitForFunction(
      () => window.tickcastLastCandle && JSON.stringify(window.tickcastLastCandle),
    );
    await page.waitForFunction(
      (before) => JSON.stringify(window.tickcastLastCandle) !== before,
      await fetched.jsonValue(),
    );
    let serverCandle;
    let shownCandle;
    const same = await until(`the last ${interval} candle is the server's`, 8_000, async () => {
      ({
        candles: [serverCandle],
      } = await get(`/v1/candles/${encodeURIComponent(symbol)}?interval=${interval}&limit=1`));
      shownCandle = await page.evaluate(() => window.tickcastLastCandle);
      return (
        shownCandle &&
        ["time", "open", "high", "low", "close"].every(
          (part) => shownCandle[part] === serverCandle[part],
        )
      );
    });
    check(
      `the last ${interval} candle is the server's`,
      Boolean(same),
      JSON.stringify(shownCandle),
    );
  }

  // Tests six tabs over one connection. Over HTTP/1.1, browsers open six connections per host: six
  // streams would block all other requests.
  const tabs = [page];
  for (let count = 1; count < 6; count += 1)
    tabs.push(
      await open(
        context,
        "/?symbols=" +
          symbols
            .slice(count, count + 8)
            .map(({ symbol }) => encodeURIComponent(symbol))
            .join(","),
      ),
    );
  for (const tab of tabs) {
    await live(tab);
    await tab.bringToFront();
    await until("a tab has prices", 5_000, async () =>
      (await prices(tab)).every((text) => text !== "—"),
    );
    const then = await prices(tab);
    const moves = await until("a tab is live", 8_000, async () =>
      (await prices(tab)).some((text, at) => text !== then[at]),
    );
    check(`tab ${tabs.indexOf(tab) + 1} is live`, Boolean(moves));
  }
  check("six tabs share a stream", (await streams()) - before === 1, (await streams()) - before);
  for (const tab of tabs.slice(1)) await tab.close();

  // Tests the widget in its iframe.
  const frame = await open(
    context,
    "/embed?symbols=" +
      encodeURIComponent(
        symbols
          .slice(0, 4)
          .map(({ symbol }) => symbol)
          .join(","),
      ) +
      "&theme=light",
  );
  const items = await until("the embedded ticker has prices", 5_000, () =>
    frame.evaluate(
      () =>
        [
          ...document.querySelector("tickcast-ticker").shadowRoot.querySelectorAll("li .price"),
        ].filter((each) => each.textContent !== "—").length === 4,
    ),
  );
  check("the embedded ticker has prices", Boolean(items));
  const isSimulated = await until("the embedded ticker says that they are simulated", 5_000, () =>
    frame.evaluate(
      () =>
        document.querySelector("tickcast-ticker").shadowRoot.querySelector("p").textContent ===
        "Simulated prices",
    ),
  );
  check("the embedded ticker says that they are simulated", isSimulated === true);

  // Tests the example of docs/pages.md, unchanged, on a page of another origin.
  const guide = readFileSync(new URL("../../docs/pages.md", import.meta.url), "utf8");
  const tenLines = /```html\n([^]*?)```/.exec(guide)[1].replaceAll("http://localhost:8080", base);
  const guided = await context.newPage();
  watch(guided);
  await guided.setContent(tenLines);
  const shows = await until(
    "the guide's page shows prices",
    5_000,
    async () =>
      (await guided.$$eval(
        "b",
        (each) => each.filter(({ textContent }) => /\d/.test(textContent)).length,
      )) === 2,
  );
  check("the guide's page shows prices", Boolean(shows));

  // The example uses a relative address, so the host is added.
  const hook = /```jsx\n([^]*?)```/.exec(guide)[1].replace("/v1/stream", `${base}/v1/stream`);
  const react = await context.newPage();
  watch(react);
  await react.route("**/favicon.ico", (route) => route.fulfill({ status: 204 }));
  // A page of this origin. The answers of the server run no scripts.
  const blank = `${base}/blank`;
  await react.route(blank, (route) => route.fulfill({ contentType: "text/html", body: "" }));
  await react.goto(blank);
  for (const name of ["react", "react-dom"]) {
    const folder = dirname(require.resolve(`${name}/package.json`));
    await react.addScriptTag({ path: join(folder, "umd", `${name}.production.min.js`) });
  }
  await react.evaluate((hook) => {
    const usePrices = new Function("useState", "useEffect", `${hook}; return usePrices;`)(
      React.useState,
      React.useEffect,
    );
    const App = ({ symbols }) => {
      const prices = usePrices(symbols);
      return React.createElement(
        "b",
        null,
        symbols.map((symbol) => `${symbol} ${prices[symbol]?.price}`).join(" "),
      );
    };
    const root = ReactDOM.createRoot(document.body.appendChild(document.createElement("div")));
    window.show = (...symbols) => root.render(React.createElement(App, { symbols }));
    window.show("AAPL");
  }, hook);
  const hooked = async (pattern) => pattern.test((await react.textContent("b")) ?? "");
  await react.waitForSelector("b");
  check(
    "the guide's hook shows prices",
    Boolean(await until("the guide's hook shows prices", 5_000, () => hooked(/^AAPL \d/))),
  );
  await react.evaluate(() => window.show("AAPL", "BTC-USD"));
  check(
    "and others later",
    Boolean(await until("and others later", 5_000, () => hooked(/^AAPL \d.* BTC-USD \d/))),
  );
  await react.close();

  // Tests the page of the routes against the OpenAPI document of this server.
  const docs = await open(context, "/docs");
  await docs.waitForSelector("#get-v1-prices");
  const { paths } = await get("/openapi.json");
  const routes = Object.values(paths).flatMap((methods) => Object.keys(methods)).length;
  check("every route is listed", (await docs.$$("#routes section")).length === routes, routes);
  const latest = await until("the ten lines do what they say", 5_000, async () =>
    /^[A-Z]/.test(await docs.textContent("#latest")),
  );
  check("the ten lines do what they say", Boolean(latest));
  for (const section of await docs.$$("#routes section:has(button.run)")) {
    const route = await section.getAttribute("aria-label");
    await (await section.$("button.run")).click();
    const answered = await until(`${route} answers`, 5_000, async () =>
      /^200\n/.test(await (await section.$(".answer")).textContent()),
    );
    check(`${route} answers`, Boolean(answered));
  }
  const laidOut = await docs.textContent("#get-v1-prices .answer");
  const ticks = await docs.textContent('section[id^="get-v1-ticks"] .answer');
  check("a tick stays a line", /^200\n(\{"symbol":[^\n]*\}\n)+/.test(ticks), ticks.slice(0, 80));
  check(
    "an answer is laid out",
    /^200\n\{\n {2}"cursor": "[^"]+",\n {2}"prices": \[\n {4}\{\n {6}"symbol": /.test(laidOut),
    laidOut.slice(0, 80),
  );

  // Tests accessibility in both themes, on a desktop and on a phone.
  let axe;
  try {
    axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
  } catch {
    console.log("--   axe-core is not installed: accessibility not checked");
  }
  for (const scheme of axe ? ["light", "dark"] : []) {
    for (const [path, width, there] of [
      ["/", 1440, '#connection[data-state="live"]'],
      ["/", 390, '#connection[data-state="live"]'],
      [`/embed?symbols=*&theme=${scheme}`, 600, 'tickcast-ticker[data-connection="live"]'],
      ["/docs", 1280, "#get-v1-prices"],
      ["/docs", 390, "#get-v1-prices"],
    ]) {
      const themed = await browser.newContext({
        viewport: { width, height: 844 },
        colorScheme: scheme,
      });
      const checked = await open(themed, path);
      await checked.waitForSelector(there, { timeout: 15_000 });
      await checked.evaluate(axe);
      const { violations } = await checked.evaluate(() => window.axe.run());
      const serious = violations.filter(
        ({ impact }) => impact === "serious" || impact === "critical",
      );
      const details = serious
        .map(
          ({ id, nodes }) =>
            `${id} ${nodes.length}× ${nodes[0].html.slice(0, 120)} ${nodes[0].any[0]?.message ?? ""}`,
        )
        .join("; ");
      check(
        `axe finds nothing serious in ${path} ${scheme} ${width}`,
        serious.length === 0,
        details,
      );
      await themed.close();
    }
  }

  check(
    "the console has no errors",
    errors.length === 0,
    [...new Set(errors)].slice(0, 5).join(" | "),
  );
  check(
    "no request goes to another host",
    externalRequests.length === 0,
    externalRequests.slice(0, 3).join(" "),
  );
  if (proxy)
    check(
      "every request is below the path",
      proxy.otherPaths.length === 0,
      proxy.otherPaths.slice(0, 3).join(" "),
    );
} finally {
  await browser.close();
  proxy?.close();
}
process.exitCode = failed > 0 ? 1 : 0;
