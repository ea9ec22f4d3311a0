import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

test("delayed heartbeats do not set the clock back", async () => {
  const { marketNow, observeDate, observeHeartbeat, serverNow, setDelay } = await load("clock.ts");
  setDelay(900);
  const now = Date.now();
  observeDate(new Date(now).toUTCString(), now, now);
  observeHeartbeat(now - 900_000, now);
  assert.ok(Math.abs(serverNow() - now) < 2_000);
  assert.ok(Math.abs(marketNow() - (now - 900_000)) < 2_000);
});
