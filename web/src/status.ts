// The header: the state of the connection, the lag and the rate of prices, and the states of the
// sources.

import { byId } from "./element.ts";
import { serverNow } from "./clock.ts";
import { delayText } from "./delay.ts";
import { type ServerStatus, fetchStatus } from "./market.ts";
import type { Connection, SourceStatus } from "./messages.ts";

const STATUS_INTERVAL_MS = 10_000;
const GAUGE_INTERVAL_MS = 500;
/** Maximum number of lag samples. The lag is their median. */
const MAX_LAG_SAMPLES = 41;

const STATE_TEXTS = { connecting: "Connecting", live: "Live", lost: "Reconnecting" } as const;

export class StatusBar {
  private readonly connectionElement = byId("connection");
  private readonly rateElement = byId("rate");
  private readonly lagElement = byId("lag");
  private readonly sourcesElement = byId("sources");
  private lags: number[] = [];
  private lagMeasuredAt = 0;
  private counted = 0;
  private since = performance.now();
  private smooth = 0;
  private state: Connection["state"] = "connecting";
  private sources = new Map<string, { state: string; reason: string }>();
  private delaySeconds = 0;
  private ended = false;

  /** `onDelay` is called with the delay of the prices that the server says. */
  constructor(private readonly onDelay: (seconds: number) => void) {
    setInterval(() => this.showGauges(), GAUGE_INTERVAL_MS);
    setInterval(() => document.hidden || this.update(), STATUS_INTERVAL_MS);
    document.addEventListener("visibilitychange", () => document.hidden || this.update());
    this.update();
  }

  /** Shows that the page has no access. */
  end(): void {
    this.ended = true;
    this.delay(0);
    this.state = "connecting";
    this.sources.clear();
    this.showSources();
    const element = this.connectionElement;
    element.dataset["state"] = "connecting";
    element.dataset["stream"] = "";
    element.querySelector("b")!.textContent = "Not signed in";
    document.body.dataset["connection"] = "connecting";
    for (const id of ["lost", "simulated"]) byId(id).hidden = true;
  }

  /** Shows the delay of the prices. Delayed prices are not live, and have no lag. */
  delay(seconds: number): void {
    if (seconds === this.delaySeconds) return;
    this.delaySeconds = seconds;
    const element = byId("delayed");
    element.textContent = delayText(seconds);
    element.hidden = seconds === 0;
    byId("lag-gauge").hidden = seconds > 0;
    this.lags = [];
    this.showState(this.state, "");
  }

  connection({ state, detail, stream }: Connection): void {
    if (this.ended) return;
    const back = state === "live" && this.state !== "live";
    this.state = state;
    const element = this.connectionElement;
    element.dataset["state"] = state;
    element.dataset["stream"] = stream;
    document.body.dataset["connection"] = state;
    this.showState(state, detail);
    byId("lost").hidden = state !== "lost";
    if (back) this.update();
    this.showSources();
  }

  private showState(state: Connection["state"], detail: string): void {
    const words =
      state === "lost" && detail
        ? `${STATE_TEXTS.lost}: ${detail}`
        : state === "connecting" && detail
          ? detail
          : state === "live" && this.delaySeconds > 0
            ? "Connected"
            : STATE_TEXTS[state];
    setText(this.connectionElement.querySelector("b")!, words);
  }

  /** Counts new ticks. `newest` is the time of the newest tick. */
  addTicks(count: number, newest: number): void {
    this.counted += count;
    if (newest === 0) return;
    this.lags.push(Math.max(0, serverNow() - newest));
    this.lagMeasuredAt = performance.now();
    if (this.lags.length > MAX_LAG_SAMPLES) this.lags.shift();
  }

  sourceStatus({ source, state, reason }: SourceStatus): void {
    const before = this.sources.get(source);
    // A heartbeat has no reasons. The earlier reason is valid while the state stays the same.
    const why = reason || (before?.state === state ? before.reason : "");
    if (before?.state === state && before.reason === why) return;
    this.update();
    if (before) {
      this.sources.set(source, { state, reason: why });
      this.showSources();
    }
  }

  /** Asks for the status, unless the server cannot answer. */
  private update(): void {
    if (this.state !== "lost") this.requestStatus();
  }

  /** Asks for the status, also to learn whether the server wants a token. */
  requestStatus(): void {
    void fetchStatus().then(
      (answer) => this.applyStatus(answer),
      () => undefined,
    );
  }

  private applyStatus(answer: ServerStatus): void {
    const visibleSources = answer.sources.filter(
      ({ name, state, accepted }) => name !== "http" || accepted > 0 || state !== "live",
    );
    this.sources = new Map(
      visibleSources.map(({ name, state, reason }) => [
        name,
        { state, reason: reason ?? this.sources.get(name)?.reason ?? "" },
      ]),
    );
    this.showSources();
    this.onDelay(answer.delay ?? 0);
    byId("simulated").hidden = !answer.simulated;
    byId("version").textContent = `tickcast ${answer.version}`;
  }

  private showSources(): void {
    const items = [...this.sources].map(([name, status]) => {
      // Without a connection, the state of a source is unknown.
      const { state, reason } = this.state === "lost" ? { state: "unknown", reason: "" } : status;
      const item = document.createElement("li");
      item.dataset["state"] = state;
      const label = document.createElement("span");
      label.textContent = name;
      const word = document.createElement("b");
      word.textContent = state;
      item.append(label, word);
      if (reason && state !== "live") {
        const why = document.createElement("i");
        why.textContent = reason;
        item.title = reason;
        item.append(why);
      }
      return item;
    });
    const same =
      items.length === this.sourcesElement.children.length &&
      items.every((item, index) => item.isEqualNode(this.sourcesElement.children[index]!));
    if (!same) this.sourcesElement.replaceChildren(...items);
  }

  private showGauges(): void {
    const now = performance.now();
    const measured = (this.counted * 1_000) / Math.max(1, now - this.since);
    this.since = now;
    this.counted = 0;
    this.smooth = this.state === "live" ? this.smooth * 0.6 + measured * 0.4 : 0;
    const rate =
      this.smooth < 0.05
        ? "0"
        : this.smooth < 10
          ? this.smooth.toFixed(1)
          : String(Math.round(this.smooth));
    setText(this.rateElement, rate);
    const isFresh =
      this.state === "live" && this.lags.length > 0 && now - this.lagMeasuredAt < 5_000;
    const middle = [...this.lags].sort((a, b) => a - b)[this.lags.length >> 1] ?? 0;
    setText(
      this.lagElement,
      !isFresh
        ? "—"
        : middle < 1_000
          ? `${Math.round(middle)} ms`
          : `${(middle / 1_000).toFixed(1)} s`,
    );
  }
}

function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
