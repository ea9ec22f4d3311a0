// The newest state of each symbol on the watchlist: price, direction, status and history.

import type { SymbolStatus } from "./messages.ts";
import { parseQuote, type Quote } from "./quote.ts";
import { Track } from "./sparkline.ts";

/** The status of a symbol that was removed from the market. The next tick removes this status. */
export const REMOVED_STATUS: SymbolStatus = {
  symbol: "",
  state: "gone",
  reason: "removed from the market",
};

export interface Entry {
  readonly symbol: string;
  quote: Quote | null;
  /** The direction of the last price change. */
  move: -1 | 0 | 1;
  /** The time of the last price change by the page's clock, for the flash. */
  movedAt: number;
  status: SymbolStatus | null;
  track: Track;
}

export class Quotes {
  private readonly entries = new Map<string, Entry>();

  entry(symbol: string): Entry {
    let entry = this.entries.get(symbol);
    if (!entry) {
      entry = { symbol, quote: null, move: 0, movedAt: 0, status: null, track: new Track() };
      this.entries.set(symbol, entry);
    }
    return entry;
  }

  /**
   * Applies a tick. Returns the changed entry, whether this is its first tick, and whether the tick
   * is newer than an earlier one.
   */
  update(json: string, now: number): { entry: Entry; isFirst: boolean; isNew: boolean } | null {
    const next = parseQuote(json);
    const entry = this.entries.get(next.symbol);
    if (!entry) return null;
    const before = entry.quote;
    if (entry.status === REMOVED_STATUS) entry.status = null;
    if (before && next.n < before.n) return null;
    entry.quote = next;
    entry.track.add(next.time, next.value);
    if (before && next.value !== before.value) {
      entry.move = next.value > before.value ? 1 : -1;
      entry.movedAt = now;
    }
    return { entry, isFirst: before === null, isNew: before !== null && next.n > before.n };
  }

  /** Removes all symbols except these. */
  retain(symbols: ReadonlySet<string>): void {
    for (const symbol of this.entries.keys()) if (!symbols.has(symbol)) this.entries.delete(symbol);
  }

  clear(): void {
    const symbols = [...this.entries.keys()];
    this.entries.clear();
    for (const symbol of symbols) this.entry(symbol);
  }

  clearStatuses(): void {
    for (const entry of this.entries.values()) entry.status = null;
  }

  values(): IterableIterator<Entry> {
    return this.entries.values();
  }
}
