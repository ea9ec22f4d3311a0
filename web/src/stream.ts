// The stream to the server. Opens the stream, updates its subscription with PATCH, and reconnects.

import { routeUrl } from "./base.ts";
import { EventStream, HEARTBEAT_INTERVAL_S } from "./event-stream.ts";
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

const SYMBOL_PREFIX = '{"symbol":"';

export class Stream {
  private readonly events = new EventStream();
  private subscription: ReadonlySet<string> = new Set();
  /**
   * The subscription that the server knows, from the address or a PATCH. If `null`, the next PATCH
   * sends the whole list.
   */
  private acknowledged: ReadonlySet<string> | null = null;
  /** The symbols in the address of the stream. */
  private urlSymbols: ReadonlySet<string> = new Set();
  private streamName = "";
  private openedBefore = false;
  private patching = false;
  private retryTimer = 0;
  private closeReason = "";
  /** Minimum retry delay that the server has requested. */
  private retryAfterMs = 0;

  constructor(private readonly listener: StreamListener) {
    setInterval(() => this.checkSilence(), 2_000);
  }

  /** Sets the subscription to these symbols. */
  subscribe(symbols: ReadonlySet<string>): void {
    this.subscription = symbols;
    if (this.events.active) void this.patch();
    else if (symbols.size > 0 && this.retryTimer === 0) this.open();
  }

  private open(): void {
    clearTimeout(this.retryTimer);
    this.retryTimer = 0;
    this.events.close();
    this.streamName = "";
    if (this.subscription.size === 0) return;
    this.report(this.events.failures > 0 ? "lost" : "connecting", this.closeReason);
    const symbols = [...this.subscription];
    const list = symbols.map(encodeURIComponent).join(",");
    const url = routeUrl(`v1/stream?mode=latest&heartbeat=${HEARTBEAT_INTERVAL_S}&symbols=${list}`);
    this.urlSymbols = new Set(symbols);
    // A new stream has no cursor.
    this.events.open(url, this.openedBefore, {
      opened: () => this.listener.opened(),
      reset: () => this.listener.reset(),
      failed: (closed) => this.failed(closed),
      events: {
        tick: (json) => this.listener.tick(symbolOf(json), json),
        ready: (json) => this.ready(JSON.parse(json) as { stream: string }),
        reset: () => this.listener.reset(),
        gone: (json) => this.listener.gone(symbolOf(json)),
        status: (json) => this.status(JSON.parse(json) as StatusEvent),
        heartbeat: (json) => this.heartbeat(JSON.parse(json) as HeartbeatEvent),
        bye: (json) => this.bye(JSON.parse(json) as ByeEvent),
      },
    });
    this.openedBefore = true;
  }

  private heartbeat({ time, sources = [] }: HeartbeatEvent): void {
    this.listener.heartbeat(time);
    for (const source of sources) this.status(source);
  }

  private bye({ reason, retry = 0 }: ByeEvent): void {
    this.retryAfterMs = retry;
    this.closeReason =
      reason === "busy"
        ? "server is busy"
        : reason === "draining"
          ? "server is restarting"
          : reason;
    this.streamName = "";
    this.report("lost", this.closeReason);
  }

  private failed(closed: boolean): void {
    this.events.failures += 1;
    this.streamName = "";
    this.report("lost", this.closeReason);
    // A browser reconnects automatically with a cursor, unless the response is not a stream. But it
    // uses the old address. If the subscription has changed, a new stream is opened, because the old
    // one would miss events of the other symbols.
    if (closed || !this.urlMatchesSubscription()) this.reopen();
  }

  private urlMatchesSubscription(): boolean {
    return (
      this.urlSymbols.size === this.subscription.size &&
      [...this.subscription].every((symbol) => this.urlSymbols.has(symbol))
    );
  }

  private ready(ready: { stream: string }): void {
    this.events.failures = 0;
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
    const { subscription, acknowledged, streamName: name } = this;
    const add = acknowledged ? [...subscription].filter((symbol) => !acknowledged.has(symbol)) : [];
    const remove = acknowledged
      ? [...acknowledged].filter((symbol) => !subscription.has(symbol))
      : [];
    if (acknowledged && add.length === 0 && remove.length === 0) return;
    this.patching = true;
    let status = 0;
    try {
      const answer = await fetch(routeUrl(`v1/streams/${name}`), {
        method: "PATCH",
        body: JSON.stringify(acknowledged ? { add, remove } : { set: [...subscription] }),
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
    this.acknowledged = subscription;
    void this.patch();
  }

  private checkSilence(): void {
    if (!this.events.isSilent()) return;
    this.events.failures += 1;
    this.closeReason = "no response";
    this.open();
  }

  private reopen(): void {
    this.events.close();
    clearTimeout(this.retryTimer);
    const delay = Math.max(this.events.retryDelay(), this.retryAfterMs);
    this.retryTimer = setTimeout(() => this.open(), delay);
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

interface HeartbeatEvent {
  time: number;
  sources?: StatusEvent[];
}

interface ByeEvent {
  reason: string;
  retry?: number;
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
