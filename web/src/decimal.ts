// Numbers as they were written. JSON.parse makes 189.50 into 189.5; a price is shown as it came.

export type Members = Map<string, string>;

// One member of a flat object: its name, and its value as text.
const MEMBER = /[{,]\s*"((?:[^"\\]|\\.)*)"\s*:\s*("(?:[^"\\]|\\.)*"|[^,}\s]+)\s*/y;

/** The members of a flat JSON object, numbers by their own digits, text without its quotes. */
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

/** How many digits stand behind the point. */
export function decimals(text: string): number {
  const point = text.indexOf(".");
  return point < 0 ? 0 : text.length - point - 1;
}

/** So many significant digits does a number of this language hold, whatever they are. */
const MAX_SIGNIFICANT_DIGITS = 15;

/** A number with so many digits behind the point; where it may not hold all of them, it says so. */
export function formatNumber(value: number, digits: number): string {
  const significant = value === 0 ? 0 : digits + Math.floor(Math.log10(Math.abs(value))) + 1;
  return significant <= MAX_SIGNIFICANT_DIGITS ? value.toFixed(digits) : `≈${value.toPrecision(MAX_SIGNIFICANT_DIGITS - 3)}`;
}

/** With a sign in front, also where it is positive: direction must not be a matter of colour. */
export function signed(text: string): string {
  return text.startsWith("-") || Number(text) === 0 ? text : `+${text}`;
}

/** A large amount in four or five characters: 1.20K, 64.3M. */
export function compact(text: string): string {
  const value = Number(text);
  const size = Math.abs(value);
  if (!Number.isFinite(value) || size < 10_000) return text;
  const [unit, divisor] = size < 1e6 ? ["K", 1e3] : size < 1e9 ? ["M", 1e6] : size < 1e12 ? ["B", 1e9] : ["T", 1e12];
  const scaled = value / (divisor as number);
  return scaled.toFixed(Math.abs(scaled) < 10 ? 2 : Math.abs(scaled) < 100 ? 1 : 0) + unit;
}
