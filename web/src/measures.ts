// What the watchlist's columns need for the texts that are in them.

import { type Column, COLUMNS, fit, type Needs, total, type Widths } from "./columns.ts";
import type { Entry } from "./quotes.ts";
import { cellTexts } from "./row.ts";
import { Ruler } from "./ruler.ts";

/** Texts that are longer are out of the ordinary, where there is little room and where there is less. */
const ORDINARY_LENGTHS = [Infinity, 16, 12] as const;
/** Of a longer name the end may be cut off. */
const MAX_NAME_CHARS = 16;
/** What a name can do with, in em. */
const MIN_NAME_EM = 5;

/** What stands beside the text, in em: the arrow before a price, the frame around a state, or half a letter to spare. */
const EXTRA_EM = { grip: 0, symbol: 0.5, price: 1, change: 1, percent: 1, bid: 0.15, ask: 0.15, volume: 0.15, trend: 0, age: 0, out: 0 };
const BADGE_SCALE = 0.77;
const BADGE_EXTRA_EM = 1.2;
/** Columns of another kind, in em, unless the style sheet has another width for them. */
const FIXED_WIDTHS_EM: Partial<Record<Column, number>> = { grip: 1.9, trend: 6.4, age: 3.3, out: 2.3 };
/** What is left free at both sides of a text, in em. */
export const PADDING_EM = { roomy: 1.1, tight: 0.7 } as const;

export class Measures {
  private readonly ruler = new Ruler();
  /** The widest text of each column, for each of the lengths that are ordinary. */
  private readonly widest = ORDINARY_LENGTHS.map(() => new Map<Column, number>());

  constructor(private readonly table: HTMLTableElement) {
    this.ruler.setFont(table);
  }

  clear(): void {
    for (const widths of this.widest) widths.clear();
  }

  /** Another font, or another size of it: what was measured is forgotten. */
  fontChanged(): boolean {
    if (!this.ruler.setFont(this.table)) return false;
    this.clear();
    return true;
  }

  /** Takes in what is written of a symbol; whether a column needs more room for it than before. */
  add({ symbol, quote, status }: Entry, size: boolean): boolean {
    const state = status && status.state !== "live" ? status.state : "";
    const badge = state ? this.ruler.width(state, true) * BADGE_SCALE + BADGE_EXTRA_EM * this.ruler.em : 0;
    const name = symbol.slice(0, MAX_NAME_CHARS);
    let grown = this.widen("symbol", name.length, this.text("symbol", name) + badge);
    for (const [column, text] of Object.entries(cellTexts(quote, size)) as [Column, string][]) {
      if (this.widen(column, text.length, this.text(column, text))) grown = true;
    }
    return grown;
  }

  /** How wide a column's text is, in pixels. */
  text(column: Column, text: string): number {
    return this.ruler.width(text, column === "symbol" || column === "price");
  }

  /** What the arrow before a price takes. */
  get arrow(): number {
    return EXTRA_EM.price * this.ruler.em;
  }

  /** What a column of this width has for its text. */
  room(column: Column, width: number, tight: boolean): number {
    return width - this.extraWidth(column, tight);
  }

  /** The columns for so much room; the room in which all would fit, and that for all but the last to be missed. */
  fit(room: number): { widths: Widths; tight: boolean; wanted: number; core: number } {
    const roomy = this.needs(0, false);
    const tight = ORDINARY_LENGTHS.map((_, at) => this.needs(at, true));
    const { widths, chosen } = fit(room, [roomy, ...tight], tight[0]!, MIN_NAME_EM * this.ruler.em);
    return { widths, tight: chosen > 0, wanted: total(roomy), core: total(roomy, COLUMNS.filter((column) => column !== "volume")) };
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
    return Object.fromEntries(COLUMNS.map((column) => [column, need(column)])) as Record<Column, number>;
  }

  /** Headings are a little smaller than what is below them. */
  private heading(column: Column): number {
    const text = this.table.tHead?.querySelector(`th.${column}`)?.textContent ?? "";
    return this.ruler.width(text) * 0.85 - EXTRA_EM[column] * this.ruler.em;
  }
}
