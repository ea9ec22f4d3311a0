// One row of the watchlist. The document changes only if a text changes.

import { type Column, COVERABLE, type Widths } from "./columns.ts";
import { compact, signed } from "./decimal.ts";
import { direction, percentage, type Quote } from "./quote.ts";
import type { Entry } from "./quotes.ts";

const FLASH_MS = 320;
/** The text in place of a number that is too wide for its cell. The tooltip contains the number. */
const TOO_WIDE_TEXT = "####";

/**
 * The scale of a price that is too wide otherwise. Such a price has no arrow. The style sheet uses
 * the same scale.
 */
const SMALL_SCALE = 0.7;

/** The current layout of the columns. */
export interface Layout {
  readonly widths: Widths;
  /** Returns the width for the text in a column, in pixels. */
  readonly room: (column: Column) => number;
  /** Returns the width of a text in a column, in pixels. */
  readonly text: (column: Column, text: string) => number;
  /** The width of the arrow before a price. */
  readonly arrow: number;
}

export class Row {
  readonly element: HTMLTableRowElement;
  readonly canvas: HTMLCanvasElement;
  readonly button: HTMLButtonElement;
  readonly remove: HTMLButtonElement;
  private readonly cells = new Map<string, { cell: HTMLElement; text: Text }>();
  private readonly badge: HTMLElement;
  private shownQuote: unknown = undefined;
  private covered = "";
  drawnAt = 0;

  constructor(
    template: HTMLTemplateElement,
    readonly entry: Entry,
  ) {
    const fragment = template.content.cloneNode(true) as DocumentFragment;
    this.element = fragment.querySelector("tr")!;
    this.element.dataset["symbol"] = entry.symbol;
    this.canvas = fragment.querySelector("canvas")!;
    this.button = fragment.querySelector<HTMLButtonElement>("button.name")!;
    this.button.textContent = entry.symbol;
    this.button.title = entry.symbol;
    this.remove = fragment.querySelector<HTMLButtonElement>("button.remove")!;
    this.remove.setAttribute("aria-label", `Remove ${entry.symbol}`);
    this.badge = fragment.querySelector<HTMLElement>(".badge")!;
    for (const name of ["price", "change", "percent", "bid", "ask", "volume", "age"]) {
      const cell = fragment.querySelector<HTMLElement>(`td.${name}`)!;
      const text = document.createTextNode("");
      cell.append(text);
      this.cells.set(name, { cell, text });
    }
  }

  /** Marks all texts for a new layout, because the columns have changed. */
  refit(): void {
    this.shownQuote = undefined;
  }

  /**
   * Updates the texts. If `size` is set, the size of the last trade is shown, because no symbol has
   * a volume.
   */
  update(size: boolean, columns: Layout, now: number): void {
    const { quote, move, status } = this.entry;
    if (quote !== this.shownQuote) {
      this.shownQuote = quote;
      const { price, ...others } = cellTexts(quote, size);
      this.showPrice(price, columns);
      for (const [name, text] of Object.entries(others) as [
        Exclude<TextColumn, "price">,
        string,
      ][]) {
        this.setText(name, text, columns.text(name, text) <= columns.room(name));
      }
      const way = quote ? direction(quote.change) : 0;
      setData(this.element, "way", way > 0 ? "up" : way < 0 ? "down" : "");
    }
    setData(this.element, "move", move > 0 ? "up" : move < 0 ? "down" : "");
    const state = status && status.state !== "live" ? status.state : "";
    setData(this.element, "state", state);
    if (this.badge.textContent !== state) this.badge.textContent = state;
    if (this.badge.title !== (status?.reason ?? "")) this.badge.title = status?.reason ?? "";
    this.flash(now);
  }

  /** Updates the flash. Returns whether the flash is still on. */
  flash(now: number): boolean {
    const on = this.entry.movedAt > 0 && now - this.entry.movedAt < FLASH_MS;
    setData(this.element, "flash", on ? (this.entry.move > 0 ? "up" : "down") : "");
    return on;
  }

  updateAge(serverNow: number): void {
    const { quote } = this.entry;
    this.setText("age", quote ? formatAge(serverNow - quote.time) : "", true);
  }

  /** Shows the price. If the price is longer than its column, the price covers the next cells. */
  private showPrice(text: string, columns: Layout): void {
    const needs = columns.text("price", text);
    // A small price has no arrow.
    const room = (scale: number): number => columns.room("price") + (scale < 1 ? columns.arrow : 0);
    const scale = [1, SMALL_SCALE].find(
      (scale) => needs * scale <= room(scale) + coverableWidth(columns.widths),
    );
    let missing = scale === undefined ? 0 : needs * scale - room(scale);
    const covered = COVERABLE.filter((column) => {
      const width = columns.widths.get(column);
      if (missing <= 0 || width === undefined) return false;
      missing -= width;
      return true;
    });
    this.setText("price", text, scale !== undefined);
    setData(this.element, "small", scale === SMALL_SCALE ? "price" : "");
    if (this.covered === covered.join()) return;
    this.covered = covered.join();
    this.element.querySelector<HTMLTableCellElement>("td.price")!.colSpan = 1 + covered.length;
    for (const column of COVERABLE)
      this.element.querySelector<HTMLElement>(`td.${column}`)!.hidden = covered.includes(column);
  }

  private setText(name: string, text: string, fits: boolean): void {
    const { cell, text: node } = this.cells.get(name)!;
    const visibleText = fits ? text : TOO_WIDE_TEXT;
    if (node.data === visibleText && cell.title === (fits ? "" : text)) return;
    node.data = visibleText;
    cell.title = fits ? "" : text;
  }
}

type TextColumn = "price" | "change" | "percent" | "bid" | "ask" | "volume";

/** Returns the width of the cells that a price can cover. */
function coverableWidth(widths: Widths): number {
  return COVERABLE.reduce((sum, column) => sum + (widths.get(column) ?? 0), 0);
}

/** Returns the texts of the cells, by column. */
export function cellTexts(quote: Quote | null, size: boolean): Record<TextColumn, string> {
  return {
    price: quote?.price ?? "—",
    change: quote ? signed(quote.change) : "",
    percent: quote ? percentage(quote.percent) : "",
    bid: quote?.bid || "—",
    ask: quote?.ask || "—",
    volume: compact((size ? quote?.size : quote?.volume) ?? "") || "—",
  };
}

export function formatAge(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 1) return "<1s";
  if (seconds < 100) return `${seconds}s`;
  if (seconds < 6_000) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

/** Sets a `data-` attribute, or removes it if the value is empty. */
export function setData(element: HTMLElement, name: string, value: string): void {
  const before = element.dataset[name] ?? "";
  if (before === value) return;
  if (value === "") element.removeAttribute(`data-${name}`);
  else element.dataset[name] = value;
}
