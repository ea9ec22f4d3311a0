import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { load, settle } from "./load.mjs";

globalThis.location = { href: "http://tickcast.test/assets/worker.js" };

/** An EventSource whose events come from the test. */
class FakeEventSource extends EventTarget {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSED = 2;
  static all = [];
  readyState = FakeEventSource.CONNECTING;

  constructor(url) {
    super();
    this.url = new URL(url);
    FakeEventSource.all.push(this);
  }

  get symbols() {
    return this.url.searchParams.get("symbols");
  }

  close() {
    this.readyState = FakeEventSource.CLOSED;
  }

  /** Sends an event, as the server does. */
  send(type, data, lastEventId = "") {
    this.dispatchEvent(Object.assign(new Event(type), { data: JSON.stringify(data), lastEventId }));
  }

  /** Sends a tick, and returns its JSON text. */
  tick(symbol, n) {
    const data = { symbol, price: n, n };
    this.send("tick", data);
    return JSON.stringify(data);
  }

  open(stream = "s1") {
    this.readyState = FakeEventSource.OPEN;
    this.dispatchEvent(new Event("open"));
    this.send("ready", { stream });
  }

  /** Breaks the connection. A browser reconnects automatically unless `closed` is set. */
  fail(closed) {
    this.readyState = closed ? FakeEventSource.CLOSED : FakeEventSource.CONNECTING;
    this.dispatchEvent(new Event("error"));
  }
}
globalThis.EventSource = FakeEventSource;

const { Hub } = await load("hub.ts");

let patches = [];

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  mock.method(Math, "random", () => 1);
  FakeEventSource.all = [];
  patches = [];
  globalThis.fetch = (url, { method, body }) =>
    new Promise((resolve, reject) => {
      assert.equal(method, "PATCH");
      const reply = async (status, detail = "") => {
        resolve({ ok: status < 400, status, json: async () => ({ detail }) });
        await settle();
      };
      const fail = async () => {
        reject(new Error("no connection"));
        await settle();
      };
      patches.push({ path: new URL(url).pathname, body: JSON.parse(body), reply, fail });
    });
});

afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

const stream = () => FakeEventSource.all.at(-1);

/** Adds a tab to the hub. `take` returns its messages since the last call. */
function join(hub, ...symbols) {
  let messages = [];
  const send = hub.join((message) => messages.push(structuredClone(message)));
  const tab = {
    send,
    subscribe: (...symbols) => send({ kind: "subscribe", symbols }),
    focus: (symbol) => send({ kind: "focus", symbol }),
    ack: () => send({ kind: "ack" }),
    take(kind) {
      const taken = messages.filter((message) => message.kind === kind);
      messages = messages.filter((message) => message.kind !== kind);
      return taken;
    },
    /** Returns the batches of the next flush. */
    flush() {
      mock.timers.tick(50);
      return tab.take("batch");
    },
  };
  if (symbols.length > 0) tab.subscribe(...symbols);
  return tab;
}

test("a tab is greeted and hears of the connection", () => {
  const tab = join(new Hub());
  assert.equal(tab.take("hello").length, 1);
  assert.equal(tab.take("connection")[0].connection.state, "connecting");
  tab.send({ kind: "ping" });
  assert.equal(tab.take("pong").length, 1);
  assert.equal(FakeEventSource.all.length, 0);
});

test("a subscription opens the stream", () => {
  const tab = join(new Hub(), "A", "B/C");
  assert.equal(stream().url.pathname, "/v1/stream");
  assert.equal(stream().symbols, "A,B/C");
  tab.take("connection");
  stream().open("s7");
  assert.deepEqual(tab.take("stream-opened").length, 1);
  assert.deepEqual(tab.take("stream-started").length, 1);
  assert.deepEqual(tab.take("connection"), [
    { kind: "connection", connection: { state: "live", detail: "", stream: "s7" } },
  ]);
});

test("all tabs share one stream, and each receives its own symbols", async () => {
  const hub = new Hub();
  const one = join(hub, "A", "B");
  stream().open();
  const two = join(hub, "B", "C");
  assert.deepEqual(
    [patches[0].path, patches[0].body],
    ["/v1/streams/s1", { add: ["C"], remove: [] }],
  );
  await patches[0].reply(200);
  const [a, b, c] = ["A", "B", "C"].map((symbol) => stream().tick(symbol, 1));
  mock.timers.tick(50);
  assert.deepEqual(one.take("batch"), [{ kind: "batch", ticks: [a, b], focusTicks: [], count: 2 }]);
  assert.deepEqual(two.take("batch"), [{ kind: "batch", ticks: [b, c], focusTicks: [], count: 2 }]);
  assert.equal(FakeEventSource.all.length, 1);
});

test("a tab that does not acknowledge receives no batch, and then only the newest ticks", () => {
  const tab = join(new Hub(), "A", "B");
  stream().open();
  stream().tick("A", 1);
  assert.equal(tab.flush().length, 1);
  stream().tick("A", 2);
  stream().tick("B", 1);
  const newest = stream().tick("A", 3);
  assert.deepEqual(tab.flush(), []);
  tab.ack();
  const [batch] = tab.flush();
  assert.deepEqual(
    new Set(batch.ticks),
    new Set([newest, JSON.stringify({ symbol: "B", price: 1, n: 1 })]),
  );
  assert.equal(batch.count, 3);
  tab.ack();
  assert.deepEqual(tab.flush(), []);
});

test("a slow tab does not delay the other tabs", () => {
  const hub = new Hub();
  const [slow, fast] = [join(hub, "A"), join(hub, "A")];
  stream().open();
  for (let n = 1; n <= 3; n += 1) {
    stream().tick("A", n);
    assert.equal(fast.flush().length, 1);
    fast.ack();
  }
  assert.equal(slow.take("batch").length, 1);
});

test("a batch contains every tick of the focus symbol", () => {
  const tab = join(new Hub(), "A", "B");
  stream().open();
  stream().tick("A", 1);
  tab.focus("A");
  assert.deepEqual(tab.take("focused"), [{ kind: "focused", symbol: "A" }]);
  const ticks = [2, 3, 4].map((n) => stream().tick("A", n));
  stream().tick("B", 1);
  assert.deepEqual(tab.flush()[0].focusTicks, ticks);
  tab.ack();
  tab.focus("B");
  stream().tick("A", 5);
  assert.deepEqual(tab.flush()[0].focusTicks, []);
});

test("the focus ticks of a slow tab are bounded, and the newest stay", () => {
  const tab = join(new Hub(), "A");
  stream().open();
  tab.focus("A");
  const ticks = [];
  for (let n = 1; n <= 10_000; n += 1) ticks.push(stream().tick("A", n));
  const [{ focusTicks, count }] = tab.flush();
  assert.ok(focusTicks.length <= 2_000 && focusTicks.length >= 1_000, focusTicks.length);
  assert.deepEqual(focusTicks, ticks.slice(-focusTicks.length));
  assert.equal(count, 10_000);
});

test("a new tab receives what the hub knows of its symbols", () => {
  const hub = new Hub();
  join(hub, "A", "B");
  stream().open();
  const a = stream().tick("A", 1);
  stream().tick("B", 1);
  stream().send("status", { symbol: "A", state: "stale", reason: "silent", since: 1 });
  const late = join(hub, "A");
  assert.deepEqual(late.flush()[0].ticks, [a]);
  assert.deepEqual(late.take("symbol-status"), [
    { kind: "symbol-status", status: { symbol: "A", state: "stale", reason: "silent" } },
  ]);
});

test("statuses of symbols go to their tabs, and those of sources to all tabs", () => {
  const hub = new Hub();
  const [one, two] = [join(hub, "A"), join(hub, "B")];
  stream().open();
  stream().send("status", { symbol: "A", state: "down", since: 1 });
  stream().send("heartbeat", { time: 5, sources: [{ source: "sim", state: "live", since: 2 }] });
  assert.deepEqual([one.take("symbol-status").length, two.take("symbol-status").length], [1, 0]);
  const expected = {
    kind: "source-status",
    status: { source: "sim", state: "live", reason: "", since: 2 },
  };
  assert.deepEqual(
    [one.take("source-status"), two.take("source-status")],
    [[expected], [expected]],
  );
  assert.deepEqual(two.take("heartbeat"), [{ kind: "heartbeat", time: 5, at: 0 }]);
});

test("a removed symbol is not in the next batch", () => {
  const hub = new Hub();
  const [one, two] = [join(hub, "A", "B"), join(hub, "B")];
  stream().open();
  stream().tick("A", 1);
  const b = stream().tick("B", 1);
  stream().send("gone", { symbol: "A" });
  assert.deepEqual(one.take("gone"), [{ kind: "gone", symbol: "A" }]);
  assert.deepEqual(two.take("gone"), []);
  assert.deepEqual(one.flush()[0].ticks, [b]);
  assert.deepEqual(join(hub, "A").flush(), []);
});

test("a reset discards all ticks and statuses", () => {
  const hub = new Hub();
  const tab = join(hub, "A");
  stream().open();
  tab.focus("A");
  stream().tick("A", 1);
  stream().send("status", { symbol: "A", state: "stale", since: 1 });
  stream().send("reset", {});
  assert.equal(tab.take("reset").length, 1);
  assert.deepEqual(tab.flush(), []);
  const late = join(hub, "A");
  assert.deepEqual([late.flush(), late.take("symbol-status")], [[], []]);
});

test("symbols without a tab are removed from the stream", async () => {
  const hub = new Hub();
  const [one, two] = [join(hub, "A", "B"), join(hub, "B")];
  stream().open();
  one.send({ kind: "leave" });
  assert.deepEqual(patches[0].body, { add: [], remove: ["A"] });
  await patches[0].reply(200);
  two.subscribe("C");
  assert.deepEqual(patches[1].body, { add: ["C"], remove: ["B"] });
  await patches[1].reply(200);
  stream().tick("C", 1);
  mock.timers.tick(50);
  assert.deepEqual([one.take("batch").length, two.take("batch").length], [0, 1]);
});

test("a tab that returns receives everything again", async () => {
  const hub = new Hub();
  const [one] = [join(hub, "A"), join(hub, "A")];
  stream().open();
  const a = stream().tick("A", 1);
  one.flush();
  one.send({ kind: "leave" });
  one.subscribe("A");
  assert.deepEqual(one.flush()[0].ticks, [a]);
});

test("a silent tab is removed after three minutes", async () => {
  const hub = new Hub();
  const [silent, active] = [join(hub, "A"), join(hub, "B")];
  stream().open();
  await patches[0].reply(200);
  for (let second = 0; second < 220; second += 5) {
    mock.timers.tick(5_000);
    stream().send("heartbeat", { time: 0 });
    active.send({ kind: "ping" });
    if (second < 170) assert.equal(patches.length, 1, `after ${second} s`);
  }
  assert.deepEqual(patches[1].body, { add: [], remove: ["A"] });
  silent.take("heartbeat");
  active.take("heartbeat");
  stream().send("heartbeat", { time: 0 });
  assert.equal(silent.take("heartbeat").length, 0);
  assert.notEqual(active.take("heartbeat").length, 0);
});

test("a tab receives no tick of a symbol after its removal from the subscription", () => {
  const hub = new Hub();
  const [one, two] = [join(hub, "A", "B"), join(hub, "A", "B")];
  stream().open();
  stream().tick("A", 1);
  const b = stream().tick("B", 1);
  one.subscribe("B");
  mock.timers.tick(50);
  assert.deepEqual(one.take("batch")[0].ticks, [b]);
  assert.equal(two.take("batch")[0].ticks.length, 2);
});

test("the hub forgets ticks of symbols without a tab", () => {
  const tab = join(new Hub(), "A", "B");
  stream().open();
  stream().tick("A", 1);
  tab.flush();
  tab.ack();
  tab.subscribe("B");
  tab.subscribe("A", "B");
  assert.deepEqual(tab.flush(), []);
});

test("a new connection makes earlier statuses invalid", () => {
  const hub = new Hub();
  const tab = join(hub, "A");
  stream().open();
  stream().send("status", { symbol: "A", state: "stale", since: 1 });
  stream().fail(false);
  stream().open();
  assert.equal(tab.take("stream-opened").length, 2);
  assert.deepEqual(join(hub, "A").take("symbol-status"), []);
});

test("changes during a PATCH are sent after it", async () => {
  const tab = join(new Hub(), "A");
  stream().open();
  tab.subscribe("A", "B");
  tab.subscribe("A", "C");
  assert.equal(patches.length, 1);
  await patches[0].reply(200);
  assert.deepEqual(patches[1].body, { add: ["C"], remove: ["B"] });
  await patches[1].reply(200);
  assert.equal(patches.length, 2);
});

test("a refused PATCH is reported and not repeated", async () => {
  const tab = join(new Hub(), "A");
  stream().open();
  tab.subscribe("A", "B");
  await patches[0].reply(400, "too many symbols");
  assert.deepEqual(tab.take("problem"), [{ kind: "problem", text: "too many symbols" }]);
  mock.timers.tick(5_000);
  assert.equal(patches.length, 1);
});

test("a PATCH without a response is followed by the whole list", async () => {
  const tab = join(new Hub(), "A");
  stream().open();
  tab.subscribe("A", "B");
  await patches[0].fail();
  mock.timers.tick(1_000);
  assert.deepEqual(patches[1].body, { set: ["A", "B"] });
});

test("an unknown stream is opened again", async () => {
  const tab = join(new Hub(), "A");
  stream().open();
  const old = stream();
  tab.subscribe("A", "B");
  await patches[0].reply(404);
  assert.equal(old.readyState, FakeEventSource.CLOSED);
  assert.equal(stream().symbols, "A,B");
});

test("a browser that reconnects keeps all prices", () => {
  const tab = join(new Hub(), "A");
  stream().open();
  stream().fail(false);
  assert.equal(tab.take("connection").at(-1).connection.state, "lost");
  mock.timers.tick(1_000);
  stream().open();
  assert.equal(tab.take("connection").at(-1).connection.state, "live");
  assert.deepEqual([FakeEventSource.all.length, tab.take("reset").length], [1, 0]);
});

test("a closed stream is opened again after a delay, and its first event resets the page", () => {
  const tab = join(new Hub(), "A");
  stream().open();
  stream().fail(true);
  mock.timers.tick(999);
  assert.equal(FakeEventSource.all.length, 1);
  mock.timers.tick(1);
  assert.equal(FakeEventSource.all.length, 2);
  assert.equal(tab.take("reset").length, 0);
  stream().tick("A", 1);
  stream().tick("A", 2);
  assert.equal(tab.take("reset").length, 1);
});

test("the retry delay grows to 15 seconds", () => {
  join(new Hub(), "A");
  const delays = [];
  for (let count = 1; count <= 6; count += 1) {
    stream().fail(true);
    let delay = 0;
    while (FakeEventSource.all.length === count) {
      mock.timers.tick(500);
      delay += 500;
    }
    delays.push(delay);
  }
  assert.deepEqual(delays, [1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
});

test("a server that says bye is not contacted before its retry delay", () => {
  const tab = join(new Hub(), "A");
  stream().open();
  stream().fail(true);
  mock.timers.tick(1_000);
  stream().send("bye", { reason: "draining", retry: 20_000 });
  assert.equal(tab.take("connection").at(-1).connection.detail, "server is restarting");
  assert.equal(tab.take("reset").length, 0);
  stream().fail(true);
  mock.timers.tick(19_999);
  assert.equal(FakeEventSource.all.length, 2);
  mock.timers.tick(1);
  assert.equal(FakeEventSource.all.length, 3);
});

test("a stream with an outdated address is replaced", async () => {
  const tab = join(new Hub(), "A");
  stream().open();
  tab.subscribe("A", "B");
  await patches[0].reply(200);
  const old = stream();
  old.fail(false);
  mock.timers.tick(1_000);
  assert.equal(stream().symbols, "A,B");
  old.tick("A", 1);
  assert.deepEqual(tab.flush(), []);
});

test("a silent stream is replaced after 14 seconds", () => {
  const tab = join(new Hub(), "A");
  stream().open();
  mock.timers.tick(12_000);
  assert.equal(FakeEventSource.all.length, 1);
  mock.timers.tick(2_000);
  assert.equal(FakeEventSource.all.length, 2);
  const { state, detail } = tab.take("connection").at(-1).connection;
  assert.deepEqual([state, detail], ["lost", "no response"]);
});

test("the symbol of a tick may be any of its members", () => {
  const tab = join(new Hub(), "A");
  stream().open();
  stream().send("tick", { n: 1, symbol: "A", price: 1 });
  assert.equal(tab.flush()[0].ticks.length, 1);
});

/** Adds a signed-in tab, and answers the request for its stream. */
async function joinWithToken(hub, token, ...symbols) {
  const tab = join(hub);
  tab.send({ kind: "token", token });
  tab.subscribe(...symbols);
  await settle();
  return tab;
}

/** Records the requests that prepare streams, instead of those that change streams. */
function recordPosts() {
  const posts = [];
  const patch = globalThis.fetch;
  globalThis.fetch = (url, request) => {
    if (request.method !== "POST") return patch(url, request);
    return new Promise((resolve, reject) => {
      const answer = async (status, body) => {
        const headers = new Headers(body.retry ? { "retry-after": body.retry } : {});
        resolve({ ok: status < 400, status, headers, json: async () => body });
        await settle();
      };
      const fail = async () => {
        reject(new Error("no connection"));
        await settle();
      };
      const { authorization } = Object.fromEntries(new Headers(request.headers));
      const { symbols } = JSON.parse(request.body);
      posts.push({ path: new URL(url).pathname, authorization, symbols, answer, fail });
    });
  };
  return posts;
}

test("a token prepares a stream, which is read without the token", async () => {
  const posts = recordPosts();
  await joinWithToken(new Hub(), "t1", "A", "B");
  const [{ path, authorization, symbols, answer }] = posts;
  assert.deepEqual([path, authorization, symbols], ["/v1/streams", "Bearer t1", ["A", "B"]]);
  await answer(201, { url: "/v1/streams/p1" });
  assert.equal(stream().url.href, "http://tickcast.test/v1/streams/p1");
});

test("changes while a stream is prepared are sent on the stream", async () => {
  const posts = recordPosts();
  const tab = await joinWithToken(new Hub(), "t1", "A");
  tab.subscribe("A", "B");
  await posts[0].answer(201, { url: "/v1/streams/p1" });
  stream().open("p1");
  assert.deepEqual(
    [posts.length, patches[0].path, patches[0].body],
    [1, "/v1/streams/p1", { add: ["B"], remove: [] }],
  );
  // The browser reconnects by itself, and the stream still has both symbols.
  await patches[0].reply(200);
  stream().fail(false);
  stream().open("p1");
  assert.deepEqual([posts.length, patches.length], [1, 1]);
});

test("a prepared stream that is gone is continued by another, with all prices", async () => {
  const posts = recordPosts();
  const tab = await joinWithToken(new Hub(), "t1", "A");
  await posts[0].answer(201, { url: "/v1/streams/p1" });
  stream().open("p1");
  stream().send("ready", { stream: "p1", filter: "f1" }, "e-1.c");
  stream().send("bye", { reason: "expired" });
  stream().fail(true);
  mock.timers.tick(1_000);
  await posts[1].answer(201, { url: "/v1/streams/p2" });
  assert.equal(stream().url.href, "http://tickcast.test/v1/streams/p2?since=e-1.c.f1");
  stream().open("p2");
  assert.equal(tab.take("reset").length, 0);
  assert.equal(tab.take("refused").length, 0);
});

test("a refused token is reported and not sent again", async () => {
  const posts = recordPosts();
  const tab = await joinWithToken(new Hub(), "t1", "A");
  await posts[0].answer(401, { detail: "the token has expired" });
  assert.deepEqual(tab.take("refused"), [{ kind: "refused", reason: "the token has expired" }]);
  mock.timers.tick(60_000);
  assert.deepEqual([posts.length, FakeEventSource.all.length], [1, 0]);
});

test("symbols that a token does not allow are left out", async () => {
  const posts = recordPosts();
  const tab = await joinWithToken(new Hub(), "t1", "A", "B");
  await posts[0].answer(403, { detail: "you may not read B" });
  assert.deepEqual(posts[1].symbols, ["A"]);
  await posts[1].answer(201, { url: "/v1/streams/p1" });
  stream().open("p1");
  assert.equal(tab.take("symbol-status").at(-1).status.symbol, "B");
  tab.subscribe("A", "B", "C");
  assert.deepEqual(patches[0].body, { add: ["C"], remove: [] });
});

test("a server that cannot prepare a stream is asked again after its pause", async () => {
  const posts = recordPosts();
  const tab = await joinWithToken(new Hub(), "t1", "A");
  await posts[0].answer(503, { detail: "no room", retry: "20" });
  assert.equal(tab.take("connection").at(-1).connection.detail, "no room");
  mock.timers.tick(19_999);
  assert.equal(posts.length, 1);
  mock.timers.tick(1);
  assert.equal(posts.length, 2);
  await posts[1].fail();
  mock.timers.tick(20_000);
  assert.equal(posts.length, 3);
});

test("a tab with another token receives no prices", async () => {
  const posts = recordPosts();
  const hub = new Hub();
  await joinWithToken(hub, "t1", "A");
  await posts[0].answer(201, { url: "/v1/streams/p1" });
  stream().open("p1");
  stream().tick("A", 1);
  const [other, none] = [await joinWithToken(hub, "t2", "A"), join(hub, "A")];
  stream().tick("A", 2);
  mock.timers.tick(50);
  assert.deepEqual([other.take("batch"), none.take("batch")], [[], []]);
});

test("without a token, the page is told when the server may want one", () => {
  const tab = join(new Hub(), "A");
  stream().fail(true);
  assert.deepEqual(tab.take("refused"), [{ kind: "refused", reason: "" }]);
  stream().fail(false);
  assert.deepEqual(tab.take("refused"), []);
});

test("tabs are told the delay of the prices", () => {
  const hub = new Hub();
  const tab = join(hub, "A");
  stream().open();
  assert.deepEqual(tab.take("delay"), []);
  stream().send("ready", { stream: "s1", delay: 900 });
  assert.deepEqual(tab.take("delay"), [{ kind: "delay", seconds: 900 }]);
  assert.deepEqual(join(hub, "A").take("delay"), [{ kind: "delay", seconds: 900 }]);
});
