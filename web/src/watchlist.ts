// The watched symbols and their order. The address and the browser's storage contain the list, to
// share and to restore it.

import * as storage from "./storage.ts";
import { expandPattern, searchSymbols } from "./market.ts";
import { isSymbol } from "./quote.ts";

const STORAGE_KEY = "watchlist";
export const MAX_SYMBOLS = 500;
const DEFAULT_SYMBOLS = 25;

export class Watchlist {
  private list: string[] = [];

  constructor(private readonly onChange: () => void) {}

  get symbols(): readonly string[] {
    return this.list;
  }

  has(symbol: string): boolean {
    return this.list.includes(symbol);
  }

  /**
   * Restores the list from the address, the storage, or the market's first symbols, in this order.
   * Returns false if the market has no symbols.
   */
  async restore(): Promise<boolean> {
    const address = new URLSearchParams(location.search).get("symbols");
    const list = address ?? storage.get(STORAGE_KEY);
    if (list === null) {
      this.replace(
        (await searchSymbols("", DEFAULT_SYMBOLS)).map(({ symbol }) => symbol),
        false,
      );
    } else {
      this.replace(await resolveEntries(list), true);
    }
    return list !== null || this.list.length > 0;
  }

  /** Adds symbols and the matches of patterns. Returns the added symbols. */
  async add(text: string): Promise<readonly string[]> {
    const added = (await resolveEntries(text))
      .filter((symbol) => !this.has(symbol))
      .slice(0, MAX_SYMBOLS - this.list.length);
    if (added.length > 0) this.replace([...this.list, ...added], true);
    return added;
  }

  remove(symbol: string): void {
    this.replace(
      this.list.filter((other) => other !== symbol),
      true,
    );
  }

  /** Moves a symbol to an index of the list without that symbol. */
  move(symbol: string, to: number): void {
    const others = this.list.filter((other) => other !== symbol);
    others.splice(Math.max(0, Math.min(to, others.length)), 0, symbol);
    if (others.some((other, index) => other !== this.list[index])) this.replace(others, true);
  }

  private replace(list: readonly string[], chosen: boolean): void {
    this.list = [...new Set(list)].slice(0, MAX_SYMBOLS);
    if (chosen) {
      const text = this.list.join(",");
      storage.set(STORAGE_KEY, text);
      const address = new URL(location.href);
      address.searchParams.delete("symbols");
      // The address contains these characters unescaped, because a query allows them and people
      // read the address.
      const prefix = address.search ? `${address.search}&` : "?";
      const query = this.list
        .map((symbol) => encodeURIComponent(symbol).replaceAll("%2F", "/").replaceAll("%3A", ":"))
        .join(",");
      history.replaceState(null, "", `${address.pathname}${prefix}symbols=${query}${address.hash}`);
    }
    this.onChange();
  }
}

async function resolveEntries(text: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of text.split(/[\s,;]+/)) {
    if (isSymbol(entry)) found.push(entry);
    else if (entry.includes("*") && isSymbol(entry.replaceAll("*", "") || "x"))
      found.push(...(await expandPattern(entry, MAX_SYMBOLS)));
  }
  return found;
}
