// Tests that the dashboard's memory is bounded while many prices change. The server sets the
// symbols and the rate.
//
//     tickcast --source 'sim?rate=5000' &
//     cd WHERE-PLAYWRIGHT-CORE-IS && node …/web/test/endurance.mjs http://127.0.0.1:8080 /usr/bin/chromium [TICKS [SAMPLES]]
//
// Takes SAMPLES samples (24), one each TICKS accepted ticks (150000: half a minute of the source
// above). Each sample prints the heap size of the page and of its worker after a garbage
// collection, and the frame rate. The memory of sparklines is constant. The chart grows to 560
// candles, which a market of ten minutes has from the start.
//
// Exits with status 1 if the minimum of the second half of the samples is over 120 % of the minimum
// of the first half. A sample is the minimum of READINGS as well: a garbage collection does not always
// collect everything, and what has arrived and is not drawn yet is in the heap, too.

import { launch } from "./browser.mjs";

const [base, executablePath, ticks = "150000", samples = "24"] = process.argv.slice(2);

const READINGS = 5;

const browser = await launch(executablePath);
const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
const { symbols } = await (await fetch(`${base}/v1/symbols?limit=500`)).json();
await page.goto(
  `${base}/?symbols=${symbols.map(({ symbol }) => encodeURIComponent(symbol)).join(",")}`,
);
await page.waitForSelector('#connection[data-state="live"]');
await page.evaluate(() => {
  window.frames60 = 0;
  const count = () => {
    window.frames60 += 1;
    requestAnimationFrame(count);
  };
  count();
});

/**
 * Returns the size and the number of all heaps: of the page, and of the worker that its tabs share.
 */
async function heaps() {
  const session = await browser.newBrowserCDPSession();
  const { targetInfos } = await session.send("Target.getTargets");
  const wanted = targetInfos.filter(
    ({ type, url }) => ["page", "shared_worker"].includes(type) && url.startsWith(base),
  );
  let sum = 0;
  for (const { targetId } of wanted) {
    const { sessionId } = await session.send("Target.attachToTarget", { targetId, flatten: false });
    let id = 0;
    const ask = (method) =>
      new Promise((resolve) => {
        const requestId = (id += 1);
        const handle = (event) => {
          const message = JSON.parse(event.message);
          if (event.sessionId !== sessionId || message.id !== requestId) return;
          session.off("Target.receivedMessageFromTarget", handle);
          resolve(message.result);
        };
        session.on("Target.receivedMessageFromTarget", handle);
        void session.send("Target.sendMessageToTarget", {
          sessionId,
          message: JSON.stringify({ id: requestId, method }),
        });
      });
    await ask("HeapProfiler.collectGarbage");
    sum += (await ask("Runtime.getHeapUsage")).usedSize;
    await session.send("Target.detachFromTarget", { sessionId });
  }
  await session.detach();
  return { sum, count: wanted.length };
}

/** Returns the number of ticks that the market has accepted. */
async function acceptedTicks() {
  const { sources } = await (await fetch(`${base}/v1/status`)).json();
  return sources.reduce((sum, source) => sum + source.accepted, 0);
}

const seen = [];
const begin = await acceptedTicks();
while (seen.length < Number(samples)) {
  const before = await page.evaluate(() => [window.frames60, performance.now()]);
  while ((await acceptedTicks()) < begin + (seen.length + 1) * Number(ticks))
    await new Promise((resolve) => setTimeout(resolve, 250));
  const after = await page.evaluate(() => [window.frames60, performance.now()]);
  const readings = [];
  while (readings.length < READINGS) readings.push(await heaps());
  const [{ sum, count }] = readings.sort((a, b) => a.sum - b.sum);
  seen.push(sum);
  const fps = (1000 * (after[0] - before[0])) / (after[1] - before[1]);
  const rate = await page.textContent("#rate");
  const passed = seen.length * Number(ticks);
  console.log(
    `${passed} ticks: ${(sum / 1e6).toFixed(2)} MB in ${count} heaps, ${fps.toFixed(1)} frames/s, ${rate} updates/s`,
  );
}
await browser.close();
const half = seen.length >> 1;
const [early, late] = [Math.min(...seen.slice(0, half)), Math.min(...seen.slice(half))];
console.log(`at least ${(early / 1e6).toFixed(2)} MB, then at least ${(late / 1e6).toFixed(2)} MB`);
process.exitCode = late > early * 1.2 ? 1 : 0;
