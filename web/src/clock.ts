// Estimates the clock of the server. Lag and age are differences between the clocks of the server
// and of the page. If the clock of the page is a minute fast, every price would look a minute old.

/** Bounds of the server's time minus the page's time. */
let minOffset = -Infinity;
let maxOffset = Infinity;
let delayMs = 0;

/** Sets the delay of the prices. */
export function setDelay(seconds: number): void {
  delayMs = seconds * 1_000;
}

/**
 * Takes in the `Date` header of a response, in whole seconds, with the times of the request and of
 * the response.
 */
export function observeDate(header: string | null, sentAt: number, receivedAt: number): void {
  const second = header ? Date.parse(header) : NaN;
  if (Number.isNaN(second)) return;
  narrow(second - receivedAt, second + 1_000 - sentAt);
}

/**
 * Takes in the time of a heartbeat. A heartbeat cannot arrive before it is sent. Its time is as far
 * behind as the prices.
 */
export function observeHeartbeat(sentAt: number, receivedAt: number): void {
  const time = sentAt + delayMs;
  narrow(time - receivedAt, time - receivedAt + 2_000);
}

function narrow(low: number, high: number): void {
  // The bounds contradict each other: a clock was set. Start with new bounds.
  if (low > maxOffset || high < minOffset) [minOffset, maxOffset] = [low, high];
  else [minOffset, maxOffset] = [Math.max(minOffset, low), Math.min(maxOffset, high)];
}

/**
 * Returns the current time by the server's clock. Without evidence of a difference, this is the
 * page's time.
 */
export function serverNow(): number {
  const now = Date.now();
  if (minOffset > 0) return now + minOffset;
  return maxOffset < 0 ? now + maxOffset : now;
}

/** Returns the current time of the market that the page shows, which may be delayed. */
export function marketNow(): number {
  return serverNow() - delayMs;
}
