import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { load, settle } from "./load.mjs";

globalThis.location = { href: "http://tickcast.test/assets/worker.js" };
const page = { hidden: false, baseURI: "http://tickcast.test/" };
globalThis.document = page;
const { Candles } = await load("candles.ts");

/** The requests in order. A test answers each of them with `reply` or `fail`. */
let requests = [];
let opened = [];

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  page.hidden = false;
  requests = [];
  globalThis.fetch = (url, { signal } = {}) =>
    new Promise((resolve, reject) => {
      const { pathname, searchParams } = new URL(url);
      const respond = (status, body) =>
        resolve({ ok: status === 200, status, headers: new Headers(), json: async () => body });
      requests.push({
        path: pathname,
        limit: Number(searchParams.get("limit")),
        interval: searchParams.get("interval"),
        signal,
        reply: async (...candles) => {
          respond(200, { candles });
          await settle();
        },
        missing: async () => {
          respond(404, {});
          await settle();
        },
        fail: async () => {
          reject(new Error("no connection"));
          await settle();
        },
      });
    });
});

afterEach(() => {
  for (const candles of opened) candles.close();
  opened = [];
  mock.timers.reset();
});

/** Opens the candles of a symbol, and the view that records what is shown. */
function open(interval = "1s", listed = true) {
  const view = {
    list: null,
    redraws: 0,
    setAll(list) {
      view.list = list.map((candle) => ({ ...candle }));
      view.redraws += 1;
    },
    setLast(candle) {
      if (view.list.at(-1)?.time === candle.time) view.list.pop();
      view.list.push({ ...candle });
    },
  };
  const market = { listed };
  const candles = new Candles("BTC/USD", interval, view, () => market.listed);
  opened.push(candles);
  return { candles, view, market };
}

const candle = (time, open, high = open, low = open, close = open) => ({
  time,
  open,
  high,
  low,
  close,
});
const tick = (n, time, value) => ({ symbol: "BTC/USD", n, time, value });

test("a load requests and shows the full list", async () => {
  const { candles, view } = open("5m");
  candles.load();
  assert.equal(requests[0].path, "/v1/candles/BTC%2FUSD");
  assert.deepEqual([requests[0].limit, requests[0].interval], [500, "5m"]);
  assert.equal(candles.ready, false);
  await requests[0].reply({ ...candle(0, 5), ticks: 7 }, candle(300_000, 6));
  assert.deepEqual(view.list, [candle(0, 5), candle(300_000, 6)]);
  assert.deepEqual([candles.ready, candles.count], [true, 2]);
});

test("a tick updates the last candle or starts a new one", async () => {
  const { candles, view } = open();
  candles.load();
  await requests[0].reply(candle(1_000, 5));
  candles.addTick(tick(1, 1_100, 7));
  candles.addTick(tick(2, 1_200, 3));
  candles.addTick(tick(3, 1_999, 4));
  assert.deepEqual(view.list, [candle(1_000, 5, 7, 3, 4)]);
  candles.addTick(tick(4, 2_000, 8));
  assert.deepEqual(view.list, [candle(1_000, 5, 7, 3, 4), candle(2_000, 8)]);
  assert.equal(view.redraws, 1);
});

test("ticks during a request are applied to the response", async () => {
  const { candles, view } = open();
  candles.load();
  candles.addTick(tick(8, 1_500, 9));
  candles.addTick(tick(9, 2_500, 6));
  await requests[0].reply(candle(1_000, 5, 9, 5, 9));
  assert.deepEqual(view.list, [candle(1_000, 5, 9, 5, 9), candle(2_000, 6)]);
});

test("a tick without a load requests the list", async () => {
  const { candles } = open();
  candles.addTick(tick(1, 1_000, 1));
  candles.addTick(tick(2, 1_001, 1));
  assert.equal(requests.length, 1);
});

test("an older tick changes nothing", async () => {
  const { candles, view } = open();
  candles.load();
  await requests[0].reply(candle(1_000, 5));
  candles.addTick(tick(7, 1_100, 6));
  candles.addTick(tick(7, 1_200, 9));
  candles.addTick(tick(6, 1_300, 1));
  assert.deepEqual(view.list, [candle(1_000, 5, 6, 5, 6)]);
});

test("a tick of an earlier candle requests the end of the list", async () => {
  const { candles, view } = open();
  candles.load();
  await requests[0].reply(candle(1_000, 1), candle(2_000, 2));
  candles.addTick(tick(1, 1_900, 9));
  assert.deepEqual(view.list, [candle(1_000, 1), candle(2_000, 2)]);
  mock.timers.tick(1_000);
  assert.equal(requests[1].limit, 10);
});

test("a gap in the ticks requests the end of the list", async () => {
  const { candles, view } = open();
  candles.load();
  await requests[0].reply(candle(1_000, 1), candle(2_000, 2), candle(3_000, 3));
  candles.addTick(tick(1, 3_100, 3));
  candles.addTick(tick(5, 3_900, 4));
  mock.timers.tick(999);
  assert.equal(requests.length, 1);
  mock.timers.tick(1);
  assert.equal(requests[1].limit, 10);
  await requests[1].reply(candle(2_000, 2), candle(3_000, 3, 9, 1, 4));
  assert.deepEqual(view.list, [candle(1_000, 1), candle(2_000, 2), candle(3_000, 3, 9, 1, 4)]);
});

test("a long gap requests the full list and replaces it", async () => {
  const { candles, view } = open();
  candles.load();
  await requests[0].reply(candle(1_000, 1));
  candles.addTick(tick(1, 1_100, 1));
  candles.addTick(tick(90, 7_000, 2));
  mock.timers.tick(1_000);
  assert.equal(requests[1].limit, 500);
  await requests[1].reply(candle(6_000, 1), candle(7_000, 2));
  assert.deepEqual(view.list, [candle(6_000, 1), candle(7_000, 2)]);
});

test("consecutive ticks request nothing", async () => {
  const { candles } = open();
  candles.load();
  await requests[0].reply(candle(1_000, 1));
  for (let n = 1; n < 20; n += 1) candles.addTick(tick(n, 1_000 + 400 * n, n));
  mock.timers.tick(5_000);
  assert.equal(requests.length, 1);
});

test("the end of a completed minute is requested", async () => {
  const { candles } = open("1m");
  candles.load();
  await requests[0].reply(candle(0, 1));
  candles.addTick(tick(1, 59_000, 1));
  candles.addTick(tick(2, 60_000, 1));
  mock.timers.tick(1_000);
  assert.equal(requests[1].limit, 10);
});

test("the list is cut back to 500 candles above 560", async () => {
  const { candles, view } = open();
  candles.load();
  await requests[0].reply(candle(1_000, 1));
  for (let n = 2; n <= 560; n += 1) candles.addTick(tick(n, n * 1_000, n));
  assert.deepEqual([candles.count, view.redraws], [560, 1]);
  candles.addTick(tick(561, 561_000, 1));
  assert.deepEqual([candles.count, view.redraws, view.list[0].time], [500, 2, 62_000]);
});

test("a failed request is sent again", async () => {
  const { candles, view } = open();
  candles.load();
  await requests[0].fail();
  mock.timers.tick(1_000);
  assert.equal(requests[1].limit, 500);
  await requests[1].reply(candle(1_000, 1));
  assert.deepEqual(view.list, [candle(1_000, 1)]);
});

test("a symbol without candles has an empty list", async () => {
  const { candles, view } = open();
  candles.load();
  await requests[0].missing();
  assert.deepEqual([view.list, candles.ready], [[], true]);
});

test("a symbol that is not on the market is not requested", () => {
  const { candles, view } = open("1s", false);
  candles.load();
  assert.deepEqual([requests.length, view.list], [0, []]);
});

test("a paused list requests nothing until the next load", async () => {
  const { candles } = open();
  candles.load();
  await requests[0].reply(candle(1_000, 1));
  candles.addTick(tick(1, 1_100, 1));
  candles.addTick(tick(9, 1_200, 1));
  candles.pause();
  candles.addTick(tick(20, 1_300, 1));
  mock.timers.tick(40_000);
  assert.equal(requests.length, 1);
  candles.load();
  assert.equal(requests[1].limit, 500);
});

test("a newer request cancels the older one", async () => {
  const { candles, view } = open();
  candles.load();
  candles.load();
  assert.deepEqual([requests[0].signal.aborted, requests[1].signal.aborted], [true, false]);
  await requests[1].reply(candle(2_000, 2));
  await requests[0].reply(candle(1_000, 1));
  assert.deepEqual(view.list, [candle(2_000, 2)]);
});

test("a reset discards all candles and accepts smaller tick numbers", async () => {
  const { candles, view } = open();
  candles.load();
  await requests[0].reply(candle(1_000, 1));
  candles.addTick(tick(50, 1_100, 1));
  candles.reset();
  assert.deepEqual([view.list, candles.ready], [[], false]);
  await requests[1].reply(candle(9_000, 9));
  candles.addTick(tick(1, 9_500, 8));
  assert.deepEqual(view.list, [candle(9_000, 9, 9, 8, 8)]);
});

test("a visible page compares the end of the list every 30 seconds", async () => {
  const { candles } = open();
  candles.load();
  await requests[0].reply(candle(1_000, 1));
  page.hidden = true;
  mock.timers.tick(31_000);
  assert.equal(requests.length, 1);
  page.hidden = false;
  mock.timers.tick(29_000);
  mock.timers.tick(1_000);
  assert.deepEqual([requests.length, requests[1].limit], [2, 10]);
});

test("a closed list requests nothing", async () => {
  const { candles, view } = open();
  candles.load();
  candles.close();
  assert.equal(requests[0].signal.aborted, true);
  await requests[0].reply(candle(1_000, 1));
  mock.timers.tick(60_000);
  assert.deepEqual([requests.length, view.list], [1, null]);
});
