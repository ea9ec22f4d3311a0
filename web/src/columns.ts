// Which columns the watchlist has room for, and how wide they are. A number is shown whole or not at all.

/** In the order in which they stand. */
export const COLUMNS = ["grip", "symbol", "price", "change", "percent", "bid", "ask", "volume", "trend", "age", "out"] as const;
export type Column = (typeof COLUMNS)[number];

/** What is left out where there is no room, the first first. */
const DROP_ORDER: readonly (readonly Column[])[] = [["volume"], ["bid", "ask"], ["age"], ["change"], ["trend"], ["percent"]];

/** What is given of the room that is left over, in this order, until the longest text fits. */
const WIDEN_ORDER: readonly Column[] = ["price", "change", "bid", "ask", "volume"];

/** The cells of a row over which a price may go that is longer than its column. */
export const COVERABLE: readonly Column[] = ["change", "percent", "bid", "ask", "volume", "trend", "age"];

/** What each column needs, in pixels. */
export type Needs = Readonly<Record<Column, number>>;
export type Widths = ReadonlyMap<Column, number>;

/** The room that these columns need. */
export function total(needs: Needs, columns: readonly Column[] = COLUMNS): number {
  return columns.reduce((sum, column) => sum + needs[column], 0);
}

/**
 * The columns that fit into so much room, and which of `tries` that is: each needs less than the one before it, down to
 * what columns need that are not out of the ordinary. `whole` is what all texts need, `name` what a name can do with.
 */
export function fit(room: number, candidates: readonly Needs[], full: Needs, minName: number): { widths: Widths; chosen: number } {
  const last = candidates.length - 1;
  let columns: readonly Column[] = COLUMNS;
  for (const dropped of DROP_ORDER) {
    if (total(candidates[last]!, columns) <= room) break;
    columns = columns.filter((column) => !dropped.includes(column));
  }
  const found = candidates.findIndex((needs) => total(needs, columns) <= room);
  const chosen = found < 0 ? last : found;
  const widths = new Map<Column, number>(columns.map((column) => [column, candidates[chosen]![column]]));
  let left = room - total(candidates[chosen]!, columns);
  const widen = (column: Column, by: number): void => {
    widths.set(column, widths.get(column)! + by);
    left -= by;
  };
  if (left < 0) {
    // Nothing more can be left out: the name gives way before the price.
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
