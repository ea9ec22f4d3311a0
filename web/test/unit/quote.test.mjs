import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { direction, isEntry, isSymbol, parseQuote, patternToRegExp, percentage } =
  await load("quote.ts");

test("a tick becomes a quote with the publisher's digits", () => {
  const json =
    '{"symbol":"BTC-USD","price":97057.00,"change":-1.50,"change_pct":-0.0015,"change_basis":"24h",' +
    '"time":1795793411000,"n":42,"bid":97056.9,"ask":97057.1,"volume":1.2e3,"size":0.5}';
  assert.deepEqual(parseQuote(json), {
    symbol: "BTC-USD",
    price: "97057.00",
    value: 97057,
    change: "-1.50",
    percent: "-0.0015",
    basis: "24h",
    time: 1795793411000,
    n: 42,
    bid: "97056.9",
    ask: "97057.1",
    volume: "1.2e3",
    size: "0.5",
  });
});

test("missing fields are empty", () => {
  const { change, percent, basis, bid, ask, volume, size } = parseQuote('{"symbol":"A","price":1}');
  assert.deepEqual([change, percent, basis, bid, ask, volume, size], ["", "", "", "", "", "", ""]);
});

test("extra fields that are not numbers are left out", () => {
  const { bid, ask, volume, size } = parseQuote(
    '{"symbol":"A","price":1,"bid":"none","ask":"1.5","volume":true,"size":"1 lot"}',
  );
  assert.deepEqual([bid, ask, volume, size], ["", "1.5", "", ""]);
});

test("the direction is the sign of a number", () => {
  assert.deepEqual(["0.01", "-0.01", "0.00", "-0", "", "x"].map(direction), [1, -1, 0, 0, 0, 0]);
});

test("percentages have a sign and two decimal places", () => {
  assert.deepEqual(["1.234", "-0.1043", "0", "0.001", "-0.001", ""].map(percentage), [
    "+1.23%",
    "-0.10%",
    "0.00%",
    "0.00%",
    "0.00%",
    "",
  ]);
});

test("symbols have at most 32 allowed characters", () => {
  for (const symbol of ["A", "BTC-USD", "^SPX", "BRK.B", "EUR/USD:X_=&", "A".repeat(32)])
    assert.ok(isSymbol(symbol), symbol);
  for (const text of ["", "PL$", "ÄÖÜ", "A B", "A,B", "BTC*", "A\n", "A".repeat(33)])
    assert.ok(!isSymbol(text), text);
});

test("entries are symbols, or patterns of at most 65 characters", () => {
  for (const entry of ["A", "*", "BTC*", "*-USD", "*".repeat(65)]) assert.ok(isEntry(entry), entry);
  for (const text of ["", "$*", "A *", "*".repeat(66), "A".repeat(33)])
    assert.ok(!isEntry(text), text);
});

test("a star in a pattern matches any characters, and all other characters match themselves", () => {
  const cases = [
    ["BTC*", ["BTC", "BTC-USD"], ["ABTC", "btc"]],
    ["*-USD", ["BTC-USD", "-USD"], ["BTC-USDT", "BTCUSD"]],
    ["A*C*E", ["ACE", "ABCDE"], ["ABDE", "ACEF"]],
    ["BRK.*", ["BRK.B"], ["BRKXB"]],
    ["^A/*", ["^A/B"], ["A/B"]],
  ];
  for (const [pattern, yes, no] of cases) {
    const matcher = patternToRegExp(pattern);
    for (const symbol of yes) assert.ok(matcher.test(symbol), `${pattern} ${symbol}`);
    for (const symbol of no) assert.ok(!matcher.test(symbol), `${pattern} ${symbol}`);
  }
});
