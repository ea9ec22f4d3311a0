// Measures the widths that the columns of the watchlist need for their texts.

import { type Column, COLUMNS, fit, type Needs, total, type Widths } from "./columns.ts";
import type { Entry } from "./quotes.ts";
import { cellTexts } from "./row.ts";
import { Ruler } from "./ruler.ts";

/**
 * Maximum lengths of ordinary texts: without a limit, for little width, and for even less width.
 * Longer texts do not widen a column.
 */
const ORDINARY_LENGTHS = [Infinity, 16, 12] as const;
/** Maximum number of measured characters of a name. The end of a longer name may be cut off. */
const MAX_NAME_CHARS = 16;
/** Minimum width of a name, in em. */
const MIN_NAME_EM = 5;

/**
 * Additional width beside the text, in em: the arrow of a price, the frame of a badge, or a margin.
 */
const EXTRA_EM = {
  grip: 0,
  symbol: 0.5,
  price: 1,
  change: 1,
  percent: 1,
  bid: 0.15,
  ask: 0.15,
  volume: 0.15,
  trend: 0,
  age: 0,
  out: 0,
};
const BADGE_SCALE = 0.77;
const BADGE_EXTRA_EM = 1.2;
/** Widths of columns without text, in em, unless the style sheet sets another width. */
const FIXED_WIDTHS_EM: Partial<Record<Column, number>> = {
  grip: 1.9,
  trend: 6.4,
  age: 3.3,
  out: 2.3,
};
/** Padding of a text, both sides together, in em. */
export const PADDING_EM = { roomy: 1.1, tight: 0.7 } as const;

export class Measures {
  private readonly ruler = new Ruler();
  /** The widest text of each column, for each maximum length. */
  private readonly widest = ORDINARY_LENGTHS.map(() => new Map<Column, number>());

  constructor(private readonly table: HTMLTableElement) {
    this.ruler.setFont(table);
  }

  clear(): void {
    for (const widths of this.widest) widths.clear();
  }

  /**
   * Updates the font. Returns whether the font has changed, and then forgets all measured widths.
   */
  fontChanged(): boolean {
    if (!this.ruler.setFont(this.table)) return false;
    this.clear();
    return true;
  }

  /** Measures the texts of a symbol. Returns whether a column needs more width than before. */
  add({ symbol, quote, status }: Entry, size: boolean): boolean {
    const state = status && status.state !== "live" ? status.state : "";
    const badge = state
      ? this.ruler.width(state, true) * BADGE_SCALE + BADGE_EXTRA_EM * this.ruler.em
      : 0;
    const name = symbol.slice(0, MAX_NAME_CHARS);
    let grown = this.widen("symbol", name.length, this.text("symbol", name) + badge);
    for (const [column, text] of Object.entries(cellTexts(quote, size)) as [Column, string][]) {
      if (this.widen(column, text.length, this.text(column, text))) grown = true;
    }
    return grown;
  }

  /** Returns the width of a column's text, in pixels. */
  text(column: Column, text: string): number {
    return this.ruler.width(text, column === "symbol" || column === "price");
  }

  /** The width of the arrow before a price. */
  get arrow(): number {
    return EXTRA_EM.price * this.ruler.em;
  }

  /** Returns the width for the text in a column of this width. */
  room(column: Column, width: number, tight: boolean): number {
    return width - this.extraWidth(column, tight);
  }

  /**
   * Selects the columns that fit into `room`. Also returns the width for all columns (`preferred`),
   * and for all columns except the volume (`core`).
   */
  fit(room: number): { widths: Widths; tight: boolean; preferred: number; core: number } {
    const roomy = this.needs(0, false);
    const tight = ORDINARY_LENGTHS.map((_, at) => this.needs(at, true));
    const { widths, chosen } = fit(room, [roomy, ...tight], tight[0]!, MIN_NAME_EM * this.ruler.em);
    return {
      widths,
      tight: chosen > 0,
      preferred: total(roomy),
      core: total(
        roomy,
        COLUMNS.filter((column) => column !== "volume"),
      ),
    };
  }

  private widen(column: Column, length: number, width: number): boolean {
    let grown = false;
    ORDINARY_LENGTHS.forEach((maxLength, at) => {
      const widths = this.widest[at]!;
      if (length > maxLength || width <= (widths.get(column) ?? 0)) return;
      widths.set(column, width);
      grown = true;
    });
    return grown;
  }

  private extraWidth(column: Column, tight: boolean): number {
    return (PADDING_EM[tight ? "tight" : "roomy"] + EXTRA_EM[column]) * this.ruler.em;
  }

  private needs(at: number, tight: boolean): Needs {
    const style = getComputedStyle(this.table);
    const need = (column: Column): number => {
      const fixed = parseFloat(style.getPropertyValue(`--${column}`)) || FIXED_WIDTHS_EM[column];
      if (fixed) return fixed * this.ruler.em;
      const text = Math.max(this.widest[at]!.get(column) ?? 0, this.heading(column));
      return Math.ceil(text + this.extraWidth(column, tight));
    };
    return Object.fromEntries(COLUMNS.map((column) => [column, need(column)])) as Record<
      Column,
      number
    >;
  }

  /** Returns the width of a heading. Headings have a smaller font. */
  private heading(column: Column): number {
    const text = this.table.tHead?.querySelector(`th.${column}`)?.textContent ?? "";
    return this.ruler.width(text) * 0.85 - EXTRA_EM[column] * this.ruler.em;
  }
}
