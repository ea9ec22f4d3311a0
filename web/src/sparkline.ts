// The last five minutes of a symbol, as a line of a few pixels.

import type { Candle } from "./market.ts";

const WINDOW_MS = 300_000;
/** One point a second, the second's last price. */
const STEP_MS = 1_000;
/** The window's points, and the one before them that the line comes from. */
const MOST = WINDOW_MS / STEP_MS + 1;

export class Track {
  private times: number[] = [];
  private values: number[] = [];
  filled = false;

  add(time: number, value: number): void {
    const step = Math.floor(time / STEP_MS) * STEP_MS;
    const last = this.times.length - 1;
    if (last >= 0 && step <= this.times[last]!) {
      this.values[last] = value;
      return;
    }
    this.times.push(step);
    this.values.push(value);
    while (this.times.length > MOST) {
      this.times.shift();
      this.values.shift();
    }
  }

  /** What came before the page did. */
  backfill(candles: readonly Candle[]): void {
    const first = this.times[0] ?? Infinity;
    const before = candles.filter(({ time }) => time < first);
    this.times = [...before.map(({ time }) => time), ...this.times];
    this.values = [...before.map(({ close }) => close), ...this.values];
  }

  /** Where the window begins: the last point before it is its first value. */
  private from(start: number): number {
    let index = this.times.length - 1;
    while (index > 0 && this.times[index]! > start) index -= 1;
    return Math.max(0, index);
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
    if (this.times.length < 2) return;
    // A young or quiet symbol fills the width with what there is.
    const begin = Math.max(now - WINDOW_MS, this.times[0]!);
    const index = this.from(begin);
    const values = this.values.slice(index);
    const low = Math.min(...values);
    const span = Math.max(...values) - low || 1;
    const pad = 2 * scale;
    const x = (time: number): number => ((Math.max(time, begin) - begin) / Math.max(1, now - begin)) * (width - pad);
    const y = (value: number): number => height - pad - ((value - low) / span) * (height - 2 * pad);
    const first = values[0]!;
    const last = values[values.length - 1]!;
    context.lineWidth = 1.25 * scale;
    context.lineJoin = "round";
    context.strokeStyle = last > first ? colours.up : last < first ? colours.down : colours.flat;
    context.beginPath();
    values.forEach((value, at) => context.lineTo(x(this.times[index + at]!), y(value)));
    context.lineTo(width - pad, y(last));
    context.stroke();
  }
}
