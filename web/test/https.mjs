// Tests a server over HTTPS in a real browser that trusts the authority of the test: the dashboard,
// and six tabs, each with a stream of its own, over one HTTP/2 connection.
//
//     cd WHERE-PLAYWRIGHT-CORE-IS && node …/web/test/https.mjs https://localhost:8443 /usr/bin/chromium CA.pem
//
// The server simulates a market. `certutil` must be in the path.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch } from "./browser.mjs";

const [server, executablePath, authority] = process.argv.slice(2);
const TABS = 6;
let failed = 0;

function check(what, holds, detail = "") {
  if (!holds) failed += 1;
  console.log(`${holds ? "ok  " : "FAIL"} ${what}${detail === "" ? "" : `: ${detail}`}`);
}

/** Returns a home folder, in which Chromium finds the authorities that its user trusts. */
function home(trusted) {
  const folder = mkdtempSync(join(tmpdir(), "tickcast-https-"));
  const database = join(folder, ".pki/nssdb");
  mkdirSync(database, { recursive: true });
  const certutil = (...more) => execFileSync("certutil", ["-d", `sql:${database}`, ...more]);
  certutil("-N", "--empty-password");
  if (trusted) certutil("-A", "-t", "C,,", "-n", "test", "-i", authority);
  return folder;
}

/** Opens a page, and records the connections of its event streams. */
async function open(context, connections) {
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  session.on("Network.responseReceived", ({ response }) => {
    if (response.mimeType === "text/event-stream")
      connections.push(`${response.protocol} ${response.connectionId}`);
  });
  await page.goto(`${server}/`);
  await page.waitForSelector('#connection[data-state="live"]', { timeout: 60_000 });
  return page;
}

/** Opens a stream in a page, and returns its first two ticks. */
const ticks = (page) =>
  page.evaluate(
    () =>
      new Promise((resolve) => {
        const seen = [];
        const prices = new EventSource("/v1/stream");
        prices.addEventListener("tick", ({ data }) => {
          if (seen.push(JSON.parse(data).symbol) === 2) resolve(seen);
        });
      }),
  );

const folders = [home(false), home(true)];
const [stranger, browser] = await Promise.all(
  folders.map((folder) => launch(executablePath, { ...process.env, HOME: folder })),
);
try {
  const refused = await (await stranger.newPage()).goto(`${server}/`).catch((error) => error);
  check("without the authority, the browser refuses", /ERR_CERT_AUTHORITY/.test(refused.message));

  const context = await browser.newContext();
  const connections = [];
  const tabs = [];
  for (let count = 0; count < TABS; count += 1) tabs.push(await open(context, connections));
  check("the page is secure", await tabs[0].evaluate(() => window.isSecureContext));
  const seen = await Promise.all(tabs.map(ticks));
  check("each tab reads a stream of its own", seen.flat().length === 2 * TABS);
  // The browser reports a response some time after the page has its first events.
  const end = Date.now() + 30_000;
  while (connections.length < TABS && Date.now() < end)
    await new Promise((resolve) => setTimeout(resolve, 50));
  check("there is a stream for each tab", connections.length >= TABS, connections.length);
  check(
    "over HTTP/2",
    connections.every((connection) => connection.startsWith("h2 ")),
  );
  check("over one connection", new Set(connections).size === 1, [...new Set(connections)].join());
  for (const tab of tabs) {
    await tab.bringToFront();
    const prices = () => tab.$$eval("td.price", (cells) => cells.map((cell) => cell.textContent));
    const first = await prices();
    await tab.waitForFunction(
      (then) =>
        [...document.querySelectorAll("td.price")].some(
          (cell, at) => cell.textContent !== then[at],
        ),
      first,
    );
  }
  check("the prices of each tab move", true);
} finally {
  await Promise.all([stranger.close(), browser.close()]);
  for (const folder of folders) rmSync(folder, { recursive: true });
}
if (failed) throw new Error(`${failed} checks failed`);
