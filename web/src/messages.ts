// What a page and the hub (in a worker that all tabs share, or in the page) say to each other.

import type { SymbolState } from "./quote.ts";

export interface Connection {
  readonly state: "connecting" | "live" | "lost";
  /** What to tell people beside the state: the server's words where it has some. */
  readonly detail: string;
  /** The server's name for the stream, while there is one. */
  readonly stream: string;
}

export interface SymbolStatus {
  readonly symbol: string;
  readonly state: SymbolState;
  readonly reason: string;
}

export interface SourceStatus {
  readonly source: string;
  readonly state: string;
  readonly reason: string;
  readonly since: number;
}

export type HubMessage =
  | { readonly kind: "subscribe"; readonly symbols: readonly string[] }
  | { readonly kind: "focus"; readonly symbol: string }
  /** A batch was taken: the next may come. */
  | { readonly kind: "ack" }
  | { readonly kind: "ping" }
  | { readonly kind: "leave" };

export type PageMessage =
  | { readonly kind: "hello" }
  | { readonly kind: "pong" }
  | { readonly kind: "connection"; readonly connection: Connection }
  | {
      readonly kind: "batch";
      /** The newest tick of each symbol that moved, as it came. */
      readonly ticks: readonly string[];
      /** Every tick of the symbol in focus. */
      readonly focusTicks: readonly string[];
      /** How many ticks came in since the last batch, merged ones included. */
      readonly count: number;
    }
  /** From here on the trail has every tick of this symbol. */
  | { readonly kind: "focused"; readonly symbol: string }
  /** A stream opened: what was known of states no longer holds. */
  | { readonly kind: "stream-opened" }
  /** It began: ticks may have been missed. */
  | { readonly kind: "stream-started" }
  /** What is held is no longer true. */
  | { readonly kind: "reset" }
  | { readonly kind: "gone"; readonly symbol: string }
  | { readonly kind: "symbol-status"; readonly status: SymbolStatus }
  | { readonly kind: "source-status"; readonly status: SourceStatus }
  | { readonly kind: "heartbeat"; readonly time: number; readonly at: number }
  | { readonly kind: "problem"; readonly text: string };
