// One stream for all tickers of a page that name the same server and rate.

import { pattern, type Quote, quote } from "./quote.ts";

/** A ticker, as the stream sees it. */
export interface Reader {
  readonly symbols: readonly string[];
  tick(quote: Quote): void;
  state(symbol: string, state: string, reason: string): void;
  gone(symbol: string): void;
  reset(): void;
  connection(state: "connecting" | "live" | "lost"): void;
  /** Whether the server makes its prices up. */
  simulated(simulated: boolean): void;
  /** What follows says first which states are not as they should be; all others are well. */
  opened(): void;
}

const HEARTBEAT_S = 5;
const SILENCE_MS = HEARTBEAT_S * 2_000 + 4_000;
/** Elements come and go many at once, as a page is built. */
const SETTLE_MS = 30;

const streams = new Map<string, TickerStream>();

/** The server refuses a stream of more entries, or more patterns among them. */
const MOST_ENTRIES = 1_000;
export const MOST_PATTERNS = 100;

/** Reads from `server`; what is returned ends that. */
export function read(server: string, rate: string, reader: Reader): () => void {
  for (let number = 1; ; number += 1) {
    const key = `${rate} ${server} ${number}`;
    let stream = streams.get(key);
    if (!stream) {
      stream = new TickerStream(server, rate, () => streams.delete(key));
      streams.set(key, stream);
    }
    if (stream.hasRoom(reader)) return stream.join(reader);
  }
}

class TickerStream {
  private readonly readers = new Map<Reader, (symbol: string) => boolean>();
  private source: EventSource | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly watching = setInterval(() => this.watch(), 2_000);
  private heard = 0;
  private failures = 0;
  /** Whether the server makes its prices up, once it has been asked. */
  private simulated: Promise<boolean | undefined> | null = null;
  /** Opened again without a cursor: what is shown is to be forgotten as the first event comes. */
  private anew = false;

  constructor(private readonly server: string, private readonly rate: string, private readonly end: () => void) {}

  /** Whether the server would still take all that is asked for. */
  hasRoom(reader: Reader): boolean {
    const all = this.symbols(reader);
    return this.readers.size === 0
      || (all.length <= MOST_ENTRIES && all.filter((symbol) => symbol.includes("*")).length <= MOST_PATTERNS);
  }

  /** What is asked for, each once. */
  private symbols(...more: Reader[]): string[] {
    return [...new Set([...this.readers.keys(), ...more].flatMap((reader) => reader.symbols))].sort();
  }

  join(reader: Reader): () => void {
    this.readers.set(reader, matcher(reader.symbols));
    reader.connection("connecting");
    this.settle();
    return () => {
      this.readers.delete(reader);
      this.settle();
    };
  }

  private settle(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), SETTLE_MS);
  }

  private open(force = false): void {
    const symbols = this.symbols();
    if (this.readers.size === 0 || symbols.length === 0) {
      this.close();
      if (this.readers.size === 0) {
        clearInterval(this.watching);
        this.end();
      }
      return;
    }
    const query = new URLSearchParams({ symbols: symbols.join(","), rate: this.rate, heartbeat: String(HEARTBEAT_S) });
    const address = `${this.server}/v1/stream?${query}`;
    // Also where the address is the same: whoever came is to be given the newest.
    this.close();
    this.anew = force;
    this.listen(new EventSource(address));
  }

  private listen(source: EventSource): void {
    this.source = source;
    this.heard = Date.now();
    const on = (event: string, act: (data: string) => void): void =>
      source.addEventListener(event, (message) => {
        this.heard = Date.now();
        if (this.anew) {
          this.anew = false;
          this.tell((reader) => reader.reset());
        }
        act((message as MessageEvent<string>).data);
      });
    source.addEventListener("open", () => this.tell((reader) => reader.opened()));
    on("tick", (data) => {
      const tick = quote(data);
      this.tellOf(tick.symbol, (reader) => reader.tick(tick));
    });
    on("ready", () => {
      this.failures = 0;
      this.tell((reader) => reader.connection("live"));
      void this.ask();
    });
    on("heartbeat", () => undefined);
    on("reset", () => {
      this.simulated = null;
      this.tell((reader) => reader.reset());
    });
    on("gone", (data) => {
      const { symbol } = JSON.parse(data) as { symbol: string };
      this.tellOf(symbol, (reader) => reader.gone(symbol));
    });
    on("status", (data) => {
      const { symbol, state, reason = "" } = JSON.parse(data) as { symbol?: string; state: string; reason?: string };
      if (symbol !== undefined) return this.tellOf(symbol, (reader) => reader.state(symbol, state, reason));
      // A source has come, gone or turned: what is simulated may be another matter.
      this.simulated = null;
      void this.ask();
    });
    source.addEventListener("error", () => {
      this.tell((reader) => reader.connection("lost"));
      if (source.readyState === EventSource.CLOSED && source === this.source) this.again();
    });
  }

  /** Asks, once for all readers, whether prices are made up. What is not known is asked again. */
  private async ask(): Promise<void> {
    this.simulated ??= simulated(this.server);
    const said = await this.simulated;
    if (said === undefined) this.simulated = null;
    else this.tell((reader) => reader.simulated(said));
  }

  private again(): void {
    this.failures += 1;
    const wait = Math.min(15_000, 500 * 2 ** Math.min(this.failures, 5)) * (0.5 + Math.random() / 2);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(true), wait);
  }

  private watch(): void {
    if (this.source?.readyState !== EventSource.OPEN || Date.now() - this.heard < SILENCE_MS) return;
    this.tell((reader) => reader.connection("lost"));
    this.open(true);
  }

  private tell(act: (reader: Reader) => void): void {
    for (const reader of this.readers.keys()) act(reader);
  }

  /** Those that show this symbol. */
  private tellOf(symbol: string, act: (reader: Reader) => void): void {
    for (const [reader, wants] of this.readers) if (wants(symbol)) act(reader);
  }

  private close(): void {
    this.source?.close();
    this.source = null;
  }
}

async function simulated(server: string): Promise<boolean | undefined> {
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
  const globs = symbols.filter((symbol) => symbol.includes("*")).map(pattern);
  return (symbol) => names.has(symbol) || globs.some((glob) => glob.test(symbol));
}
