// The server's clock, as far as it can be told from here. Lag and age are differences between two clocks; one that is
// a minute off would make every price look a minute old.

/** The server's time minus ours lies between these. */
let minOffset = -Infinity;
let maxOffset = Infinity;

/** An answer's `Date` header, whole seconds, and when it was asked for and came. */
export function observeDate(header: string | null, sentAt: number, receivedAt: number): void {
  const second = header ? Date.parse(header) : NaN;
  if (Number.isNaN(second)) return;
  narrow(second - receivedAt, second + 1_000 - sentAt);
}

/** A heartbeat's own time: it cannot have come before it was sent. */
export function observeHeartbeat(time: number, receivedAt: number): void {
  narrow(time - receivedAt, time - receivedAt + 2_000);
}

function narrow(low: number, high: number): void {
  // One of the clocks was set: begin again.
  if (low > maxOffset || high < minOffset) [minOffset, maxOffset] = [low, high];
  else [minOffset, maxOffset] = [Math.max(minOffset, low), Math.min(maxOffset, high)];
}

/** Now, by the server's clock. Ours, where nothing speaks against it. */
export function serverNow(): number {
  const now = Date.now();
  if (minOffset > 0) return now + minOffset;
  return maxOffset < 0 ? now + maxOffset : now;
}
