// The page's connection to the hub. The hub runs in the shared worker if the browser supports it,
// or else in the page itself.

import { Hub } from "./hub.ts";
import type { HubMessage, PageMessage } from "./messages.ts";
import { token, workerName } from "./session.ts";

const HELLO_TIMEOUT_MS = 4_000;
const PING_INTERVAL_MS = 20_000;

export class HubClient {
  private send: (message: HubMessage) => void = () => undefined;
  private disconnect: () => void = () => undefined;
  private symbols: readonly string[] = [];
  private focusSymbol = "";
  private answered = true;
  private local = false;
  private greeted = false;
  /** Whether the page needs no prices any more. */
  private stopped = false;
  /** Number of connections to a worker. */
  private connections = 0;

  constructor(private readonly handle: (message: PageMessage) => void) {
    this.connect();
    setInterval(() => this.ping(), PING_INTERVAL_MS);
    addEventListener("pagehide", () => this.send({ kind: "leave" }));
    // The page returns from the browser's page cache. The hub has removed the page and sent nothing
    // since then.
    addEventListener("pageshow", (event) => {
      if (!event.persisted || this.stopped) return;
      this.handle({ kind: "reset" });
      this.sendState();
    });
  }

  subscribe(symbols: readonly string[]): void {
    this.symbols = symbols;
    this.send({ kind: "subscribe", symbols });
  }

  focus(symbol: string): void {
    this.focusSymbol = symbol;
    this.send({ kind: "focus", symbol });
  }

  /** Leaves the hub for good, because the page is no longer signed in. */
  stop(): void {
    this.stopped = true;
    this.disconnect();
    if (this.local) this.send({ kind: "leave" });
    this.send = () => undefined;
  }

  private sendState(): void {
    if (token() !== "") this.send({ kind: "token", token: token() });
    this.send({ kind: "subscribe", symbols: this.symbols });
    if (this.focusSymbol) this.send({ kind: "focus", symbol: this.focusSymbol });
  }

  private connect(): void {
    this.disconnect();
    if (typeof SharedWorker === "undefined") return this.useLocalHub();
    if (token() === "") return this.connectWorker("tickcast");
    const connection = (this.connections += 1);
    void workerName(token()).then((name) => {
      if (this.stopped || connection !== this.connections) return;
      if (name === null) this.useLocalHub();
      else this.connectWorker(name);
    });
  }

  private connectWorker(name: string): void {
    try {
      const worker = new SharedWorker(new URL("./worker.ts", import.meta.url), {
        type: "module",
        name,
      });
      const helloTimer = setTimeout(() => this.useLocalHub(), HELLO_TIMEOUT_MS);
      const failed = (): void => {
        clearTimeout(helloTimer);
        this.useLocalHub();
      };
      worker.addEventListener("error", failed);
      worker.port.onmessage = ({ data }: MessageEvent<PageMessage>) => {
        if (data.kind === "hello") clearTimeout(helloTimer);
        this.receive(data);
      };
      this.send = (message) => worker.port.postMessage(message);
      this.disconnect = () => {
        clearTimeout(helloTimer);
        worker.removeEventListener("error", failed);
        worker.port.postMessage({ kind: "leave" } satisfies HubMessage);
        worker.port.close();
      };
      this.sendState();
    } catch {
      this.useLocalHub();
    }
  }

  private useLocalHub(): void {
    if (this.local) return;
    this.local = true;
    this.disconnect();
    this.disconnect = () => undefined;
    this.send = new Hub().join((message) => queueMicrotask(() => this.receive(message)));
    this.sendState();
  }

  private receive(message: PageMessage): void {
    if (this.stopped) return;
    this.answered = true;
    if (message.kind === "hello") {
      // The page is connected to another hub. The state from the previous hub may be outdated.
      if (this.greeted) this.handle({ kind: "reset" });
      this.greeted = true;
    }
    if (message.kind === "batch") this.send({ kind: "ack" });
    this.handle(message);
  }

  /**
   * Checks that the worker still responds. If the system has ended the worker, the page connects to
   * a new one.
   */
  private ping(): void {
    if (this.local || this.stopped) return;
    if (!this.answered) {
      this.answered = true;
      this.connect();
      return;
    }
    this.answered = false;
    this.send({ kind: "ping" });
  }
}
