// The server's clock, as far as it can be told from here. Lag and age are differences between two clocks; one that is
// a minute off would make every price look a minute old.

/** The server's time minus ours lies between these. */
let least = -Infinity;
let most = Infinity;

/** An answer's `Date` header, whole seconds, and when it was asked for and came. */
export function sawDate(header: string | null, asked: number, came: number): void {
  const second = header ? Date.parse(header) : NaN;
  if (Number.isNaN(second)) return;
  narrow(second - came, second + 1_000 - asked);
}

/** A heartbeat's own time: it cannot have come before it was sent. */
export function sawHeartbeat(time: number, came: number): void {
  narrow(time - came, time - came + 2_000);
}

function narrow(low: number, high: number): void {
  // One of the clocks was set: begin again.
  if (low > most || high < least) [least, most] = [low, high];
  else [least, most] = [Math.max(least, low), Math.min(most, high)];
}

/** Now, by the server's clock. Ours, where nothing speaks against it. */
export function serverNow(): number {
  const now = Date.now();
  if (least > 0) return now + least;
  return most < 0 ? now + most : now;
}
