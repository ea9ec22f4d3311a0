// Selects the columns of the watchlist for the available width, and their widths. A number is shown
// completely or not at all.

/** All columns, from left to right. */
export const COLUMNS = [
  "grip",
  "symbol",
  "price",
  "change",
  "percent",
  "bid",
  "ask",
  "volume",
  "trend",
  "age",
  "out",
] as const;
export type Column = (typeof COLUMNS)[number];

/** The columns to leave out if the width is too small, in this order. */
const DROP_ORDER: readonly (readonly Column[])[] = [
  ["volume"],
  ["bid", "ask"],
  ["age"],
  ["change"],
  ["trend"],
  ["percent"],
];

/** The columns that receive the remaining width, in this order, until the longest text fits. */
const WIDEN_ORDER: readonly Column[] = ["price", "change", "bid", "ask", "volume"];

/** The cells of a row that a price can cover if the price is longer than its column. */
export const COVERABLE: readonly Column[] = [
  "change",
  "percent",
  "bid",
  "ask",
  "volume",
  "trend",
  "age",
];

/** The width that each column needs, in pixels. */
export type Needs = Readonly<Record<Column, number>>;
export type Widths = ReadonlyMap<Column, number>;

/** Returns the width that these columns need together. */
export function total(needs: Needs, columns: readonly Column[] = COLUMNS): number {
  return columns.reduce((sum, column) => sum + needs[column], 0);
}

/**
 * Selects the columns that fit into `room`, and the index of the chosen candidate. Each candidate
 * needs less than the previous one; the last needs the width of ordinary texts only. `full` is the
 * width for all texts, and `minName` is the minimum width of the name.
 */
export function fit(
  room: number,
  candidates: readonly Needs[],
  full: Needs,
  minName: number,
): { widths: Widths; chosen: number } {
  const last = candidates.length - 1;
  let columns: readonly Column[] = COLUMNS;
  for (const dropped of DROP_ORDER) {
    if (total(candidates[last]!, columns) <= room) break;
    columns = columns.filter((column) => !dropped.includes(column));
  }
  const found = candidates.findIndex((needs) => total(needs, columns) <= room);
  const chosen = found < 0 ? last : found;
  const widths = new Map<Column, number>(
    columns.map((column) => [column, candidates[chosen]![column]]),
  );
  let left = room - total(candidates[chosen]!, columns);
  const widen = (column: Column, by: number): void => {
    widths.set(column, widths.get(column)! + by);
    left -= by;
  };
  if (left < 0) {
    // No other column can be left out. The name shrinks first, then the price.
    widen("symbol", -Math.min(-left, Math.max(0, widths.get("symbol")! - minName)));
    if (left < 0) widen("price", -Math.min(-left, widths.get("price")!));
    return { widths, chosen };
  }
  for (const column of WIDEN_ORDER) {
    const width = widths.get(column);
    if (width !== undefined) widen(column, Math.min(left, Math.max(0, full[column] - width)));
  }
  return { widths, chosen };
}
