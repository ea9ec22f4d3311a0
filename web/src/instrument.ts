// The panel of the selected symbol: its quote and its candles.

import { type Interval, INTERVALS, Candles } from "./candles.ts";
import { CandleChart } from "./chart.ts";
import { decimals, formatNumber } from "./decimal.ts";
import { Headline } from "./headline.ts";
import * as storage from "./storage.ts";
import type { Candle } from "./market.ts";
import type { Quote } from "./quote.ts";
import type { Entry } from "./quotes.ts";
import { byId } from "./element.ts";

const STORAGE_KEY = "interval";
/**
 * If the server has fewer minute candles, the panel shows seconds unless the user has chosen an
 * interval.
 */
const MIN_CANDLES = 40;

export class Instrument {
  private readonly element = byId("chart");
  private readonly chart: CandleChart;
  private readonly headline = new Headline();
  private candles: Candles | null = null;
  private interval: Interval;
  private chosen: boolean;
  private digits = 2;
  private entry: Entry | null = null;

  constructor(private readonly focus: (symbol: string) => void) {
    this.chart = new CandleChart(this.element, (candle) => this.showLegend(candle));
    const last = storage.get(STORAGE_KEY) ?? "";
    this.chosen = last in INTERVALS;
    this.interval = this.chosen ? (last as Interval) : "1m";
    for (const button of this.buttons()) {
      button.addEventListener("click", () => {
        this.chosen = true;
        storage.set(STORAGE_KEY, button.value);
        this.changeInterval(button.value as Interval);
      });
    }
  }

  get symbol(): string {
    return this.entry?.symbol ?? "";
  }

  show(entry: Entry | null): void {
    if (entry?.symbol === this.entry?.symbol) {
      // After a reset, this is a new entry of the same symbol.
      this.entry = entry;
      this.update();
      return;
    }
    this.entry = entry;
    this.update();
    this.startCandles();
    this.focus(this.symbol);
  }

  /**
   * Loads the candles. From this message on, every tick of the symbol arrives, so no tick is
   * missed.
   */
  focused(symbol: string): void {
    if (symbol === this.symbol) this.candles?.load();
  }

  addTick(tick: Quote): void {
    if (tick.symbol === this.symbol) this.candles?.addTick(tick);
  }

  connectionLost(): void {
    this.candles?.pause();
  }

  /** Loads the candles again, because ticks may have been missed. */
  streamStarted(): void {
    this.candles?.load();
  }

  reset(): void {
    this.candles?.reset();
  }

  /** Shows the label of delayed prices, or none. */
  delay(text: string): void {
    byId("big-delay").textContent = text;
    byId("big-delay").hidden = text === "";
  }

  applyTheme(): void {
    this.chart.applyTheme();
  }

  /** Shows a new quote or a new status of the selected symbol. */
  update(): void {
    const quote = this.entry?.quote ?? null;
    this.headline.show(this.entry);
    const digits = quote ? decimals(quote.price) : this.digits;
    // Some publishers omit trailing zeros. The scale therefore only becomes finer.
    if (quote && digits > this.digits) {
      this.digits = digits;
      this.chart.setPrecision(digits);
    }
  }

  private changeInterval(interval: Interval): void {
    if (interval === this.interval) return;
    this.interval = interval;
    this.startCandles();
    // The focus ticks arrive for every interval, so the candles can be loaded at once.
    this.candles?.load();
  }

  private startCandles(): void {
    this.candles?.close();
    this.candles = null;
    this.element.dataset["symbol"] = this.symbol;
    this.element.dataset["interval"] = this.interval;
    for (const button of this.buttons())
      button.setAttribute("aria-pressed", String(button.value === this.interval));
    this.element.setAttribute(
      "aria-label",
      `Candle chart of ${this.symbol || "no symbol"}, ${this.interval}. The arrow keys scroll. Plus and minus zoom.`,
    );
    this.digits = this.entry?.quote ? decimals(this.entry.quote.price) : 2;
    this.chart.setPrecision(this.digits);
    this.chart.clear(this.interval === "1s");
    byId("empty").hidden = true;
    if (!this.entry) return;
    const candles: Candles = new Candles(
      this.symbol,
      this.interval,
      {
        setAll: (list) => {
          this.chart.setAll(list);
          byId("empty").hidden = list.length > 0 || (!candles.ready && this.entry?.quote != null);
          if (!this.chosen && this.interval === "1m" && candles.ready && list.length < MIN_CANDLES)
            this.changeInterval("1s");
          if (candles.ready) this.chosen = true;
        },
        setLast: (candle) => {
          this.chart.setLast(candle);
          byId("empty").hidden = true;
        },
      },
      () => this.entry?.quote != null,
    );
    this.candles = candles;
  }

  private showLegend(candle: Candle | null): void {
    const text = (value: number | undefined): string =>
      value === undefined ? "—" : formatNumber(value, this.digits);
    byId("ohlc-time").textContent = candle ? formatTime(candle.time, this.interval) : "";
    for (const part of ["open", "high", "low", "close"] as const)
      byId(`ohlc-${part}`).textContent = text(candle?.[part]);
  }

  private buttons(): NodeListOf<HTMLButtonElement> {
    return document.querySelectorAll<HTMLButtonElement>("#intervals button");
  }
}

function formatTime(ms: number, interval: Interval): string {
  const text = new Date(ms).toISOString();
  return interval === "1d"
    ? text.slice(0, 10)
    : `${text.slice(5, 10)} ${text.slice(11, interval === "1s" ? 19 : 16)} UTC`;
}
