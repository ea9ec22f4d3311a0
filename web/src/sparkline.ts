// The last five minutes of a symbol, as a line of a few pixels.

import type { Candle } from "./market.ts";

const STEP_MS = 1_000;
/** The window, in steps. */
const WINDOW_STEPS = 300;
/** The window's points, and the one they come from. */
const RING_STEPS = WINDOW_STEPS + 1;

interface Point {
  readonly time: number;
  readonly value: number;
}

export class Track {
  /** The last price of each second, that of the second `n` at `n % STEPS`; NaN where there was none. As large at the beginning as ever. */
  private readonly prices = new Float64Array(RING_STEPS).fill(NaN);
  /** The newest second, counted from 1970; before there is any, -1. */
  private newestStep = -1;
  /** What the ring held last of all that it holds no more. */
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

  /** What came before the page did, in order of time. */
  backfill(candles: readonly Candle[]): void {
    const known = this.points()[0]?.time;
    if (known === undefined || !Number.isNaN(this.before)) return;
    for (const { time, close } of candles) {
      if (time >= known) return;
      const step = Math.floor(time / STEP_MS);
      if (step <= this.newestStep - RING_STEPS) this.before = close;
      else this.prices[step % RING_STEPS] = close;
    }
  }

  /** What the ring holds, in order of time. */
  private points(): Point[] {
    const points: Point[] = [];
    for (let step = Math.max(0, this.newestStep - WINDOW_STEPS); step <= this.newestStep; step += 1) {
      const value = this.prices[step % RING_STEPS]!;
      if (!Number.isNaN(value)) points.push({ time: step * STEP_MS, value });
    }
    return points;
  }

  /** The line: from the price that the window began with, or, where the symbol is younger, from its first. */
  line(now: number): Point[] {
    const start = now - WINDOW_STEPS * STEP_MS;
    const points = this.points();
    const before = points.findLast(({ time }) => time <= start)?.value ?? this.before;
    const within = points.filter(({ time }) => time > start);
    return Number.isNaN(before) ? within : [{ time: start, value: before }, ...within];
  }

  draw(canvas: HTMLCanvasElement, colours: { up: string; down: string; flat: string }, now: number): void {
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
