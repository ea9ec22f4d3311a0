// The newest tick of a symbol, as the page shows it.

import { members } from "./decimal.ts";

export type SymbolState = "live" | "stale" | "down" | "gone" | "paused" | "ended";

export interface Quote {
  readonly symbol: string;
  /** The price with the publisher's digits. */
  readonly price: string;
  /** The price as a number, only for charts and comparisons. */
  readonly value: number;
  readonly change: string;
  readonly percent: string;
  /** The reference of a source's own change, if it is not the reference of the day. */
  readonly basis: string;
  readonly time: number;
  /** Number of the tick. The numbers of a symbol have no gaps. */
  readonly n: number;
  readonly bid: string;
  readonly ask: string;
  readonly volume: string;
  readonly size: string;
}

const NUMBER_PATTERN = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i;

export function parseQuote(json: string): Quote {
  const all = members(json);
  const of = (name: string): string => all.get(name) ?? "";
  // The publisher chooses the values of extra fields, so they may not be numbers.
  const number = (name: string): string => (NUMBER_PATTERN.test(of(name)) ? of(name) : "");
  const price = of("price");
  return {
    symbol: of("symbol"),
    price,
    value: Number(price),
    change: of("change"),
    percent: of("change_pct"),
    basis: of("change_basis"),
    time: Number(of("time")),
    n: Number(of("n")),
    bid: number("bid"),
    ask: number("ask"),
    volume: number("volume"),
    size: number("size"),
  };
}

/** Returns 1 for a positive number, -1 for a negative number, or else 0. */
export function direction(number: string): -1 | 0 | 1 {
  const value = Number(number);
  return value > 0 ? 1 : value < 0 ? -1 : 0;
}

/** Formats a percentage with a sign and two decimal places. */
export function percentage(text: string): string {
  if (text === "") return "";
  const value = Number(text);
  const rounded = value.toFixed(2);
  return Number(rounded) === 0 ? "0.00%" : `${value > 0 ? "+" : ""}${rounded}%`;
}

const SYMBOL_PATTERN = /^[A-Za-z0-9._\-/:^=&]{1,32}$/;

const MAX_PATTERN_CHARS = 65;

/** Returns whether the server accepts the text as a symbol. */
export function isSymbol(text: string): boolean {
  return SYMBOL_PATTERN.test(text);
}

/** Returns whether the server accepts the text as a symbol or a pattern. */
export function isEntry(text: string): boolean {
  if (!text.includes("*")) return isSymbol(text);
  return text.length <= MAX_PATTERN_CHARS && /^[A-Za-z0-9._\-/:^=&*]+$/.test(text);
}

/** Returns the regular expression for a pattern such as BTC*. */
export function patternToRegExp(text: string): RegExp {
  const parts = text.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`);
}
