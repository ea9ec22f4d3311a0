import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

globalThis.location = { href: "http://tickcast.test/assets/worker.js" };

const { cursorFor, forbiddenSymbols } = await load("prepared.ts");
const { streamAddress } = await load("stream-address.ts");
const { delayText } = await load("delay.ts");

test("the address of a prepared stream is below the path of its server", () => {
  for (const [base, url, expected] of [
    ["https://a.test", "/v1/streams/s1", "https://a.test/v1/streams/s1"],
    ["https://a.test/", "/v1/streams/s1", "https://a.test/v1/streams/s1"],
    ["https://a.test/market", "/v1/streams/s1", "https://a.test/market/v1/streams/s1"],
    ["https://a.test/market/", "/v1/streams/s1", "https://a.test/market/v1/streams/s1"],
    ["https://a.test/market", "/other/v1/streams/s1", "https://a.test/other/v1/streams/s1"],
    ["https://a.test", "https://b.test/v1/streams/s1", "https://b.test/v1/streams/s1"],
  ])
    assert.equal(streamAddress(base, url), expected);
});

test("a cursor names its filter once", () => {
  assert.equal(cursorFor("deec-306.skDg", "f1"), "deec-306.skDg.f1");
  assert.equal(cursorFor("deec-306.skDg.f2", "f1"), "deec-306.skDg.f2");
  assert.equal(cursorFor("deec-306.skDg", ""), "deec-306.skDg");
  assert.equal(cursorFor("", "f1"), "");
});

test("the symbols that a token does not allow are in the server's reason", () => {
  assert.deepEqual(forbiddenSymbols("you may not read A"), ["A"]);
  assert.deepEqual(forbiddenSymbols("you may not read A, B/C and 20 more"), ["A", "B/C"]);
  assert.deepEqual(forbiddenSymbols("this server has no such delay"), []);
});

test("a delay is named in its largest whole unit", () => {
  for (const [seconds, text] of [
    [0, ""],
    [1, "1 s delayed"],
    [30, "30 s delayed"],
    [90, "90 s delayed"],
    [900, "15 min delayed"],
    [5_400, "90 min delayed"],
    [3_600, "1 h delayed"],
    [86_400, "24 h delayed"],
    [-5, ""],
    [NaN, ""],
  ])
    assert.equal(delayText(seconds), text);
});
