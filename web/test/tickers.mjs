// Tests several tickers on one page of another origin: each ticker shows its symbols, and a ticker
// with invalid attributes does not affect the others.
//
//     cd WHERE-PLAYWRIGHT-CORE-IS && node …/web/test/tickers.mjs http://127.0.0.1:8080 /usr/bin/chromium STATE
//
// The server has prices of A, B and C from a source in state STATE. The test runs once directly and
// once below a path.

import { createServer } from "node:http";
import { below } from "./below.mjs";
import { launch } from "./browser.mjs";

const [server, executablePath, state] = process.argv.slice(2);
const proxy = await below(server);
const browser = await launch(executablePath);

// The attributes of each ticker, the names that it shows, and its note.
const TICKERS = [
  [`symbols="A,B*"`, "A B", ""],
  [`symbols="C"`, "C", ""],
  [`symbols="B PL$"`, "B", "PL$ is not a valid symbol"],
  [`symbols="$$$ ÄÖÜ"`, "", "$$$, ÄÖÜ are not valid symbols"],
  [`symbols="A" rate="fast"`, "A", `rate "fast" is invalid (expected 0.1 to 100)`],
  [`symbols="C ${Array.from({ length: 99 }, (_, n) => `X${n}*`).join(" ")}"`, "C", ""],
];

function seen() {
  return [...document.querySelectorAll("tickcast-ticker")].map((ticker) => {
    const items = [...ticker.shadowRoot.querySelectorAll("li")];
    const priced = items.filter((item) => /\d/.test(item.querySelector(".price").textContent));
    return {
      names: items.map((item) => item.querySelector(".symbol").textContent).join(" "),
      note: ticker.shadowRoot.querySelector("p").textContent,
      priced: priced.length === items.length,
      states: [...new Set(items.map((item) => item.dataset.state ?? "live"))].join(" "),
    };
  });
}

let failed = 0;
for (const base of [server, proxy.base]) {
  for (const kind of ["", ` type="module"`]) {
    const html = `<!doctype html><title>elsewhere</title><link rel="icon" href="data:,"><script${kind} src="${base}/tickcast.js"></script>
${TICKERS.map(([attributes]) => `<tickcast-ticker ${attributes}></tickcast-ticker>`).join("\n")}`;
    const otherOrigin = createServer((_, answer) =>
      answer.setHeader("content-type", "text/html; charset=utf-8").end(html),
    );
    await new Promise((resolve) => otherOrigin.listen(0, "127.0.0.1", resolve));
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${otherOrigin.address().port}/`);
    const expected = TICKERS.map(([, names, note]) => ({
      names,
      note,
      priced: true,
      states: names ? state : "",
    }));
    const expectedText = JSON.stringify(expected);
    const holds = await page
      .waitForFunction(
        `JSON.stringify((${seen})()) === ${JSON.stringify(expectedText)}`,
        undefined,
        {
          timeout: 20_000,
        },
      )
      .then(
        () => true,
        () => false,
      );
    if (!holds) failed += 1;
    console.log(
      `${holds ? "ok  " : "FAIL"} tickers are independent at ${base}${kind}${holds ? "" : `: ${JSON.stringify(await page.evaluate(seen))}`}`,
    );
    await page.close();
    otherOrigin.close();
  }
}
if (proxy.otherPaths.length > 0) failed += 1;
console.log(
  `${proxy.otherPaths.length > 0 ? "FAIL" : "ok  "} every request is below the path: ${proxy.otherPaths.slice(0, 3).join(" ")}`,
);
await browser.close();
proxy.close();
process.exitCode = failed > 0 ? 1 : 0;
