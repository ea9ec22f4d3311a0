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
  const invalid = entries.filter((entry) => !isEntry(entry));
  if (invalid.length === 1) faults.push(`${invalid.join()} is not a valid symbol`);
  else if (invalid.length > 1)
    faults.push(
      `${invalid.slice(0, MAX_NAMED_FAULTS).join(", ")}${invalid.length > MAX_NAMED_FAULTS ? " and others" : ""} are not valid symbols`,
    );
  const valid = entries.filter(isEntry);
  if (valid.length > MAX_SYMBOLS) faults.push(`only the first ${MAX_SYMBOLS} symbols are shown`);
  const rateText = rate ?? DEFAULT_RATE;
  const requestedRate = Number(rateText);
  const isValidRate = requestedRate >= 0.1 && requestedRate <= 100;
  if (!isValidRate) faults.push(`rate "${rateText}" is invalid (expected 0.1 to 100)`);
  let patterns = 0;
  const accepted = valid
    .slice(0, MAX_SYMBOLS)
    .filter((entry) => !entry.includes("*") || (patterns += 1) <= MAX_PATTERNS);
  if (patterns > MAX_PATTERNS) faults.push(`only the first ${MAX_PATTERNS} patterns are shown`);
  if (entries.length === 0) faults.push("No symbols");
  return {
    symbols: accepted,
    rate: isValidRate ? String(requestedRate) : DEFAULT_RATE,
    faults: faults.join("; "),
  };
}
