// Which columns the watchlist has room for, and how wide they are. A number is shown whole or not at all.

/** In the order in which they stand. */
export const COLUMNS = ["grip", "symbol", "price", "change", "percent", "bid", "ask", "volume", "trend", "age", "out"] as const;
export type Column = (typeof COLUMNS)[number];

/** What is left out where there is no room, the first first. */
const LEFT_OUT: readonly (readonly Column[])[] = [["volume"], ["bid", "ask"], ["age"], ["change"], ["trend"], ["percent"]];

/** What is given of the room that is left over, in this order, until the longest text fits. */
const WIDENED: readonly Column[] = ["price", "change", "bid", "ask", "volume"];

/** The cells of a row over which a price may go that is longer than its column. */
export const COVERED: readonly Column[] = ["change", "percent", "bid", "ask", "volume", "trend", "age"];

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
export function fit(room: number, tries: readonly Needs[], whole: Needs, name: number): { widths: Widths; tried: number } {
  const last = tries.length - 1;
  let columns: readonly Column[] = COLUMNS;
  for (const less of LEFT_OUT) {
    if (total(tries[last]!, columns) <= room) break;
    columns = columns.filter((column) => !less.includes(column));
  }
  const found = tries.findIndex((needs) => total(needs, columns) <= room);
  const tried = found < 0 ? last : found;
  const widths = new Map<Column, number>(columns.map((column) => [column, tries[tried]![column]]));
  let left = room - total(tries[tried]!, columns);
  const widen = (column: Column, by: number): void => {
    widths.set(column, widths.get(column)! + by);
    left -= by;
  };
  if (left < 0) {
    // Nothing more can be left out: the name gives way before the price.
    widen("symbol", -Math.min(-left, Math.max(0, widths.get("symbol")! - name)));
    if (left < 0) widen("price", -Math.min(-left, widths.get("price")!));
    return { widths, tried };
  }
  for (const column of WIDENED) {
    const width = widths.get(column);
    if (width !== undefined) widen(column, Math.min(left, Math.max(0, whole[column] - width)));
  }
  return { widths, tried };
}
