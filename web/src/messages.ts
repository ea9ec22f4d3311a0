// The messages between a page and the hub. The hub runs in a worker that all tabs share, or in the
// page.

import type { SymbolState } from "./quote.ts";

export interface Connection {
  readonly state: "connecting" | "live" | "lost";
  /** The text to show beside the state. If the server gave a reason, the text is that reason. */
  readonly detail: string;
  /** The server's name of the stream, or an empty string without a stream. */
  readonly stream: string;
}

/** The status of a symbol, as in the server's `status` event. */
export interface SymbolStatus {
  readonly symbol: string;
  readonly state: SymbolState;
  readonly reason: string;
}

/** The status of a source, as in the server's `status` event. */
export interface SourceStatus {
  readonly source: string;
  readonly state: string;
  readonly reason: string;
  readonly since: number;
}

/** A message from a page to the hub. */
export type HubMessage =
  /** The first message of a signed-in page. Other pages send none. */
  | { readonly kind: "token"; readonly token: string }
  | { readonly kind: "subscribe"; readonly symbols: readonly string[] }
  | { readonly kind: "focus"; readonly symbol: string }
  /** The page has processed a batch and can receive the next one. */
  | { readonly kind: "ack" }
  | { readonly kind: "ping" }
  | { readonly kind: "leave" };

/** A message from the hub to a page. */
export type PageMessage =
  | { readonly kind: "hello" }
  | { readonly kind: "pong" }
  | { readonly kind: "connection"; readonly connection: Connection }
  | {
      readonly kind: "batch";
      /** The newest tick of each changed symbol, as received. */
      readonly ticks: readonly string[];
      /** Every tick of the focus symbol. */
      readonly focusTicks: readonly string[];
      /** Number of received ticks since the last batch, including merged ticks. */
      readonly count: number;
    }
  /** From this message on, batches contain every tick of this symbol. */
  | { readonly kind: "focused"; readonly symbol: string }
  /** A stream was opened. All earlier statuses are invalid. */
  | { readonly kind: "stream-opened" }
  /** The stream has started. Ticks may have been missed. */
  | { readonly kind: "stream-started" }
  /** All earlier prices and statuses are invalid. */
  | { readonly kind: "reset" }
  | { readonly kind: "gone"; readonly symbol: string }
  | { readonly kind: "symbol-status"; readonly status: SymbolStatus }
  | { readonly kind: "source-status"; readonly status: SourceStatus }
  | { readonly kind: "heartbeat"; readonly time: number; readonly at: number }
  /** The prices are as they were so many seconds ago. */
  | { readonly kind: "delay"; readonly seconds: number }
  /**
   * The server refuses the token, for this reason. Without a token and a reason: the server may
   * want one.
   */
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "problem"; readonly text: string };
