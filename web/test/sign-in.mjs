// Tests a server that wants tokens, in a real browser: the sign-in form, the streams of signed-in
// tabs, delayed prices, and widgets with a token address.
//
//     cd WHERE-PLAYWRIGHT-CORE-IS && node …/web/test/sign-in.mjs http://127.0.0.1:8080 /usr/bin/chromium SECRET DELAY OPEN-SERVER
//
// The first server simulates a market. Its readers need tokens of the HS256 key SECRET, also in the
// cookie `tickcast`, and may be delayed by DELAY seconds. The second server has no tokens.

import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { launch } from "./browser.mjs";

const [server, executablePath, secret, delay, openServer] = process.argv.slice(2);
const browser = await launch(executablePath);
let failed = 0;

function check(what, holds, detail = "") {
  if (!holds) failed += 1;
  console.log(`${holds ? "ok  " : "FAIL"} ${what}${detail === "" ? "" : `: ${detail}`}`);
}

/** Checks that `test` becomes true. A stream ends up to 9 s after its token, and the page waits up to 5 s more. */
async function until(what, test, seconds = 120) {
  const end = Date.now() + seconds * 1_000;
  let last = false;
  while (!last && Date.now() < end) {
    last = await test().catch(() => false);
    if (!last) await new Promise((resolve) => setTimeout(resolve, 100));
  }
  check(what, Boolean(last));
}

/** Signs a token with these claims. Its clock may differ by 30 s from that of the server. */
function sign(claims, seconds = 3_600) {
  const exp = Math.floor(Date.now() / 1_000) + seconds;
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "HS256" })}.${part({ sub: "test", exp, tickcast: claims })}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

/** Opens a page and records its requests. */
async function open(context, url) {
  const page = await context.newPage();
  const requests = [];
  page.on("request", (request) => requests.push(request));
  await page.goto(url);
  return { page, requests };
}

async function signIn(page, token) {
  await page.waitForSelector("#token", { state: "visible" });
  await page.fill("#token", token);
  await page.press("#token", "Enter");
}

const live = (page) =>
  page
    .waitForSelector('#connection[data-state="live"]', { timeout: 120_000 })
    .then(() =>
      page.waitForFunction(() => /\d/.test(document.querySelector("td.price").textContent)),
    );
const text = (page, selector) => page.textContent(selector);
const streamOf = (page) => page.getAttribute("#connection", "data-stream");
const priced = (page) =>
  page.$$eval("#watchlist tr[data-symbol]", (rows) =>
    rows
      .filter((row) => /\d/.test(row.querySelector("td.price").textContent))
      .map((row) => row.dataset.symbol)
      .join(" "),
  );
const end = (stream) => fetch(`${server}/v1/streams/${stream}`, { method: "DELETE" });

try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });

  // The form, and a wrong token.
  const { page, requests } = await open(context, `${server}/`);
  await until("the form is shown", () => page.isVisible("#sign-in"));
  check("without prices", !(await page.isVisible("main")) && !(await page.isVisible("#lost")));
  check("nobody can sign out", !(await page.isVisible("#sign-out")));
  await signIn(page, "wrong");
  await until("the reason is shown", async () =>
    /not a JSON Web Token/.test(await text(page, "#refusal")),
  );
  await signIn(page, sign({}, -60));
  await until("also of an expired token", async () => /expired/.test(await text(page, "#refusal")));

  // A good token.
  const token = sign({});
  await signIn(page, `Bearer ${token}`);
  await live(page);
  check("a token signs in", (await priced(page)) !== "" && !(await page.isVisible("#sign-in")));
  const [kept, stored, html] = await page.evaluate(() => [
    Object.values(sessionStorage).join(),
    Object.values(localStorage).join(),
    document.documentElement.outerHTML + document.querySelector("#token").value,
  ]);
  check("the token is kept for the session", kept === token);
  check("and nowhere else", !stored.includes(token) && !html.includes(token));
  await page.fill("#search", "ETH");
  await page.waitForSelector("#found li");
  const signedIn = requests.filter(
    (request) => request.method() === "GET" && /\/v1\/symbols/.test(request.url()),
  );
  check(
    "requests have the token in their header",
    signedIn.length > 0 && signedIn.at(-1).headers().authorization === `Bearer ${token}`,
  );
  check("no address contains it", !requests.some((request) => request.url().includes(token)));

  // The stream goes on under another name when it has ended.
  const name = await streamOf(page);
  await page.fill("#search", "");
  await page.click("#watchlist tr[data-symbol] button.remove");
  await page.waitForTimeout(500);
  check("a change keeps the stream", (await streamOf(page)) === name);
  const before = await priced(page);
  await end(name);
  await until("an ended stream is replaced", async () => {
    const next = await streamOf(page);
    return next !== "" && next !== name;
  });
  check("with all prices", (await priced(page)) === before);

  // Other tabs of the same browser.
  const { page: stranger } = await open(context, `${server}/`);
  await until("another tab must sign in itself", () => stranger.isVisible("#sign-in"));
  check("and has no price", (await priced(stranger)) === "");
  await signIn(stranger, sign({ symbols: ["AAPL"] }));
  await live(stranger).catch(() => undefined);
  await stranger.goto(`${server}/?symbols=AAPL,MSFT,BTC-USD`);
  await live(stranger);
  await stranger.waitForTimeout(1_000);
  check("it reads what its own token allows", (await priced(stranger)) === "AAPL");
  check(
    "and shows that it may not read the others",
    (await stranger.$$eval('tr[data-state="gone"]', (rows) => rows.length)) === 2,
  );
  await stranger.close();

  await page.click("#sign-out");
  await until("signing out shows the form", () => page.isVisible("#sign-in"));
  check("and forgets the token", (await page.evaluate(() => sessionStorage.length)) === 0);

  // The end of a token. The server accepts it for 30 s more, so 18 s are left to a slow browser.
  await signIn(page, sign({}, -12));
  await live(page);
  await until("the form returns when the token expires", () => page.isVisible("#sign-in"));
  check(
    "with the reason",
    /expired/.test(await text(page, "#refusal")),
    await text(page, "#refusal"),
  );
  check("and without prices", !(await page.isVisible("main")) && (await priced(page)) === "");

  // Delayed prices.
  const label = `${delay} s delayed`;
  await signIn(page, sign({ delay: Number(delay) }));
  await live(page);
  await until("delayed prices are labelled", async () => (await text(page, "#delayed")) === label);
  check("also at the instrument", (await text(page, "#big-delay")) === label);
  check(
    "and do not look live",
    !(await page.isVisible("#lag-gauge")) && (await text(page, "#connection b")) === "Connected",
  );
  await context.close();

  // A cookie needs no form.
  const withCookie = await browser.newContext();
  await withCookie.addCookies([{ name: "tickcast", value: sign({}), url: server }]);
  const { page: known } = await open(withCookie, `${server}/`);
  await live(known);
  check(
    "a cookie needs no form",
    !(await known.isVisible("#sign-in")) && !(await known.isVisible("#sign-out")),
  );
  await withCookie.clearCookies();
  await end(await streamOf(known));
  await until("without the cookie, the form is shown", () => known.isVisible("#sign-in"));
  await withCookie.close();

  // An open server is asked as before.
  const openContext = await browser.newContext();
  const { page: anyone, requests: all } = await open(openContext, `${openServer}/`);
  await live(anyone);
  check("an open server needs no form", !(await anyone.isVisible("#sign-in")));
  check("its prices have no label", !(await anyone.isVisible("#delayed")));
  check(
    "and no token is sent",
    all.every((request) => request.headers().authorization === undefined),
  );
  check(
    "nothing is prepared",
    all.every((request) => request.method() === "GET"),
  );
  await openContext.close();

  // A widget whose website prepares the streams.
  let claims = {};
  let works = true;
  const asked = [];
  const prepared = [];
  const website = createServer(async (request, answer) => {
    if (request.method !== "POST") {
      answer.setHeader("content-type", "text/html; charset=utf-8");
      return answer.end(`<!doctype html><title>website</title><link rel="icon" href="data:,">
<script src="${server}/tickcast.js"></script>
<tickcast-ticker symbols="AAPL,BTC*" token-url="/prices/stream-for-me"></tickcast-ticker>`);
    }
    let body = "";
    for await (const part of request) body += part;
    asked.push({ path: request.url, body });
    if (!works) return answer.writeHead(500).end();
    const response = await fetch(`${server}/v1/streams`, {
      method: "POST",
      headers: { authorization: `Bearer ${sign(claims)}` },
      body,
    });
    const stream = await response.text();
    prepared.push(JSON.parse(stream).stream);
    answer.setHeader("content-type", "application/json").end(stream);
  });
  await new Promise((resolve) => website.listen(0, "127.0.0.1", resolve));
  const { page: visitor } = await open(
    await browser.newContext(),
    `http://127.0.0.1:${website.address().port}/`,
  );
  const widget = () =>
    visitor.evaluate(() => {
      const { dataset, shadowRoot } = document.querySelector("tickcast-ticker");
      const prices = [...shadowRoot.querySelectorAll(".price")].map((each) => each.textContent);
      return {
        connection: dataset.connection,
        note: shadowRoot.querySelector("p").textContent,
        priced: prices.length > 1 && prices.every((price) => /\d/.test(price)),
      };
    });
  await until("a widget with a token address has prices", async () => (await widget()).priced);
  check(
    "it asks the website for its symbols",
    asked[0].path === "/prices/stream-for-me" && asked[0].body === '{"symbols":["AAPL","BTC*"]}',
    JSON.stringify(asked[0]),
  );
  works = false;
  await end(prepared.at(-1));
  await until("it shows a lost connection", async () =>
    (await widget()).note.startsWith("Reconnecting…"),
  );
  await until("it asks again", async () => asked.length >= 3);
  works = true;
  claims = { delay: Number(delay) };
  await until(
    "it comes back, with a label of delayed prices",
    async () => {
      const { connection, note, priced: isPriced } = await widget();
      return connection === "live" && note === label && isPriced;
    },
    30,
  );
  website.close();
  website.closeAllConnections();
} finally {
  await browser.close();
}
process.exitCode = failed > 0 ? 1 : 0;
