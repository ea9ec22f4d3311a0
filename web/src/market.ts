// Requests to the server outside of the stream: symbols, candles and the status of the server.

import { routeUrl } from "./base.ts";
import { observeDate } from "./clock.ts";
import { patternToRegExp } from "./quote.ts";
import * as session from "./session.ts";

const STATUS_ROUTE = "v1/status";

export interface ListedSymbol {
  readonly symbol: string;
  readonly source: string;
  readonly state: string;
}

export interface Candle {
  /** The start time, in milliseconds since 1970. */
  time: number;
  open: number;
  high: number;
  low: number;
  close: number;
}

export interface ServerStatus {
  readonly version: string;
  readonly simulated: boolean;
  /** The delay of the prices in seconds, if they are delayed. */
  readonly delay?: number;
  readonly streams: number;
  readonly symbols: number;
  readonly sources: readonly {
    name: string;
    state: string;
    reason?: string;
    since: number;
    accepted: number;
  }[];
}

export class HttpError extends Error {
  constructor(readonly status: number) {
    super(`the server responded with status ${status}`);
  }
}

async function get<T>(route: string, signal?: AbortSignal): Promise<T> {
  if (session.hasEnded()) throw new HttpError(401);
  const sentAt = Date.now();
  const headers = session.authorization();
  const response = await fetch(routeUrl(route), { headers, ...(signal && { signal }) });
  observeDate(response.headers.get("date"), sentAt, Date.now());
  // A status of 403 means that the token allows nothing at all, such as a delay that is not there.
  if (response.status === 401 || (response.status === 403 && route === STATUS_ROUTE))
    session.end(await session.detail(response));
  if (!response.ok) throw new HttpError(response.status);
  return (await response.json()) as T;
}

export async function searchSymbols(
  query: string,
  limit: number,
  signal?: AbortSignal,
): Promise<readonly ListedSymbol[]> {
  const route = `v1/symbols?q=${encodeURIComponent(query)}&limit=${limit}`;
  return (await get<{ symbols: ListedSymbol[] }>(route, signal)).symbols;
}

/** Returns at most `limit` symbols that match a pattern. */
export async function expandPattern(glob: string, limit: number): Promise<readonly string[]> {
  const longest = glob.split("*").reduce((a, b) => (b.length > a.length ? b : a), "");
  const matches = patternToRegExp(glob);
  const found = await searchSymbols(longest, 1_000);
  return found
    .map(({ symbol }) => symbol)
    .filter((symbol) => matches.test(symbol))
    .slice(0, limit);
}

/** Returns the candles of a symbol, or no candles if the symbol is not on the market. */
export async function fetchCandles(
  symbol: string,
  interval: string,
  limit: number,
  signal?: AbortSignal,
): Promise<Candle[]> {
  const route = `v1/candles/${encodeURIComponent(symbol)}?interval=${interval}&limit=${limit}`;
  try {
    return (await get<{ candles: Candle[] }>(route, signal)).candles;
  } catch (error) {
    if (error instanceof HttpError && error.status === 404) return [];
    throw error;
  }
}

export function fetchStatus(): Promise<ServerStatus> {
  return get<ServerStatus>(STATUS_ROUTE);
}
