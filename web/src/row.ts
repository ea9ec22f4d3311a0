// One row of the watchlist. Nothing of the document is touched unless its text changes.

import { compact, signed } from "./decimal.ts";
import { direction, percentage, type Quote } from "./quote.ts";
import type { Entry } from "./quotes.ts";

const FLASH_MS = 320;

export class Row {
  readonly element: HTMLTableRowElement;
  readonly canvas: HTMLCanvasElement;
  readonly button: HTMLButtonElement;
  readonly remove: HTMLButtonElement;
  private readonly cells = new Map<string, { cell: HTMLElement; text: Text }>();
  private readonly badge: HTMLElement;
  private shown: unknown = undefined;
  drawn = 0;

  constructor(template: HTMLTemplateElement, readonly entry: Entry) {
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

  /** `size`: show the size of the last trade, no symbol here has a volume. */
  update(size: boolean, now: number): void {
    const { quote, move, standing } = this.entry;
    if (quote !== this.shown) {
      this.shown = quote;
      for (const [name, text] of Object.entries(figures(quote, size))) this.put(name, text);
      const way = quote ? direction(quote.change) : 0;
      mark(this.element, "way", way > 0 ? "up" : way < 0 ? "down" : "");
    }
    mark(this.element, "move", move > 0 ? "up" : move < 0 ? "down" : "");
    const state = standing && standing.state !== "live" ? standing.state : "";
    mark(this.element, "state", state);
    if (this.badge.textContent !== state) this.badge.textContent = state;
    if (this.badge.title !== (standing?.reason ?? "")) this.badge.title = standing?.reason ?? "";
    this.flash(now);
  }

  /** Whether the flash is still on. */
  flash(now: number): boolean {
    const on = this.entry.movedAt > 0 && now - this.entry.movedAt < FLASH_MS;
    mark(this.element, "flash", on ? (this.entry.move > 0 ? "up" : "down") : "");
    return on;
  }

  age(serverNow: number): void {
    const { quote } = this.entry;
    this.put("age", quote ? age(serverNow - quote.time) : "");
  }

  private put(name: string, text: string): void {
    const cell = this.cells.get(name)!;
    if (cell.text.data !== text) cell.text.data = text;
  }
}

/** What the cells say, by the names of their columns. */
export function figures(quote: Quote | null, size: boolean): Record<string, string> {
  return {
    price: quote?.price ?? "—",
    change: quote ? signed(quote.change) : "",
    percent: quote ? percentage(quote.percent) : "",
    bid: quote?.bid || "—",
    ask: quote?.ask || "—",
    volume: compact((size ? quote?.size : quote?.volume) ?? "") || "—",
  };
}

export function age(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 1) return "<1s";
  if (seconds < 100) return `${seconds}s`;
  if (seconds < 6_000) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

function mark(element: HTMLElement, name: string, value: string): void {
  const before = element.dataset[name] ?? "";
  if (before === value) return;
  if (value === "") delete element.dataset[name];
  else element.dataset[name] = value;
}
