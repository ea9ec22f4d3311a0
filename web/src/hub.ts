// Shares one stream between the tabs. The stream is subscribed to the symbols of all tabs, and each
// tab receives its own symbols.
//
// A tab receives the next batch after it acknowledges the previous one. Meanwhile, pending ticks
// are merged to the newest tick of each symbol (conflation). A frozen or slow tab therefore has no
// backlog and bounded memory, as a slow consumer on the server.

import type {
  Connection,
  HubMessage,
  PageMessage,
  SourceStatus,
  SymbolStatus,
} from "./messages.ts";
import { Stream, type StreamListener } from "./stream.ts";

const FLUSH_INTERVAL_MS = 50;
/**
 * Maximum number of focus ticks per batch. If ticks are dropped, the page notices the gap by the
 * tick numbers.
 */
const MAX_FOCUS_TICKS = 2_000;
/**
 * A tab is removed after this time without a message. Browsers limit the timers of hidden tabs to
 * one per minute.
 */
const TAB_TIMEOUT_MS = 180_000;

interface Tab {
  readonly post: (message: PageMessage) => void;
  symbols: ReadonlySet<string>;
  focus: string;
  pending: Map<string, string>;
  focusTicks: string[];
  count: number;
  /** Whether the tab has not yet acknowledged the last batch. */
  awaitingAck: boolean;
  lastMessageAt: number;
  token: string;
}

export class Hub implements StreamListener {
  private readonly tabs = new Set<Tab>();
  private readonly latest = new Map<string, string>();
  private readonly statuses = new Map<string, SymbolStatus>();
  private readonly stream = new Stream(this);
  /** The token of the stream, from the first tab. `null` before the first tab subscribes. */
  private token: string | null = null;
  /** The delay of the prices. */
  private seconds = 0;
  private current: Connection = { state: "connecting", detail: "Waiting for symbols", stream: "" };

  constructor() {
    setInterval(() => this.flush(), FLUSH_INTERVAL_MS);
    setInterval(() => this.removeSilentTabs(), 30_000);
  }

  /** Adds a tab. Returns the function that receives the messages of the tab. */
  join(post: (message: PageMessage) => void): (message: HubMessage) => void {
    const tab: Tab = {
      post,
      symbols: new Set(),
      focus: "",
      pending: new Map(),
      focusTicks: [],
      count: 0,
      awaitingAck: false,
      lastMessageAt: Date.now(),
      token: "",
    };
    this.tabs.add(tab);
    post({ kind: "hello" });
    post({ kind: "connection", connection: this.current });
    if (this.seconds > 0) post({ kind: "delay", seconds: this.seconds });
    return (message) => this.handle(tab, message);
  }

  private handle(tab: Tab, message: HubMessage): void {
    tab.lastMessageAt = Date.now();
    switch (message.kind) {
      case "token":
        tab.token = message.token;
        break;
      case "subscribe":
        // The name of the worker contains a hash of the token, so that other tabs do not come here.
        // If one did, it would see prices that its own token may not allow.
        this.token ??= this.stream.token = tab.token;
        if (tab.token !== this.token) {
          this.tabs.delete(tab);
          return;
        }
        this.tabs.add(tab);
        this.subscribe(tab, new Set(message.symbols));
        break;
      case "focus":
        tab.focus = message.symbol;
        tab.focusTicks = [];
        tab.post({ kind: "focused", symbol: message.symbol });
        break;
      case "ack":
        tab.awaitingAck = false;
        break;
      case "ping":
        tab.post({ kind: "pong" });
        break;
      case "leave":
        this.tabs.delete(tab);
        tab.awaitingAck = false;
        // If the tab returns, it receives everything again.
        tab.symbols = new Set();
        tab.pending.clear();
        tab.focusTicks = [];
        this.updateSubscription();
        break;
    }
  }

  private subscribe(tab: Tab, symbols: ReadonlySet<string>): void {
    const before = tab.symbols;
    tab.symbols = symbols;
    for (const symbol of tab.pending.keys()) if (!symbols.has(symbol)) tab.pending.delete(symbol);
    for (const symbol of symbols) {
      if (before.has(symbol)) continue;
      const json = this.latest.get(symbol);
      const status = this.statuses.get(symbol);
      if (json !== undefined) tab.pending.set(symbol, json);
      if (status) tab.post({ kind: "symbol-status", status });
    }
    this.updateSubscription();
  }

  private updateSubscription(): void {
    const all = new Set<string>();
    for (const tab of this.tabs) for (const symbol of tab.symbols) all.add(symbol);
    for (const symbol of this.latest.keys()) if (!all.has(symbol)) this.latest.delete(symbol);
    this.stream.subscribe(all);
  }

  tick(symbol: string, json: string): void {
    this.latest.set(symbol, json);
    for (const tab of this.tabs) {
      if (!tab.symbols.has(symbol)) continue;
      tab.pending.set(symbol, json);
      tab.count += 1;
      if (tab.focus === symbol) {
        tab.focusTicks.push(json);
        if (tab.focusTicks.length > MAX_FOCUS_TICKS) tab.focusTicks.splice(0, MAX_FOCUS_TICKS / 2);
      }
    }
  }

  private flush(): void {
    for (const tab of this.tabs) {
      if (tab.awaitingAck || tab.pending.size === 0) continue;
      tab.awaitingAck = true;
      tab.post({
        kind: "batch",
        ticks: [...tab.pending.values()],
        focusTicks: tab.focusTicks,
        count: tab.count,
      });
      tab.pending.clear();
      tab.focusTicks = [];
      tab.count = 0;
    }
  }

  private removeSilentTabs(): void {
    const now = Date.now();
    for (const tab of this.tabs)
      if (now - tab.lastMessageAt > TAB_TIMEOUT_MS) this.handle(tab, { kind: "leave" });
  }

  private broadcast(message: PageMessage): void {
    for (const tab of this.tabs) tab.post(message);
  }

  connection(connection: Connection): void {
    this.current = connection;
    this.broadcast({ kind: "connection", connection });
  }

  opened(): void {
    this.statuses.clear();
    this.broadcast({ kind: "stream-opened" });
  }

  started(): void {
    this.broadcast({ kind: "stream-started" });
  }

  reset(): void {
    this.latest.clear();
    this.statuses.clear();
    for (const tab of this.tabs) {
      tab.pending.clear();
      tab.focusTicks = [];
    }
    this.broadcast({ kind: "reset" });
  }

  gone(symbol: string): void {
    this.latest.delete(symbol);
    for (const tab of this.tabs) {
      tab.pending.delete(symbol);
      if (tab.symbols.has(symbol)) tab.post({ kind: "gone", symbol });
    }
  }

  subscribed(symbols: ReadonlySet<string>): void {
    for (const symbol of this.statuses.keys())
      if (!symbols.has(symbol)) this.statuses.delete(symbol);
  }

  symbolStatus(status: SymbolStatus): void {
    this.statuses.set(status.symbol, status);
    for (const tab of this.tabs)
      if (tab.symbols.has(status.symbol)) tab.post({ kind: "symbol-status", status });
  }

  sourceStatus(status: SourceStatus): void {
    this.broadcast({ kind: "source-status", status });
  }

  heartbeat(time: number): void {
    this.broadcast({ kind: "heartbeat", time, at: Date.now() });
  }

  delay(seconds: number): void {
    if (seconds === this.seconds) return;
    this.seconds = seconds;
    this.broadcast({ kind: "delay", seconds });
  }

  refused(reason: string): void {
    this.broadcast({ kind: "refused", reason });
  }

  problem(text: string): void {
    this.broadcast({ kind: "problem", text });
  }
}
