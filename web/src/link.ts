// The page's end of the hub: in the shared worker where there is one, in the page itself where there is not.

import { Hub } from "./hub.ts";
import type { ToHub, ToPage } from "./messages.ts";

const HELLO_MS = 4_000;
const PING_MS = 20_000;

export class Link {
  private send: (message: ToHub) => void = () => undefined;
  private leave: () => void = () => undefined;
  private symbols: readonly string[] = [];
  private symbol = "";
  private answered = true;
  private local = false;
  private greeted = false;

  constructor(private readonly hear: (message: ToPage) => void) {
    this.connect();
    setInterval(() => this.ping(), PING_MS);
    addEventListener("pagehide", () => this.send({ kind: "leave" }));
    // Back from the browser's cache of pages: the hub was told goodbye, and what it has told since was not heard.
    addEventListener("pageshow", (event) => {
      if (!event.persisted) return;
      this.hear({ kind: "reset" });
      this.introduce();
    });
  }

  want(symbols: readonly string[]): void {
    this.symbols = symbols;
    this.send({ kind: "want", symbols });
  }

  focus(symbol: string): void {
    this.symbol = symbol;
    this.send({ kind: "focus", symbol });
  }

  private introduce(): void {
    this.send({ kind: "want", symbols: this.symbols });
    if (this.symbol) this.send({ kind: "focus", symbol: this.symbol });
  }

  private connect(): void {
    this.leave();
    if (typeof SharedWorker === "undefined") return this.alone();
    try {
      const worker = new SharedWorker(new URL("./worker.ts", import.meta.url), { type: "module", name: "tickcast" });
      const giveUp = setTimeout(() => this.alone(), HELLO_MS);
      const failed = (): void => {
        clearTimeout(giveUp);
        this.alone();
      };
      worker.addEventListener("error", failed);
      worker.port.onmessage = ({ data }: MessageEvent<ToPage>) => {
        if (data.kind === "hello") clearTimeout(giveUp);
        this.receive(data);
      };
      this.send = (message) => worker.port.postMessage(message);
      this.leave = () => {
        clearTimeout(giveUp);
        worker.removeEventListener("error", failed);
        worker.port.postMessage({ kind: "leave" } satisfies ToHub);
        worker.port.close();
      };
      this.introduce();
    } catch {
      this.alone();
    }
  }

  private alone(): void {
    if (this.local) return;
    this.local = true;
    this.leave();
    this.leave = () => undefined;
    this.send = new Hub().join((message) => queueMicrotask(() => this.receive(message)));
    this.introduce();
  }

  private receive(message: ToPage): void {
    this.answered = true;
    if (message.kind === "hello") {
      // Another hub than before: what the last one told may be of a server that is no more.
      if (this.greeted) this.hear({ kind: "reset" });
      this.greeted = true;
    }
    if (message.kind === "batch") this.send({ kind: "ack" });
    this.hear(message);
  }

  /** A worker may be ended by the system; the next page that asks for it gets a new one. */
  private ping(): void {
    if (this.local) return;
    if (!this.answered) {
      this.answered = true;
      this.connect();
      return;
    }
    this.answered = false;
    this.send({ kind: "ping" });
  }
}
