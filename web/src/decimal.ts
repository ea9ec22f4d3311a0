// Numbers with their original digits. JSON.parse turns 189.50 into 189.5, but the page shows each
// price as received.

export type Members = Map<string, string>;

// Matches one member of a flat object: its name, and its value as text.
const MEMBER = /[{,]\s*"((?:[^"\\]|\\.)*)"\s*:\s*("(?:[^"\\]|\\.)*"|[^,}\s]+)\s*/y;

/**
 * Returns the members of a flat JSON object: numbers with their original digits, and text without
 * quotes.
 */
export function members(json: string): Members {
  const found: Members = new Map();
  MEMBER.lastIndex = json.indexOf("{");
  for (let match = MEMBER.exec(json); match; match = MEMBER.exec(json)) {
    const [, name = "", value = ""] = match;
    found.set(name, value.startsWith('"') ? unquote(value) : value);
  }
  return found;
}

function unquote(quoted: string): string {
  return quoted.includes("\\") ? String(JSON.parse(quoted)) : quoted.slice(1, -1);
}

/** Returns the number of decimal places. */
export function decimals(text: string): number {
  const point = text.indexOf(".");
  return point < 0 ? 0 : text.length - point - 1;
}

/** Number of significant digits that every JavaScript number can hold. */
const MAX_SIGNIFICANT_DIGITS = 15;

/**
 * Formats a number with this number of decimal places. If the number may not hold all digits, the
 * result begins with ≈.
 */
export function formatNumber(value: number, digits: number): string {
  const significant = value === 0 ? 0 : digits + Math.floor(Math.log10(Math.abs(value))) + 1;
  return significant <= MAX_SIGNIFICANT_DIGITS
    ? value.toFixed(digits)
    : `≈${value.toPrecision(MAX_SIGNIFICANT_DIGITS - 3)}`;
}

/** Adds a plus sign to a positive number, so that the direction does not depend on colour alone. */
export function signed(text: string): string {
  return text.startsWith("-") || Number(text) === 0 ? text : `+${text}`;
}

const LARGEST_UNIT = ["T", 1e12] as const;
const UNITS = [["K", 1e3], ["M", 1e6], ["B", 1e9], LARGEST_UNIT] as const;

/** Shortens a large amount to four or five characters: 12.0K, 64.3M. */
export function compact(text: string): string {
  const value = Number(text);
  const size = Math.abs(value);
  if (!Number.isFinite(value) || size < 10_000) return text;
  const [unit, divisor] = UNITS.find(([, divisor]) => size < divisor * 1e3) ?? LARGEST_UNIT;
  const scaled = value / divisor;
  return scaled.toFixed(Math.abs(scaled) < 10 ? 2 : Math.abs(scaled) < 100 ? 1 : 0) + unit;
}
