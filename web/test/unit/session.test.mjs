import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { load } from "./load.mjs";

globalThis.location = { href: "http://tickcast.test/market/assets/worker.js" };

const stored = new Map();
globalThis.sessionStorage = {
  getItem: (key) => stored.get(key) ?? null,
  setItem: (key, text) => stored.set(key, text),
  removeItem: (key) => stored.delete(key),
};

let answer;
let requests;
beforeEach(() => {
  stored.clear();
  requests = [];
  answer = { status: 200 };
  globalThis.fetch = async (url, { headers }) => {
    requests.push({ url, headers });
    if (answer instanceof Error) throw answer;
    return { ...answer, json: async () => ({ detail: answer.detail }) };
  };
});

test("a token that the server accepts is kept for the session", async () => {
  const session = await load("session.ts");
  assert.deepEqual(session.authorization(), {});
  assert.equal(await session.signIn(" Bearer a.b.c\n"), "");
  assert.deepEqual([...stored], [["tickcast/market/.token", "a.b.c"]]);
  assert.deepEqual(requests, [
    {
      url: "http://tickcast.test/market/v1/status",
      headers: { Authorization: "Bearer a.b.c" },
    },
  ]);
  // The page is loaded again and finds the token.
  const { authorization, token } = await load("session.ts");
  assert.equal(token(), "a.b.c");
  assert.deepEqual(authorization(), { Authorization: "Bearer a.b.c" });
});

test("a refused token is not kept", async () => {
  const { signIn } = await load("session.ts");
  for (const status of [401, 403]) {
    answer = { status, detail: "the token has expired" };
    assert.equal(await signIn("a.b.c"), "the token has expired");
  }
  answer = new Error("no connection");
  assert.equal(await signIn("a.b.c"), "The server does not respond");
  assert.equal(stored.size, 0);
});

test("delayed prices that do not exist yet are no reason to refuse a token", async () => {
  const { signIn } = await load("session.ts");
  answer = { status: 503, detail: "the delayed market begins later" };
  assert.equal(await signIn("a.b.c"), "");
});

test("text that no header can contain is not sent", async () => {
  const { signIn } = await load("session.ts");
  for (const text of ["", "  ", "Bearer ", "a b", "tokén", "a\nb"])
    assert.equal(await signIn(text), "This is not a token", text);
  assert.deepEqual(requests, []);
});

test("the session ends once, and the token is forgotten", async () => {
  stored.set("tickcast/market/.token", "a.b.c");
  const session = await load("session.ts");
  const reasons = [];
  session.whenEnded((reason) => reasons.push(reason));
  session.end("the token has expired");
  session.end("again");
  assert.deepEqual(reasons, ["the token has expired"]);
  assert.deepEqual([stored.size, session.token(), session.hasEnded()], [0, "", true]);
});

test("each token has a worker of its own, whose name does not tell the token", async () => {
  const { workerName } = await load("session.ts");
  const [one, two] = [await workerName("a.b.c"), await workerName("a.b.d")];
  assert.match(one, /^tickcast-[0-9a-f]{64}$/);
  assert.notEqual(one, two);
  assert.equal(await workerName("a.b.c"), one);
});
