import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { compact, decimals, formatNumber, members, signed } = await load("decimal.ts");

test("numbers keep their digits", () => {
  const json =
    '{"symbol":"A","price":189.50,"tiny":-0.0000000000034,"n":12345678901234567890,"e":1E-7}';
  assert.deepEqual(Object.fromEntries(members(json)), {
    symbol: "A",
    price: "189.50",
    tiny: "-0.0000000000034",
    n: "12345678901234567890",
    e: "1E-7",
  });
});

test("texts lose their quotes and escapes", () => {
  const text = 'a "quote", a {brace}, a \\ and \u2028';
  const found = members(`{ "note" : ${JSON.stringify(text)} , "last":"" }`);
  assert.deepEqual(
    [...found],
    [
      ["note", text],
      ["last", ""],
    ],
  );
});

test("other values are texts", () => {
  assert.deepEqual(
    [...members('{"a":true,"b":null}')],
    [
      ["a", "true"],
      ["b", "null"],
    ],
  );
  assert.equal(members("{}").size, 0);
  assert.equal(members("").size, 0);
});

test("decimal places are counted", () => {
  assert.deepEqual(["12", "189.50", "-0.00000823", "5."].map(decimals), [0, 2, 8, 0]);
});

test("formatted numbers have the requested decimal places", () => {
  assert.equal(formatNumber(189.5, 2), "189.50");
  assert.equal(formatNumber(0, 3), "0.000");
  assert.equal(formatNumber(-0.00000823, 8), "-0.00000823");
  assert.equal(formatNumber(143250000, 0), "143250000");
});

test("numbers with more than 15 significant digits are marked", () => {
  assert.equal(formatNumber(1234567.12345678, 8), "1234567.12345678");
  assert.equal(formatNumber(12345678.12345678, 8), "≈12345678.1235");
  assert.equal(formatNumber(-123456789012e8, 0), "≈-1.23456789012e+19");
});

test("positive numbers get a sign", () => {
  assert.deepEqual(["0.10", "-0.10", "0", "0.00", ""].map(signed), [
    "+0.10",
    "-0.10",
    "0",
    "0.00",
    "",
  ]);
});

test("large amounts are short", () => {
  const amounts = {
    9999: "9999",
    9999.99: "9999.99",
    10000: "10.0K",
    12345: "12.3K",
    "-123456": "-123K",
    1234567: "1.23M",
    64300000: "64.3M",
    2500000000: "2.50B",
    1e12: "1.00T",
    5e15: "5000T",
    none: "none",
    "": "",
  };
  for (const [amount, short] of Object.entries(amounts)) assert.equal(compact(amount), short);
});
