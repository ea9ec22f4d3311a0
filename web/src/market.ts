// What the server is asked beside the stream: symbols, candles, its own state.

import { at } from "./base.ts";
import { sawDate } from "./clock.ts";
import { pattern } from "./quote.ts";

export interface Listed {
  readonly symbol: string;
  readonly source: string;
  readonly state: string;
}

export interface Candle {
  /** Of its beginning, ms since 1970. */
  time: number;
  open: number;
  high: number;
  low: number;
  close: number;
}

export interface ServerStatus {
  readonly version: string;
  readonly simulated: boolean;
  readonly streams: number;
  readonly symbols: number;
  readonly sources: readonly { name: string; state: string; reason?: string; since: number; accepted: number }[];
}

export class Refused extends Error {
  constructor(readonly status: number) {
    super(`the server answered ${status}`);
  }
}

async function get<T>(route: string, signal?: AbortSignal): Promise<T> {
  const asked = Date.now();
  const answer = await fetch(at(route), signal ? { signal } : {});
  sawDate(answer.headers.get("date"), asked, Date.now());
  if (!answer.ok) throw new Refused(answer.status);
  return (await answer.json()) as T;
}

export async function listed(query: string, limit: number, signal?: AbortSignal): Promise<readonly Listed[]> {
  const route = `v1/symbols?q=${encodeURIComponent(query)}&limit=${limit}`;
  return (await get<{ symbols: Listed[] }>(route, signal)).symbols;
}

/** The names a pattern stands for now, at most so many. */
export async function expand(glob: string, limit: number): Promise<readonly string[]> {
  const longest = glob.split("*").reduce((a, b) => (b.length > a.length ? b : a), "");
  const matches = pattern(glob);
  const found = await listed(longest, 1_000);
  return found.map(({ symbol }) => symbol).filter((symbol) => matches.test(symbol)).slice(0, limit);
}

/** A symbol that is not on the market yet has none. */
export async function candles(symbol: string, interval: string, limit: number, signal?: AbortSignal): Promise<Candle[]> {
  const route = `v1/candles/${encodeURIComponent(symbol)}?interval=${interval}&limit=${limit}`;
  try {
    return (await get<{ candles: Candle[] }>(route, signal)).candles;
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return [];
    throw error;
  }
}

export function status(): Promise<ServerStatus> {
  return get<ServerStatus>("v1/status");
}
