// The one stream to the server: opens it, keeps it subscribed to what is wanted by PATCH, and brings it back.

import { at } from "./base.ts";
import type { Connection, SourceStanding, Standing } from "./messages.ts";
import type { SymbolState } from "./quote.ts";

/** Who is told what the stream says. */
export interface Listener {
  tick(symbol: string, json: string): void;
  connection(connection: Connection): void;
  /** What follows says first which states are not as they should be; all others are well. */
  opened(): void;
  began(): void;
  reset(): void;
  gone(symbol: string): void;
  standing(standing: Standing): void;
  source(source: SourceStanding): void;
  heartbeat(time: number): void;
  problem(text: string): void;
}

const HEARTBEAT_S = 5;
/** Silence after which the connection is dead, whatever the system believes. */
const SILENCE_MS = HEARTBEAT_S * 2_000 + 4_000;
const LONGEST_WAIT_MS = 15_000;
const SYMBOL = '{"symbol":"';

export class Stream {
  private source: EventSource | null = null;
  private wanted: ReadonlySet<string> = new Set();
  /** What the server has been told, by the address or by PATCH; null: not known, the whole list is to be sent. */
  private told: ReadonlySet<string> | null = null;
  /** What the address of the stream says. */
  private addressed: ReadonlySet<string> = new Set();
  private name = "";
  /** Another stream was opened from the beginning: what is held is to be forgotten as its first event comes. */
  private anew = false;
  private opened = false;
  private patching = false;
  private failures = 0;
  private heard = 0;
  private retry = 0;
  private farewell = "";
  /** How long the server asked to be left alone. */
  private asked = 0;

  constructor(private readonly listener: Listener) {
    setInterval(() => this.watch(), 2_000);
  }

  /** From now on these symbols. */
  want(symbols: ReadonlySet<string>): void {
    this.wanted = symbols;
    if (this.source) void this.patch();
    else if (symbols.size > 0 && this.retry === 0) this.open();
  }

  private open(): void {
    clearTimeout(this.retry);
    this.retry = 0;
    this.source?.close();
    this.source = null;
    this.name = "";
    if (this.wanted.size === 0) return;
    this.heard = Date.now();
    this.anew = this.opened;
    this.opened = true;
    this.report(this.failures > 0 ? "lost" : "connecting", this.farewell);
    const symbols = [...this.wanted];
    const list = symbols.map(encodeURIComponent).join(",");
    const source = new EventSource(at(`v1/stream?mode=latest&heartbeat=${HEARTBEAT_S}&symbols=${list}`));
    this.source = source;
    this.addressed = new Set(symbols);
    this.listen(source);
  }

  private listen(source: EventSource): void {
    const on = (event: string, act: (json: string) => void): void => {
      source.addEventListener(event, (message) => {
        if (source !== this.source) return;
        this.heard = Date.now();
        // A server that only says goodbye tells nothing that could take the place of what is held.
        if (this.anew && event !== "bye") {
          this.anew = false;
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
    on("status", (json) => this.status(JSON.parse(json) as Status));
    on("heartbeat", (json) => {
      const beat = JSON.parse(json) as { time: number; sources?: Status[] };
      this.listener.heartbeat(beat.time);
      for (const source of beat.sources ?? []) this.status(source);
    });
    on("bye", (json) => {
      const { reason, retry = 0 } = JSON.parse(json) as { reason: string; retry?: number };
      this.asked = retry;
      this.farewell = reason === "busy" ? "server is busy" : reason === "draining" ? "server is restarting" : reason;
      this.name = "";
      this.report("lost", this.farewell);
    });
    source.addEventListener("error", () => {
      if (source !== this.source) return;
      this.failures += 1;
      this.name = "";
      this.report("lost", this.farewell);
      // A browser comes back by itself, with a cursor, except from an answer that was no stream. But it asks for what
      // the address says: where that is no longer what is wanted, nobody would say what became of the rest meanwhile.
      if (source.readyState === EventSource.CLOSED || !this.addresses()) this.reopen();
    });
  }

  private addresses(): boolean {
    return this.addressed.size === this.wanted.size && [...this.wanted].every((symbol) => this.addressed.has(symbol));
  }

  private ready(ready: { stream: string }): void {
    this.failures = 0;
    this.farewell = "";
    this.asked = 0;
    if (ready.stream !== this.name) {
      this.name = ready.stream;
      this.told = this.addressed;
      this.listener.began();
    }
    this.report("live", "");
    void this.patch();
  }

  private status(status: Status): void {
    const { state, reason = "", since } = status;
    if (status.symbol !== undefined) this.listener.standing({ symbol: status.symbol, state: state as SymbolState, reason });
    else if (status.source !== undefined) this.listener.source({ source: status.source, state, reason, since });
  }

  /** Tells the server what has changed of what is wanted; one request at a time. */
  private async patch(): Promise<void> {
    if (this.patching || this.name === "") return;
    const { wanted, told, name } = this;
    const add = told ? [...wanted].filter((symbol) => !told.has(symbol)) : [];
    const remove = told ? [...told].filter((symbol) => !wanted.has(symbol)) : [];
    if (told && add.length === 0 && remove.length === 0) return;
    this.patching = true;
    let status = 0;
    try {
      const answer = await fetch(at(`v1/streams/${name}`), {
        method: "PATCH",
        body: JSON.stringify(told ? { add, remove } : { set: [...wanted] }),
      });
      status = answer.status;
      if (!answer.ok && status !== 404) this.listener.problem(await detail(answer));
    } catch {
      // No answer: whether it was heard is not known.
    }
    this.patching = false;
    if (name !== this.name) return void this.patch();
    if (status === 404) return this.open();
    if (status === 0) {
      this.told = null;
      setTimeout(() => void this.patch(), 1_000);
      return;
    }
    // What was refused is not asked for again until the list changes.
    this.told = wanted;
    void this.patch();
  }

  private watch(): void {
    if (!this.source || this.source.readyState !== EventSource.OPEN) return;
    if (Date.now() - this.heard < SILENCE_MS) return;
    this.failures += 1;
    this.farewell = "no answer";
    this.open();
  }

  private reopen(): void {
    this.source?.close();
    this.source = null;
    const backoff = Math.min(LONGEST_WAIT_MS, 500 * 2 ** Math.min(this.failures, 5)) * (0.5 + Math.random() / 2);
    const wait = Math.max(backoff, this.asked);
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.open(), wait);
  }

  private report(state: Connection["state"], detail: string): void {
    this.listener.connection({ state, detail, stream: this.name });
  }
}

interface Status {
  symbol?: string;
  source?: string;
  state: string;
  reason?: string;
  since: number;
}

/** The symbol, without taking the rest apart: this is done for every tick. */
function symbolOf(json: string): string {
  if (json.startsWith(SYMBOL)) return json.slice(SYMBOL.length, json.indexOf('"', SYMBOL.length));
  return (JSON.parse(json) as { symbol: string }).symbol;
}

async function detail(answer: Response): Promise<string> {
  try {
    return ((await answer.json()) as { detail: string }).detail;
  } catch {
    return `the server answered ${answer.status}`;
  }
}
