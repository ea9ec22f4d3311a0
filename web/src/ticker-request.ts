// What a ticker's attributes ask for. What the server would refuse is left out and named: the stream is shared with
// the other tickers of the page, and is refused as a whole.

import { isEntry } from "./quote.ts";
import { MOST_PATTERNS } from "./ticker-stream.ts";

/** Shown at most: a pattern may stand for a whole market. */
export const MOST = 200;
/** Faults that are named one by one. */
const NAMED = 5;
const RATE = "2";

export interface Request {
  readonly symbols: readonly string[];
  readonly rate: string;
  /** What is wrong; empty where nothing is. */
  readonly faults: string;
}

export function request(symbols: string | null, rate: string | null): Request {
  const faults: string[] = [];
  const entries = (symbols ?? "").split(/[\s,;]+/).filter(Boolean);
  const bad = entries.filter((entry) => !isEntry(entry));
  if (bad.length === 1) faults.push(`${bad[0]} is no symbol`);
  else if (bad.length > 1) faults.push(`${bad.slice(0, NAMED).join(", ")}${bad.length > NAMED ? " and others" : ""} are no symbols`);
  const good = entries.filter(isEntry);
  if (good.length > MOST) faults.push(`only the first ${MOST} symbols are shown`);
  const asked = Number(rate ?? RATE);
  const fits = asked >= 0.1 && asked <= 100;
  if (!fits) faults.push(`rate "${rate}" is not between 0.1 and 100`);
  let patterns = 0;
  const taken = good.slice(0, MOST).filter((entry) => !entry.includes("*") || (patterns += 1) <= MOST_PATTERNS);
  if (patterns > MOST_PATTERNS) faults.push(`only the first ${MOST_PATTERNS} patterns are shown`);
  if (entries.length === 0) faults.push("No symbols");
  return { symbols: taken, rate: fits ? String(asked) : RATE, faults: faults.join("; ") };
}
