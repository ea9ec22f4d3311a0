// The last five minutes of a symbol as a line.

import type { Candle } from "./market.ts";

const STEP_MS = 1_000;
/** Length of the window, in steps. */
const WINDOW_STEPS = 300;
/** Number of points of the window, with the point before the first step. */
const RING_STEPS = WINDOW_STEPS + 1;

interface Point {
  readonly time: number;
  readonly value: number;
}

export class Track {
  /**
   * The last price of each second, in a ring: second `n` is at `n % RING_STEPS`. NaN means no
   * price. The size of the ring never changes.
   */
  private readonly prices = new Float64Array(RING_STEPS).fill(NaN);
  /** The newest second since 1970, or -1 without a price. */
  private newestStep = -1;
  /** The newest price that has left the ring. */
  private before = NaN;
  filled = false;

  add(time: number, value: number): void {
    const step = Math.max(this.newestStep, Math.floor(time / STEP_MS));
    const last = Math.min(step, this.newestStep + RING_STEPS);
    for (let next = this.newestStep + 1; next <= last; next += 1) {
      const old = this.prices[next % RING_STEPS]!;
      if (!Number.isNaN(old)) this.before = old;
      this.prices[next % RING_STEPS] = NaN;
    }
    this.newestStep = step;
    this.prices[step % RING_STEPS] = value;
  }

  /** Adds the candles from before the page was opened, in order of time. */
  backfill(candles: readonly Candle[]): void {
    const oldest = this.points()[0]?.time;
    if (oldest === undefined || !Number.isNaN(this.before)) return;
    for (const { time, close } of candles) {
      if (time >= oldest) return;
      const step = Math.floor(time / STEP_MS);
      if (step <= this.newestStep - RING_STEPS) this.before = close;
      else this.prices[step % RING_STEPS] = close;
    }
  }

  /** Returns the points in the ring, in order of time. */
  private points(): Point[] {
    const points: Point[] = [];
    for (
      let step = Math.max(0, this.newestStep - WINDOW_STEPS);
      step <= this.newestStep;
      step += 1
    ) {
      const value = this.prices[step % RING_STEPS]!;
      if (!Number.isNaN(value)) points.push({ time: step * STEP_MS, value });
    }
    return points;
  }

  /**
   * Returns the line. It begins with the price at the start of the window, or with the first price
   * of a younger symbol.
   */
  line(now: number): Point[] {
    const start = now - WINDOW_STEPS * STEP_MS;
    const points = this.points();
    const before = points.findLast(({ time }) => time <= start)?.value ?? this.before;
    const within = points.filter(({ time }) => time > start);
    return Number.isNaN(before) ? within : [{ time: start, value: before }, ...within];
  }

  draw(
    canvas: HTMLCanvasElement,
    colours: { up: string; down: string; flat: string },
    now: number,
  ): void {
    const scale = Math.min(devicePixelRatio || 1, 3);
    const width = Math.round(canvas.clientWidth * scale);
    const height = Math.round(canvas.clientHeight * scale);
    const context = canvas.getContext("2d");
    if (!context || width === 0) return;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    context.clearRect(0, 0, width, height);
    const line = this.line(now);
    if (line.length === 0) return;
    const values = line.map(({ value }) => value);
    const low = Math.min(...values);
    const span = Math.max(...values) - low || 1;
    const pad = 2 * scale;
    const begin = line[0]!.time;
    const x = (time: number): number => ((time - begin) / Math.max(1, now - begin)) * (width - pad);
    const y = (value: number): number => height - pad - ((value - low) / span) * (height - 2 * pad);
    const first = values[0]!;
    const last = values[values.length - 1]!;
    context.lineWidth = 1.25 * scale;
    context.lineJoin = "round";
    context.strokeStyle = last > first ? colours.up : last < first ? colours.down : colours.flat;
    context.beginPath();
    for (const { time, value } of line) context.lineTo(x(time), y(value));
    context.lineTo(width - pad, y(last));
    context.stroke();
  }
}
