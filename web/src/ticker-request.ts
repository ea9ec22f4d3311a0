// Parses the attributes of a ticker. Invalid entries are left out and reported. All tickers of a
// page share a stream, and one invalid entry would make the server refuse the whole stream.

import { isEntry } from "./quote.ts";
import { MAX_PATTERNS } from "./ticker-stream.ts";

/** Maximum number of shown symbols. A pattern may match a whole market. */
export const MAX_SYMBOLS = 200;
/** Maximum number of invalid entries that the message names. */
const MAX_NAMED_FAULTS = 5;
const DEFAULT_RATE = "2";

export interface TickerRequest {
  readonly symbols: readonly string[];
  readonly rate: string;
  /** Description of all errors, or an empty string. */
  readonly faults: string;
}

export function parseRequest(symbols: string | null, rate: string | null): TickerRequest {
  const faults: string[] = [];
  const entries = (symbols ?? "").split(/[\s,;]+/).filter(Boolean);
  const bad = entries.filter((entry) => !isEntry(entry));
  if (bad.length === 1) faults.push(`${bad.join()} is not a valid symbol`);
  else if (bad.length > 1)
    faults.push(
      `${bad.slice(0, MAX_NAMED_FAULTS).join(", ")}${bad.length > MAX_NAMED_FAULTS ? " and others" : ""} are not valid symbols`,
    );
  const good = entries.filter(isEntry);
  if (good.length > MAX_SYMBOLS) faults.push(`only the first ${MAX_SYMBOLS} symbols are shown`);
  const rateText = rate ?? DEFAULT_RATE;
  const asked = Number(rateText);
  const fits = asked >= 0.1 && asked <= 100;
  if (!fits) faults.push(`rate "${rateText}" is invalid (expected 0.1 to 100)`);
  let patterns = 0;
  const accepted = good
    .slice(0, MAX_SYMBOLS)
    .filter((entry) => !entry.includes("*") || (patterns += 1) <= MAX_PATTERNS);
  if (patterns > MAX_PATTERNS) faults.push(`only the first ${MAX_PATTERNS} patterns are shown`);
  if (entries.length === 0) faults.push("No symbols");
  return {
    symbols: accepted,
    rate: fits ? String(asked) : DEFAULT_RATE,
    faults: faults.join("; "),
  };
}
