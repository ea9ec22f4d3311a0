// The candle chart. Rising candles are hollow and falling candles are filled, so that the chart
// does not depend on colour alone.

import {
  CandlestickSeries,
  ColorType,
  createChart,
  CrosshairMode,
  type IChartApi,
  type ISeriesApi,
  type UTCTimestamp,
} from "lightweight-charts";
import type { CandleView } from "./candles.ts";
import type { Candle } from "./market.ts";
import { colour } from "./theme.ts";

export class CandleChart implements CandleView {
  private readonly chart: IChartApi;
  private readonly series: ISeriesApi<"Candlestick">;
  private list: readonly Candle[] = [];
  private fitPending = true;

  constructor(
    element: HTMLElement,
    /** Shows the candle under the crosshair, or else the last candle. */
    private readonly showLegend: (candle: Candle | null) => void,
  ) {
    this.chart = createChart(element, {
      autoSize: true,
      layout: { attributionLogo: false },
      crosshair: { mode: CrosshairMode.Normal },
      timeScale: { rightOffset: 4, minBarSpacing: 1, timeVisible: true },
      rightPriceScale: { entireTextOnly: true, scaleMargins: { top: 0.12, bottom: 0.1 } },
      handleScale: { axisPressedMouseMove: true },
    });
    this.series = this.chart.addSeries(CandlestickSeries, {});
    this.chart.subscribeCrosshairMove(({ time }) => {
      const hovered =
        time === undefined
          ? undefined
          : this.list.find((candle) => candle.time === Number(time) * 1_000);
      this.showLegend(hovered ?? this.list.at(-1) ?? null);
    });
    element.addEventListener("keydown", (event) => this.handleKey(event));
    this.applyTheme();
  }

  /**
   * Clears the chart for another symbol or interval. The chart stays empty until new candles
   * arrive.
   */
  clear(secondsVisible: boolean): void {
    this.chart.applyOptions({ timeScale: { secondsVisible } });
    this.fitPending = true;
    this.setAll([]);
  }

  /** Sets the number of decimal places of prices. */
  setPrecision(digits: number): void {
    const precision = Math.min(digits, 10);
    this.series.applyOptions({
      priceFormat: { type: "price", precision, minMove: 10 ** -precision },
    });
  }

  setAll(list: readonly Candle[]): void {
    this.list = list;
    this.series.setData(list.map(toBar));
    if (this.fitPending && list.length > 0) {
      this.fitPending = false;
      this.chart.priceScale("right").applyOptions({ autoScale: true });
      const { width } = this.chart.paneSize();
      // A few candles are drawn wide. Many candles are drawn as narrow as the eye can distinguish.
      const spacing = Math.max(width < 500 ? 5 : 7, Math.min(14, width / (list.length + 8)));
      this.chart.timeScale().applyOptions({ barSpacing: spacing });
      this.chart.timeScale().scrollToRealTime();
    }
    this.lastCandleChanged();
  }

  setLast(candle: Candle): void {
    this.series.update(toBar(candle));
    this.lastCandleChanged();
  }

  /** Applies the colours of the theme. */
  applyTheme(): void {
    const [text, line, panel, up, down] = [
      colour("muted"),
      colour("line"),
      colour("panel"),
      colour("up"),
      colour("down"),
    ] as const;
    const font = getComputedStyle(document.body);
    this.chart.applyOptions({
      layout: {
        background: { type: ColorType.Solid, color: panel },
        textColor: text,
        fontFamily: font.fontFamily,
        fontSize: Math.round(parseFloat(font.fontSize) * 0.88),
      },
      grid: { vertLines: { color: line }, horzLines: { color: line } },
      rightPriceScale: { borderColor: line },
      timeScale: { borderColor: line },
      crosshair: {
        vertLine: { color: text, labelBackgroundColor: text },
        horzLine: { color: text, labelBackgroundColor: text },
      },
    });
    this.series.applyOptions({
      upColor: panel,
      downColor: down,
      borderUpColor: up,
      borderDownColor: down,
      wickUpColor: up,
      wickDownColor: down,
      priceLineColor: text,
    });
  }

  private lastCandleChanged(): void {
    const last = this.list.at(-1);
    if (last) window.tickcastLastCandle = { ...last };
    else delete window.tickcastLastCandle;
    this.showLegend(last ?? null);
  }

  private handleKey(event: KeyboardEvent): void {
    const scale = this.chart.timeScale();
    const spacing = scale.options().barSpacing;
    if (event.key === "ArrowLeft") scale.scrollToPosition(scale.scrollPosition() - 8, false);
    else if (event.key === "ArrowRight") scale.scrollToPosition(scale.scrollPosition() + 8, false);
    else if (event.key === "+" || event.key === "=")
      scale.applyOptions({ barSpacing: Math.min(40, spacing * 1.25) });
    else if (event.key === "-") scale.applyOptions({ barSpacing: Math.max(1, spacing / 1.25) });
    else if (event.key === "End") scale.scrollToRealTime();
    else return;
    event.preventDefault();
  }
}

function toBar({ time, open, high, low, close }: Candle): {
  time: UTCTimestamp;
  open: number;
  high: number;
  low: number;
  close: number;
} {
  return { time: (time / 1_000) as UTCTimestamp, open, high, low, close };
}

declare global {
  interface Window {
    /** The last candle on the chart. A test compares this candle with the candle of the server. */
    tickcastLastCandle?: Candle;
  }
}
