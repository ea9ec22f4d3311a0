// The delay of the prices: a reader may be allowed to read the market only as it was some time ago.

const UNITS = [
  ["h", 3_600],
  ["min", 60],
  ["s", 1],
] as const;

/** Returns the label of delayed prices, such as "15 min delayed", or an empty string. */
export function delayText(seconds: number): string {
  if (!(seconds > 0)) return "";
  const [unit, length] = UNITS.find(([, length]) => seconds % length === 0) ?? UNITS[2];
  return `${seconds / length} ${unit} delayed`;
}
