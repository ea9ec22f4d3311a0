import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { indented } = await load("indented.ts");

test("each member has its own line", () => {
  assert.equal(
    indented('{"cursor":"1-2","prices":[{"symbol":"A","price":1},{"symbol":"B"}],"n":[1,2]}'),
    `{
  "cursor": "1-2",
  "prices": [
    {
      "symbol": "A",
      "price": 1
    },
    {
      "symbol": "B"
    }
  ],
  "n": [
    1,
    2
  ]
}`,
  );
});

test("numbers keep their digits", () => {
  assert.equal(
    indented('{"price":0.00170,"big":12345678901234567890}'),
    '{\n  "price": 0.00170,\n  "big": 12345678901234567890\n}',
  );
});

test("texts stay unchanged", () => {
  const text = 'a, b: {c} [d] "e" \\ f';
  assert.equal(indented(`[${JSON.stringify(text)}]`), `[\n  ${JSON.stringify(text)}\n]`);
});

test("empty objects and lists have one line", () => {
  assert.equal(indented('{"a":{},"b":[]}'), '{\n  "a": {},\n  "b": []\n}');
  assert.equal(indented("{}"), "{}");
  assert.equal(indented("null"), "null");
});

test("the result is the same as from JSON.stringify if all digits are significant", () => {
  const value = { a: [1, [2.5, { b: null }], []], c: { d: true, e: "x" }, f: {} };
  const text = JSON.stringify(value, null, 2);
  assert.equal(indented(JSON.stringify(value)), text);
  assert.equal(indented(text), text);
});
