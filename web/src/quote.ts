// The newest tick of a symbol, as the page shows it.

import { members } from "./decimal.ts";

export type SymbolState = "live" | "stale" | "down" | "gone" | "paused" | "ended";

export interface Quote {
  readonly symbol: string;
  /** As written by the publisher. */
  readonly price: string;
  /** For charts and comparing only. */
  readonly value: number;
  readonly change: string;
  readonly percent: string;
  /** What a source's own change is measured from, where it is not the day's reference. */
  readonly basis: string;
  readonly time: number;
  /** Counts the symbol's ticks without a hole. */
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
  // Extras are whatever their publisher says they are.
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

/** 1 up, -1 down, 0 neither. */
export function direction(number: string): -1 | 0 | 1 {
  const value = Number(number);
  return value > 0 ? 1 : value < 0 ? -1 : 0;
}

/** Two digits behind the point and a sign: percentages are told apart by eye, not calculated with. */
export function percentage(text: string): string {
  if (text === "") return "";
  const value = Number(text);
  const rounded = value.toFixed(2);
  return Number(rounded) === 0 ? "0.00%" : `${value > 0 ? "+" : ""}${rounded}%`;
}

const SYMBOL_PATTERN = /^[A-Za-z0-9._\-/:^=&]{1,32}$/;

const MAX_PATTERN_CHARS = 65;

/** Whether the server would take it for a symbol. */
export function isSymbol(text: string): boolean {
  return SYMBOL_PATTERN.test(text);
}

/** Whether it would take it for a symbol or a pattern. */
export function isEntry(text: string): boolean {
  if (!text.includes("*")) return isSymbol(text);
  return text.length <= MAX_PATTERN_CHARS && /^[A-Za-z0-9._\-/:^=&*]+$/.test(text);
}

/** What a pattern such as BTC* matches. */
export function patternToRegExp(text: string): RegExp {
  const parts = text.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`);
}
