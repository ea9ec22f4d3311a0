// The candles of one symbol: loaded from the server and continued by ticks without a gap.
//
// Ticks that arrive during a request are kept and applied to the response again. This is safe: if
// the response already contains a tick, the second application does not change high, low or close.

import { type Candle, fetchCandles } from "./market.ts";
import type { Quote } from "./quote.ts";

export const INTERVALS = {
  "1s": 1_000,
  "1m": 60_000,
  "5m": 300_000,
  "1h": 3_600_000,
  "1d": 86_400_000,
} as const;
export type Interval = keyof typeof INTERVALS;

export interface CandleView {
  /** Replaces all candles. */
  setAll(list: readonly Candle[]): void;
  /** Updates the last candle, or appends a new last candle. */
  setLast(candle: Candle): void;
}

const FULL_CANDLES = 500;
/** The number of candles that are loaded to correct the end of the list. */
const TAIL_CANDLES = 10;
/**
 * Above this number, the list is cut back to the full length. The margin is small to bound memory,
 * and large enough to make full redraws rare.
 */
const MAX_CANDLES = FULL_CANDLES + 60;
const RECONCILE_INTERVAL_MS = 30_000;

export class Candles {
  private list: Candle[] = [];
  /** Ticks that arrived after the current request was sent. */
  private pending: Quote[] = [];
  private request: AbortController | null = null;
  private lastTick: Quote | null = null;
  private loaded = false;
  private fetchTimer = 0;
  private offline = false;
  private readonly reconcileTimer: number;

  constructor(
    readonly symbol: string,
    readonly interval: Interval,
    private readonly view: CandleView,
    /**
     * Returns whether the symbol is on the market. If not, the server has no candles of the symbol.
     */
    private readonly listed: () => boolean,
  ) {
    this.reconcileTimer = setInterval(
      () => this.loaded && !document.hidden && this.fetchSoon(TAIL_CANDLES),
      RECONCILE_INTERVAL_MS,
    );
  }

  close(): void {
    clearInterval(this.reconcileTimer);
    clearTimeout(this.fetchTimer);
    this.request?.abort();
    this.request = null;
  }

  get count(): number {
    return this.list.length;
  }

  /** Whether the full list has been loaded. */
  get ready(): boolean {
    return this.loaded;
  }

  /** Loads the full list: at the start, and when ticks may have been missed. */
  load(): void {
    clearTimeout(this.fetchTimer);
    this.fetchTimer = 0;
    this.offline = false;
    if (this.listed()) void this.fetch(FULL_CANDLES);
    else this.view.setAll([]);
  }

  /** Stops all requests until the next load, because the connection to the server is lost. */
  pause(): void {
    this.offline = true;
    clearTimeout(this.fetchTimer);
    this.fetchTimer = 0;
  }

  /** Discards all candles and loads the full list again. */
  reset(): void {
    this.list = [];
    this.lastTick = null;
    this.loaded = false;
    this.view.setAll([]);
    this.load();
  }

  /** Applies the next tick of the symbol. The caller passes the ticks in order. */
  addTick(tick: Quote): void {
    const last = this.lastTick;
    if (last && tick.n <= last.n) return;
    this.lastTick = tick;
    if (this.request) this.pending.push(tick);
    if (!this.loaded) {
      if (!this.request && !this.fetchTimer && !this.offline) this.load();
      return;
    }
    const before = this.list.at(-1)?.time;
    const candle = this.apply(tick);
    if (candle) this.show(candle);
    const width = INTERVALS[this.interval];
    if (last && tick.n !== last.n + 1) {
      // Some ticks were merged before they arrived. Only the server knows their highs and lows.
      this.fetchSoon(
        (tick.time - last.time) / width > TAIL_CANDLES / 2 ? FULL_CANDLES : TAIL_CANDLES,
      );
    } else if (!candle || (candle.time !== before && width >= 60_000)) {
      this.fetchSoon(TAIL_CANDLES);
    }
  }

  private apply(tick: Quote): Candle | null {
    const width = INTERVALS[this.interval];
    const time = Math.floor(tick.time / width) * width;
    const { value } = tick;
    const last = this.list.at(-1);
    if (last && time < last.time) return null;
    if (last && time === last.time) {
      last.high = Math.max(last.high, value);
      last.low = Math.min(last.low, value);
      last.close = value;
      return last;
    }
    const candle = { time, open: value, high: value, low: value, close: value };
    this.list.push(candle);
    return candle;
  }

  private show(candle: Candle): void {
    if (this.list.length > MAX_CANDLES) {
      this.list = this.list.slice(-FULL_CANDLES);
      this.view.setAll(this.list);
    } else {
      this.view.setLast(candle);
    }
  }

  private fetchSoon(limit: number): void {
    if (this.offline || this.fetchTimer) return;
    this.fetchTimer = setTimeout(() => void this.fetch(limit), 1_000);
  }

  private async fetch(limit: number): Promise<void> {
    this.fetchTimer = 0;
    this.request?.abort();
    const request = new AbortController();
    this.request = request;
    this.pending = [];
    try {
      const answer = await fetchCandles(this.symbol, this.interval, limit, request.signal);
      if (this.request !== request) return;
      this.request = null;
      this.merge(
        answer.map(({ time, open, high, low, close }) => ({ time, open, high, low, close })),
        limit,
      );
    } catch {
      if (this.request !== request) return;
      this.request = null;
      this.pending = [];
      this.fetchSoon(this.loaded ? limit : FULL_CANDLES);
    }
  }

  private merge(answer: Candle[], limit: number): void {
    const first = answer[0]?.time ?? Infinity;
    // A tail overlaps with the list: the caller requests the full list after a long interruption.
    const earlier = limit === FULL_CANDLES ? [] : this.list.filter(({ time }) => time < first);
    this.list = [...earlier, ...answer];
    this.loaded = true;
    for (const tick of this.pending) this.apply(tick);
    this.pending = [];
    this.view.setAll(this.list);
  }
}
