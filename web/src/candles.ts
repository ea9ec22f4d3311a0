// The candles of one symbol, back-filled from the server and continued by ticks without a seam.
//
// Ticks that come while an answer is under way are kept and applied to it again. That is safe: high, low and close come
// out the same when a tick that the answer already holds is applied once more, as the newest of them is the last.

import { type Candle, fetchCandles } from "./market.ts";
import type { Quote } from "./quote.ts";

export const INTERVALS = { "1s": 1_000, "1m": 60_000, "5m": 300_000, "1h": 3_600_000, "1d": 86_400_000 } as const;
export type Interval = keyof typeof INTERVALS;

export interface CandleView {
  /** All of them anew. */
  setAll(list: readonly Candle[]): void;
  /** The last one has changed, or a new last one has come. */
  setLast(candle: Candle): void;
}

const FULL_CANDLES = 500;
/** What is fetched to make the last few certain. */
const TAIL_CANDLES = 10;
/** Beyond this they are cut back to the whole: soon, so that a page left open does not grow, and seldom, as the view takes all anew. */
const MAX_CANDLES = FULL_CANDLES + 60;
const RECONCILE_INTERVAL_MS = 30_000;

export class Candles {
  private list: Candle[] = [];
  /** Ticks since the request that is under way was sent. */
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
    /** Whether the symbol is on the market: the server has no candles of one that is not. */
    private readonly listed: () => boolean,
  ) {
    this.reconcileTimer = setInterval(() => this.loaded && !document.hidden && this.fetchSoon(TAIL_CANDLES), RECONCILE_INTERVAL_MS);
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

  /** Whether the whole list has come. */
  get ready(): boolean {
    return this.loaded;
  }

  /** Everything anew: at the beginning, and when ticks may have been missed. */
  load(): void {
    clearTimeout(this.fetchTimer);
    this.fetchTimer = 0;
    this.offline = false;
    if (this.listed()) void this.fetch(FULL_CANDLES);
    else this.view.setAll([]);
  }

  /** The server is not there: nothing is asked of it until the next load. */
  pause(): void {
    this.offline = true;
    clearTimeout(this.fetchTimer);
    this.fetchTimer = 0;
  }

  /** What is held is not true any more. */
  reset(): void {
    this.list = [];
    this.lastTick = null;
    this.loaded = false;
    this.view.setAll([]);
    this.load();
  }

  /** Every tick of the symbol, in order. */
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
      // Some were merged on the way here: their highs and lows are known to the server alone.
      this.fetchSoon((tick.time - last.time) / width > TAIL_CANDLES / 2 ? FULL_CANDLES : TAIL_CANDLES);
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
      this.merge(answer.map(({ time, open, high, low, close }) => ({ time, open, high, low, close })), limit);
    } catch {
      if (this.request !== request) return;
      this.request = null;
      this.pending = [];
      this.fetchSoon(this.loaded ? limit : FULL_CANDLES);
    }
  }

  private merge(answer: Candle[], limit: number): void {
    const first = answer[0]?.time ?? Infinity;
    // A tail is put behind what came before it; it overlaps, or the list would have a hole.
    const earlier = limit === FULL_CANDLES ? [] : this.list.filter(({ time }) => time < first);
    this.list = [...earlier, ...answer];
    this.loaded = true;
    for (const tick of this.pending) this.apply(tick);
    this.pending = [];
    this.view.setAll(this.list);
  }
}
