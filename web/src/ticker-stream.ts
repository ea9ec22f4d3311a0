// One stream for all tickers of a page with the same server, rate and token address.

import { EventStream, HEARTBEAT_INTERVAL_S } from "./event-stream.ts";
import { parseQuote, patternToRegExp, type Quote } from "./quote.ts";
import { askWebsite } from "./token-url.ts";

/** A ticker as receiver of the events of the stream. */
export interface TickerListener {
  readonly symbols: readonly string[];
  tick(quote: Quote): void;
  state(symbol: string, state: string, reason: string): void;
  gone(symbol: string): void;
  reset(): void;
  connection(state: "connecting" | "live" | "lost"): void;
  /** Called when it is known whether the server simulates its prices. */
  simulated(simulated: boolean): void;
  /** Called when a stream says how old its prices are, in seconds. */
  delay(seconds: number): void;
  /** Called when a stream opens. All symbols are live unless a following status says otherwise. */
  opened(): void;
}

/** Delay before a stream opens, because a page often adds or removes many elements at once. */
const OPEN_DELAY_MS = 30;

const streams = new Map<string, TickerStream>();

/** Maximum numbers of entries and of patterns in a stream. The server refuses more. */
const MAX_ENTRIES = 1_000;
export const MAX_PATTERNS = 100;

/**
 * Subscribes to a stream of `server`. If `tokenUrl` is not empty, the website at this address
 * prepares the stream. Returns the function that ends the subscription.
 */
export function subscribe(
  server: string,
  rate: string,
  tokenUrl: string,
  listener: TickerListener,
): () => void {
  for (let number = 1; ; number += 1) {
    const key = `${rate} ${server} ${number} ${tokenUrl}`;
    let stream = streams.get(key);
    if (!stream) {
      stream = new TickerStream(server, rate, tokenUrl, () => streams.delete(key));
      streams.set(key, stream);
    }
    if (stream.hasRoom(listener)) return stream.join(listener);
  }
}

class TickerStream {
  private readonly listeners = new Map<TickerListener, (symbol: string) => boolean>();
  private readonly events = new EventStream();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly silenceTimer = setInterval(() => this.checkSilence(), 2_000);
  /** Whether the server simulates its prices, after the first request. */
  private simulated: Promise<boolean | undefined> | null = null;
  /** Number of the attempt to open a stream. A later attempt replaces an earlier one. */
  private attempt = 0;

  constructor(
    private readonly server: string,
    private readonly rate: string,
    private readonly tokenUrl: string,
    private readonly onEnd: () => void,
  ) {}

  /** Returns whether the server would accept the entries of all listeners and of this one. */
  hasRoom(listener: TickerListener): boolean {
    const all = this.symbols(listener);
    return (
      this.listeners.size === 0 ||
      (all.length <= MAX_ENTRIES &&
        all.filter((symbol) => symbol.includes("*")).length <= MAX_PATTERNS)
    );
  }

  /** Returns the entries of all listeners without duplicates. */
  private symbols(...more: TickerListener[]): string[] {
    return [
      ...new Set([...this.listeners.keys(), ...more].flatMap((listener) => listener.symbols)),
    ].sort();
  }

  join(listener: TickerListener): () => void {
    this.listeners.set(listener, matcher(listener.symbols));
    listener.connection("connecting");
    this.scheduleOpen();
    return () => {
      this.listeners.delete(listener);
      this.scheduleOpen();
    };
  }

  private scheduleOpen(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), OPEN_DELAY_MS);
  }

  private open(replacesData = false): void {
    const symbols = this.symbols();
    this.attempt += 1;
    if (this.listeners.size === 0 || symbols.length === 0) {
      this.events.close();
      if (this.listeners.size === 0) {
        clearInterval(this.silenceTimer);
        this.onEnd();
      }
      return;
    }
    if (this.tokenUrl !== "") return void this.openPrepared(symbols, replacesData);
    const query = new URLSearchParams({
      symbols: symbols.join(","),
      rate: this.rate,
      heartbeat: String(HEARTBEAT_INTERVAL_S),
    });
    this.connect(`${this.server}/v1/stream?${query}`, replacesData);
  }

  private async openPrepared(symbols: readonly string[], replacesData: boolean): Promise<void> {
    const { attempt } = this;
    try {
      const address = await askWebsite(this.tokenUrl, this.server, symbols);
      if (attempt === this.attempt) this.connect(address, replacesData);
    } catch {
      if (attempt === this.attempt) this.failed(true);
    }
  }

  private connect(address: string, replacesData: boolean): void {
    // Until `ready` says the delay, nothing is shown: a delayed price must not look live.
    let held: (() => void)[] | undefined = [];
    const show = (call: () => void): void => {
      if (held === undefined) call();
      else held.push(call);
    };
    // Opens a new stream even if the address is the same, so that a new listener receives the
    // newest prices.
    this.events.open(address, replacesData, {
      opened: () => this.broadcast((listener) => listener.opened()),
      reset: () => this.broadcast((listener) => listener.reset()),
      failed: (closed) => this.failed(closed),
      events: {
        tick: (data) => {
          const tick = parseQuote(data);
          show(() => this.broadcastSymbol(tick.symbol, (listener) => listener.tick(tick)));
        },
        ready: (data) => {
          const { delay = 0 } = JSON.parse(data) as { delay?: number };
          this.events.failures = 0;
          this.broadcast((listener) => listener.delay(delay));
          for (const call of held ?? []) call();
          held = undefined;
          this.broadcast((listener) => listener.connection("live"));
          void this.updateSimulated();
        },
        heartbeat: () => undefined,
        reset: () => {
          this.simulated = null;
          show(() => this.broadcast((listener) => listener.reset()));
        },
        gone: (data) => {
          const { symbol } = JSON.parse(data) as { symbol: string };
          show(() => this.broadcastSymbol(symbol, (listener) => listener.gone(symbol)));
        },
        status: (data) => show(() => this.status(JSON.parse(data) as StatusEvent)),
      },
    });
  }

  private status({ symbol, state, reason = "" }: StatusEvent): void {
    if (symbol !== undefined)
      return this.broadcastSymbol(symbol, (listener) => listener.state(symbol, state, reason));
    // A source was added or removed, or its state changed. Whether prices are simulated may have
    // changed too.
    this.simulated = null;
    void this.updateSimulated();
  }

  private failed(closed: boolean): void {
    // An old stream may still be there if the website could not be asked for the next one.
    if (closed) this.events.close();
    this.broadcast((listener) => listener.connection("lost"));
    if (!closed) return;
    this.events.failures += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(true), this.events.retryDelay());
  }

  /**
   * Asks the server once for all listeners whether prices are simulated. If the answer is unknown,
   * the next call asks again.
   */
  private async updateSimulated(): Promise<void> {
    // The name of a prepared stream is no permission to ask for the status.
    if (this.tokenUrl !== "") return;
    this.simulated ??= fetchSimulated(this.server);
    const simulated = await this.simulated;
    if (simulated === undefined) this.simulated = null;
    else this.broadcast((listener) => listener.simulated(simulated));
  }

  private checkSilence(): void {
    if (!this.events.isSilent()) return;
    this.broadcast((listener) => listener.connection("lost"));
    this.events.close();
    this.open(true);
  }

  private broadcast(call: (listener: TickerListener) => void): void {
    for (const listener of this.listeners.keys()) call(listener);
  }

  /** Calls the listeners of this symbol. */
  private broadcastSymbol(symbol: string, call: (listener: TickerListener) => void): void {
    for (const [listener, wants] of this.listeners) if (wants(symbol)) call(listener);
  }
}

interface StatusEvent {
  symbol?: string;
  state: string;
  reason?: string;
}

async function fetchSimulated(server: string): Promise<boolean | undefined> {
  try {
    const answer = await fetch(`${server}/v1/status`, { signal: AbortSignal.timeout(5_000) });
    const { simulated } = (await answer.json()) as { simulated?: boolean };
    return answer.ok ? simulated === true : undefined;
  } catch {
    return undefined;
  }
}

function matcher(symbols: readonly string[]): (symbol: string) => boolean {
  const names = new Set(symbols);
  const globs = symbols.filter((symbol) => symbol.includes("*")).map(patternToRegExp);
  return (symbol) => names.has(symbol) || globs.some((glob) => glob.test(symbol));
}
