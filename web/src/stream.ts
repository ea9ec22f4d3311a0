// The stream to the server. Opens the stream, updates its subscription with PATCH, and reconnects.

import { routeUrl } from "./base.ts";
import type { Connection, SourceStatus, SymbolStatus } from "./messages.ts";
import type { SymbolState } from "./quote.ts";

/** Receiver of the events of the stream. */
export interface StreamListener {
  tick(symbol: string, json: string): void;
  connection(connection: Connection): void;
  /** Called when a stream opens. All symbols are live unless a following status says otherwise. */
  opened(): void;
  started(): void;
  reset(): void;
  gone(symbol: string): void;
  symbolStatus(status: SymbolStatus): void;
  sourceStatus(status: SourceStatus): void;
  heartbeat(time: number): void;
  problem(text: string): void;
}

const HEARTBEAT_INTERVAL_S = 5;
/**
 * Maximum silence. A longer silence means that the connection is dead, even if the browser reports
 * it as open.
 */
const SILENCE_TIMEOUT_MS = HEARTBEAT_INTERVAL_S * 2_000 + 4_000;
const MAX_RETRY_DELAY_MS = 15_000;
const SYMBOL_PREFIX = '{"symbol":"';

export class Stream {
  private source: EventSource | null = null;
  private wanted: ReadonlySet<string> = new Set();
  /**
   * The subscription that the server knows, from the address or a PATCH. If `null`, the next PATCH
   * sends the whole list.
   */
  private acknowledged: ReadonlySet<string> | null = null;
  /** The symbols in the address of the stream. */
  private urlSymbols: ReadonlySet<string> = new Set();
  private streamName = "";
  /** Whether a new stream was opened without a cursor. Its first event resets the listener. */
  private resetPending = false;
  private openedBefore = false;
  private patching = false;
  private failures = 0;
  private lastEventAt = 0;
  private retryTimer = 0;
  private closeReason = "";
  /** Minimum retry delay that the server has requested. */
  private retryAfterMs = 0;

  constructor(private readonly listener: StreamListener) {
    setInterval(() => this.checkSilence(), 2_000);
  }

  /** Sets the subscription to these symbols. */
  subscribe(symbols: ReadonlySet<string>): void {
    this.wanted = symbols;
    if (this.source) void this.patch();
    else if (symbols.size > 0 && this.retryTimer === 0) this.open();
  }

  private open(): void {
    clearTimeout(this.retryTimer);
    this.retryTimer = 0;
    this.source?.close();
    this.source = null;
    this.streamName = "";
    if (this.wanted.size === 0) return;
    this.lastEventAt = Date.now();
    this.resetPending = this.openedBefore;
    this.openedBefore = true;
    this.report(this.failures > 0 ? "lost" : "connecting", this.closeReason);
    const symbols = [...this.wanted];
    const list = symbols.map(encodeURIComponent).join(",");
    const source = new EventSource(
      routeUrl(`v1/stream?mode=latest&heartbeat=${HEARTBEAT_INTERVAL_S}&symbols=${list}`),
    );
    this.source = source;
    this.urlSymbols = new Set(symbols);
    this.listen(source);
  }

  private listen(source: EventSource): void {
    const on = (event: string, act: (json: string) => void): void => {
      source.addEventListener(event, (message) => {
        if (source !== this.source) return;
        this.lastEventAt = Date.now();
        // A `bye` contains no prices that could replace the present ones.
        if (this.resetPending && event !== "bye") {
          this.resetPending = false;
          this.listener.reset();
        }
        act((message as MessageEvent<string>).data);
      });
    };
    source.addEventListener("open", () => {
      if (source === this.source) this.listener.opened();
    });
    on("tick", (json) => this.listener.tick(symbolOf(json), json));
    on("ready", (json) => this.ready(JSON.parse(json) as { stream: string }));
    on("reset", () => this.listener.reset());
    on("gone", (json) => this.listener.gone(symbolOf(json)));
    on("status", (json) => this.status(JSON.parse(json) as StatusEvent));
    on("heartbeat", (json) => {
      const beat = JSON.parse(json) as { time: number; sources?: StatusEvent[] };
      this.listener.heartbeat(beat.time);
      for (const source of beat.sources ?? []) this.status(source);
    });
    on("bye", (json) => {
      const { reason, retry = 0 } = JSON.parse(json) as { reason: string; retry?: number };
      this.retryAfterMs = retry;
      this.closeReason =
        reason === "busy"
          ? "server is busy"
          : reason === "draining"
            ? "server is restarting"
            : reason;
      this.streamName = "";
      this.report("lost", this.closeReason);
    });
    source.addEventListener("error", () => {
      if (source !== this.source) return;
      this.failures += 1;
      this.streamName = "";
      this.report("lost", this.closeReason);
      // A browser reconnects automatically with a cursor, unless the response is not a stream. But
      // it uses the old address. If the subscription has changed, a new stream is opened, because
      // the old one would miss events of the other symbols.
      if (source.readyState === EventSource.CLOSED || !this.urlMatchesWanted()) this.reopen();
    });
  }

  private urlMatchesWanted(): boolean {
    return (
      this.urlSymbols.size === this.wanted.size &&
      [...this.wanted].every((symbol) => this.urlSymbols.has(symbol))
    );
  }

  private ready(ready: { stream: string }): void {
    this.failures = 0;
    this.closeReason = "";
    this.retryAfterMs = 0;
    if (ready.stream !== this.streamName) {
      this.streamName = ready.stream;
      this.acknowledged = this.urlSymbols;
      this.listener.started();
    }
    this.report("live", "");
    void this.patch();
  }

  private status(status: StatusEvent): void {
    const { state, reason = "", since } = status;
    if (status.symbol !== undefined)
      this.listener.symbolStatus({ symbol: status.symbol, state: state as SymbolState, reason });
    else if (status.source !== undefined)
      this.listener.sourceStatus({ source: status.source, state, reason, since });
  }

  /** Sends the changes of the subscription to the server, one request at a time. */
  private async patch(): Promise<void> {
    if (this.patching || this.streamName === "") return;
    const { wanted, acknowledged, streamName: name } = this;
    const add = acknowledged ? [...wanted].filter((symbol) => !acknowledged.has(symbol)) : [];
    const remove = acknowledged ? [...acknowledged].filter((symbol) => !wanted.has(symbol)) : [];
    if (acknowledged && add.length === 0 && remove.length === 0) return;
    this.patching = true;
    let status = 0;
    try {
      const answer = await fetch(routeUrl(`v1/streams/${name}`), {
        method: "PATCH",
        body: JSON.stringify(acknowledged ? { add, remove } : { set: [...wanted] }),
      });
      status = answer.status;
      if (!answer.ok && status !== 404) this.listener.problem(await detail(answer));
    } catch {
      // Without a response, it is unknown whether the server has received the request.
    }
    this.patching = false;
    if (name !== this.streamName) return void this.patch();
    if (status === 404) {
      this.open();
      return;
    }
    if (status === 0) {
      this.acknowledged = null;
      setTimeout(() => void this.patch(), 1_000);
      return;
    }
    // A refused symbol is not requested again until the list changes.
    this.acknowledged = wanted;
    void this.patch();
  }

  private checkSilence(): void {
    if (!this.source || this.source.readyState !== EventSource.OPEN) return;
    if (Date.now() - this.lastEventAt < SILENCE_TIMEOUT_MS) return;
    this.failures += 1;
    this.closeReason = "no response";
    this.open();
  }

  private reopen(): void {
    this.source?.close();
    this.source = null;
    const backoff =
      Math.min(MAX_RETRY_DELAY_MS, 500 * 2 ** Math.min(this.failures, 5)) *
      (0.5 + Math.random() / 2);
    const wait = Math.max(backoff, this.retryAfterMs);
    clearTimeout(this.retryTimer);
    this.retryTimer = setTimeout(() => this.open(), wait);
  }

  private report(state: Connection["state"], detail: string): void {
    this.listener.connection({ state, detail, stream: this.streamName });
  }
}

interface StatusEvent {
  symbol?: string;
  source?: string;
  state: string;
  reason?: string;
  since: number;
}

/** Returns the symbol of a tick. Every tick needs this, so the rest of the JSON is not parsed. */
function symbolOf(json: string): string {
  if (json.startsWith(SYMBOL_PREFIX))
    return json.slice(SYMBOL_PREFIX.length, json.indexOf('"', SYMBOL_PREFIX.length));
  return (JSON.parse(json) as { symbol: string }).symbol;
}

async function detail(answer: Response): Promise<string> {
  try {
    return ((await answer.json()) as { detail: string }).detail;
  } catch {
    return `the server responded with status ${answer.status}`;
  }
}
