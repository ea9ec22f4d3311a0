// The stream to the server. Opens the stream, updates its subscription with PATCH, and reconnects.
//
// With a token, the stream is prepared first. A prepared stream keeps its subscription while the
// browser reconnects. When it is gone, the next one continues at the last cursor.

import { routeUrl } from "./base.ts";
import { EventStream, HEARTBEAT_INTERVAL_S } from "./event-stream.ts";
import type { Connection, SourceStatus, SymbolStatus } from "./messages.ts";
import { cursorFor, forbiddenSymbols, prepare, Refusal } from "./prepared.ts";
import type { SymbolState } from "./quote.ts";
import { authorization, detail } from "./session.ts";
import {
  type ByeEvent,
  type HeartbeatEvent,
  type ReadyEvent,
  type StatusEvent,
  symbolOf,
} from "./stream-events.ts";

/** Receiver of the events of the stream. */
export interface StreamListener {
  tick(symbol: string, json: string): void;
  connection(connection: Connection): void;
  /** Called when a stream opens. All symbols are live unless a following status says otherwise. */
  opened(): void;
  started(): void;
  reset(): void;
  gone(symbol: string): void;
  /** Called when the server is asked to send only these symbols. It sends no status of others. */
  subscribed(symbols: ReadonlySet<string>): void;
  symbolStatus(status: SymbolStatus): void;
  sourceStatus(status: SourceStatus): void;
  heartbeat(time: number): void;
  /** Called when a stream says how old its prices are, in seconds. */
  delay(seconds: number): void;
  /** Called when the server refuses the token, or may want one. */
  refused(reason: string): void;
  problem(text: string): void;
}

const FORBIDDEN_TEXT = "your token does not allow this symbol";

export class Stream {
  /** The token for prepared streams, or an empty string. Set before the first subscription. */
  token = "";
  private readonly events = new EventStream();
  private subscription: ReadonlySet<string> = new Set();
  /** The subscription with the symbols that the token does not allow. */
  private wanted: ReadonlySet<string> = new Set();
  /**
   * The subscription that the server knows, from the address or a PATCH. If `null`, the next PATCH
   * sends the whole list.
   */
  private acknowledged: ReadonlySet<string> | null = null;
  /**
   * The symbols of the stream when the browser reconnects: those in its address, or those that the
   * server knows for a prepared stream. `null` if they are unknown.
   */
  private urlSymbols: ReadonlySet<string> | null = new Set();
  /** The symbols that the token does not allow. The server would refuse the whole stream. */
  private readonly forbidden = new Set<string>();
  /** The hash of the subscription, from the server. */
  private filter = "";
  /** Number of the attempt to open a stream. A later attempt replaces an earlier one. */
  private attempt = 0;
  private preparing = false;
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
    // The hub forgets the price of a symbol that no tab wants, so the next stream must send it again.
    if (this.streamName === "" && [...this.wanted].some((symbol) => !symbols.has(symbol)))
      this.events.cursor = "";
    this.wanted = symbols;
    this.subscription = this.allowed();
    this.showForbidden();
    if (this.events.active) void this.patch();
    else if (symbols.size > 0 && this.retryTimer === 0 && !this.preparing) this.open();
  }

  private open(): void {
    clearTimeout(this.retryTimer);
    this.retryTimer = 0;
    this.events.close();
    this.streamName = "";
    this.attempt += 1;
    this.preparing = false;
    if (this.subscription.size === 0) return;
    this.report(this.events.failures > 0 ? "lost" : "connecting", this.closeReason);
    if (this.token !== "") return void this.openPrepared(this.attempt);
    const symbols = [...this.subscription];
    const list = symbols.map(encodeURIComponent).join(",");
    const url = routeUrl(`v1/stream?mode=latest&heartbeat=${HEARTBEAT_INTERVAL_S}&symbols=${list}`);
    this.urlSymbols = new Set(symbols);
    // A new stream has no cursor.
    this.connect(url, this.openedBefore);
  }

  private async openPrepared(attempt: number): Promise<void> {
    const { subscription, token } = this;
    const cursor = cursorFor(this.events.cursor, this.filter);
    this.preparing = true;
    try {
      const url = new URL(await prepare(token, [...subscription]));
      if (attempt !== this.attempt) return;
      if (cursor) url.searchParams.set("since", cursor);
      this.preparing = false;
      this.urlSymbols = subscription;
      this.connect(url.href, this.openedBefore && !cursor);
    } catch (error) {
      if (attempt !== this.attempt) return;
      this.preparing = false;
      this.notPrepared(error);
    }
  }

  private notPrepared(error: unknown): void {
    this.closeReason = "";
    if (error instanceof Refusal) {
      if (error.status === 401) return this.listener.refused(error.message);
      if (error.status === 403 && this.forbid(error.message)) return this.open();
      this.closeReason = error.message;
      this.retryAfterMs = error.retryAfterMs;
    }
    this.events.failures += 1;
    this.report("lost", this.closeReason);
    this.reopen();
  }

  /** Returns the wanted symbols without those that the token does not allow. */
  private allowed(): ReadonlySet<string> {
    if (this.forbidden.size === 0) return this.wanted;
    return new Set([...this.wanted].filter((symbol) => !this.forbidden.has(symbol)));
  }

  /** Leaves out the symbols that the server's reason names. Returns whether there are any. */
  private forbid(reason: string): boolean {
    const names = forbiddenSymbols(reason).filter((name) => this.subscription.has(name));
    for (const name of names) this.forbidden.add(name);
    this.subscription = this.allowed();
    this.showForbidden();
    return names.length > 0;
  }

  private showForbidden(): void {
    for (const symbol of this.forbidden)
      if (this.wanted.has(symbol))
        this.listener.symbolStatus({ symbol, state: "gone", reason: FORBIDDEN_TEXT });
  }

  private connect(url: string, replacesData: boolean): void {
    this.events.open(url, replacesData, {
      opened: () => this.listener.opened(),
      reset: () => this.listener.reset(),
      failed: (closed) => this.failed(closed),
      events: {
        tick: (json) => this.listener.tick(symbolOf(json), json),
        ready: (json) => this.ready(JSON.parse(json) as ReadyEvent),
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
    // The login that a cookie contains may have expired: then the page must ask for a token.
    if (this.token === "" && reason === "expired") this.listener.refused("");
  }

  private failed(closed: boolean): void {
    this.events.failures += 1;
    this.streamName = "";
    this.report("lost", this.closeReason);
    // A browser reconnects automatically with a cursor, unless the response is not a stream. But it
    // uses the old address. If the subscription has changed, a new stream is opened, because the old
    // one would miss events of the other symbols. A prepared stream is changed when it is back.
    if (closed || !this.urlMatchesSubscription()) this.reopen();
    // An EventSource does not tell the status of an answer. It may have been 401.
    if (closed && this.token === "") this.listener.refused("");
  }

  private urlMatchesSubscription(): boolean {
    if (this.token !== "") return true;
    return (
      this.urlSymbols?.size === this.subscription.size &&
      [...this.subscription].every((symbol) => this.urlSymbols?.has(symbol))
    );
  }

  private ready(ready: ReadyEvent): void {
    this.filter = ready.filter ?? "";
    this.listener.delay(ready.delay ?? 0);
    this.events.failures = 0;
    this.closeReason = "";
    this.retryAfterMs = 0;
    if (ready.stream !== this.streamName) {
      this.streamName = ready.stream;
      this.acknowledged = this.urlSymbols;
      this.listener.started();
    }
    this.report("live", "");
    this.showForbidden();
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
    this.listener.subscribed(subscription);
    const { attempt, urlSymbols: knownSymbols } = this;
    if (this.token !== "") this.urlSymbols = null;
    let status = 0;
    let problem = "";
    try {
      const answer = await fetch(routeUrl(`v1/streams/${name}`), {
        method: "PATCH",
        headers: authorization(this.token),
        body: JSON.stringify(acknowledged ? { add, remove } : { set: [...subscription] }),
      });
      status = answer.status;
      if (!answer.ok && status !== 404) problem = await detail(answer);
    } catch {
      // Without a response, it is unknown whether the server has received the request.
    }
    this.patching = false;
    if (this.token !== "" && status > 0 && attempt === this.attempt)
      this.urlSymbols = status < 400 ? subscription : knownSymbols;
    const isForbidden = status === 403 && this.forbid(problem);
    if (problem && !isForbidden) this.listener.problem(problem);
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
    if (!isForbidden) this.acknowledged = subscription;
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
