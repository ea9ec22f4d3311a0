// Shares one stream among the tabs: subscribed to all that any of them wants, each is given what it asked for.
//
// A tab is given a batch only after it took the one before, and what it was not yet given is merged to the newest tick
// of each symbol. So a tab that is frozen or slow costs no memory and hears no backlog: what the server does for slow
// readers, once more.

import type { Connection, Standing, ToHub, ToPage } from "./messages.ts";
import { type Listener, Stream } from "./stream.ts";

const FLUSH_MS = 50;
/** Longer, and the page notices by the count of ticks that it has missed some. */
const LONGEST_TRAIL = 2_000;
/** A tab that says nothing for so long is gone; browsers slow the timers of hidden tabs to one a minute. */
const FORGET_MS = 180_000;

interface Tab {
  readonly post: (message: ToPage) => void;
  symbols: ReadonlySet<string>;
  focus: string;
  moved: Map<string, string>;
  trail: string[];
  count: number;
  /** Given a batch that it has not taken yet. */
  busy: boolean;
  heard: number;
}

export class Hub implements Listener {
  private readonly tabs = new Set<Tab>();
  private readonly held = new Map<string, string>();
  private readonly standings = new Map<string, Standing>();
  private readonly stream = new Stream(this);
  private current: Connection = { state: "connecting", detail: "Waiting for symbols", stream: "" };

  constructor() {
    setInterval(() => this.flush(), FLUSH_MS);
    setInterval(() => this.forget(), 30_000);
  }

  /** A tab comes; what it says goes to the function that is returned. */
  join(post: (message: ToPage) => void): (message: ToHub) => void {
    const tab: Tab = {
      post, symbols: new Set(), focus: "", moved: new Map(), trail: [], count: 0, busy: false, heard: Date.now(),
    };
    this.tabs.add(tab);
    post({ kind: "hello" });
    post({ kind: "connection", connection: this.current });
    return (message) => this.hear(tab, message);
  }

  private hear(tab: Tab, message: ToHub): void {
    tab.heard = Date.now();
    switch (message.kind) {
      case "want":
        this.tabs.add(tab);
        this.subscribe(tab, new Set(message.symbols));
        break;
      case "focus":
        tab.focus = message.symbol;
        tab.trail = [];
        tab.post({ kind: "focused", symbol: message.symbol });
        break;
      case "ack":
        tab.busy = false;
        break;
      case "ping":
        tab.post({ kind: "pong" });
        break;
      case "leave":
        this.tabs.delete(tab);
        tab.busy = false;
        // Should it come back, it is given everything again.
        tab.symbols = new Set();
        tab.moved.clear();
        tab.trail = [];
        this.want();
        break;
    }
  }

  private subscribe(tab: Tab, symbols: ReadonlySet<string>): void {
    const before = tab.symbols;
    tab.symbols = symbols;
    for (const symbol of tab.moved.keys()) if (!symbols.has(symbol)) tab.moved.delete(symbol);
    for (const symbol of symbols) {
      if (before.has(symbol)) continue;
      const json = this.held.get(symbol);
      const standing = this.standings.get(symbol);
      if (json !== undefined) tab.moved.set(symbol, json);
      if (standing) tab.post({ kind: "standing", standing });
    }
    this.want();
  }

  private want(): void {
    const all = new Set<string>();
    for (const tab of this.tabs) for (const symbol of tab.symbols) all.add(symbol);
    for (const symbol of this.held.keys()) if (!all.has(symbol)) this.held.delete(symbol);
    this.stream.want(all);
  }

  tick(symbol: string, json: string): void {
    this.held.set(symbol, json);
    for (const tab of this.tabs) {
      if (!tab.symbols.has(symbol)) continue;
      tab.moved.set(symbol, json);
      tab.count += 1;
      if (tab.focus === symbol) {
        tab.trail.push(json);
        if (tab.trail.length > LONGEST_TRAIL) tab.trail.splice(0, LONGEST_TRAIL / 2);
      }
    }
  }

  private flush(): void {
    for (const tab of this.tabs) {
      if (tab.busy || tab.moved.size === 0) continue;
      tab.busy = true;
      tab.post({ kind: "batch", ticks: [...tab.moved.values()], trail: tab.trail, count: tab.count });
      tab.moved.clear();
      tab.trail = [];
      tab.count = 0;
    }
  }

  private forget(): void {
    const now = Date.now();
    for (const tab of this.tabs) if (now - tab.heard > FORGET_MS) this.hear(tab, { kind: "leave" });
  }

  private tell(message: ToPage): void {
    for (const tab of this.tabs) tab.post(message);
  }

  connection(connection: Connection): void {
    this.current = connection;
    this.tell({ kind: "connection", connection });
  }

  opened(): void {
    this.standings.clear();
    this.tell({ kind: "opened" });
  }

  began(): void {
    this.tell({ kind: "began" });
  }

  reset(): void {
    this.held.clear();
    this.standings.clear();
    for (const tab of this.tabs) {
      tab.moved.clear();
      tab.trail = [];
    }
    this.tell({ kind: "reset" });
  }

  gone(symbol: string): void {
    this.held.delete(symbol);
    for (const tab of this.tabs) {
      tab.moved.delete(symbol);
      if (tab.symbols.has(symbol)) tab.post({ kind: "gone", symbol });
    }
  }

  standing(standing: Standing): void {
    this.standings.set(standing.symbol, standing);
    for (const tab of this.tabs) if (tab.symbols.has(standing.symbol)) tab.post({ kind: "standing", standing });
  }

  source(source: Parameters<Listener["source"]>[0]): void {
    this.tell({ kind: "source", source });
  }

  heartbeat(time: number): void {
    this.tell({ kind: "heartbeat", time, at: Date.now() });
  }

  problem(text: string): void {
    this.tell({ kind: "problem", text });
  }
}
