// Prepared streams: a request with the token names the symbols, and the stream is then read under
// the name in the answer. EventSource itself can send no header.

import { routeUrl } from "./base.ts";
import { HEARTBEAT_INTERVAL_S } from "./event-stream.ts";
import { authorization, detail } from "./session.ts";
import { streamAddress } from "./stream-address.ts";

const TIMEOUT_MS = 10_000;

/** The server refused to prepare a stream. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    reason: string,
    /** Minimum delay of the next attempt, as the server asks for. */
    readonly retryAfterMs: number,
  ) {
    super(reason);
  }
}

/** Prepares a stream. Returns its address. */
export async function prepare(
  token: string,
  symbols: readonly string[],
  more: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const answer = await fetch(routeUrl("v1/streams"), {
    method: "POST",
    headers: { ...authorization(token), "Content-Type": "application/json" },
    body: JSON.stringify({ symbols, mode: "latest", heartbeat: HEARTBEAT_INTERVAL_S, ...more }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!answer.ok) {
    const seconds = Number(answer.headers.get("retry-after") ?? 0);
    throw new Refusal(answer.status, await detail(answer), (seconds || 0) * 1_000);
  }
  const { url } = (await answer.json()) as { url: string };
  return streamAddress(routeUrl("."), url);
}

/**
 * Returns the cursor for a stream that may have other symbols. The filter of the last stream is
 * part of such a cursor, so that the server notices.
 */
export function cursorFor(cursor: string, filter: string): string {
  return cursor === "" || filter === "" || cursor.split(".").length > 2
    ? cursor
    : `${cursor}.${filter}`;
}

/** Returns the symbols that the server's reason names as not allowed. It names ten at most. */
export function forbiddenSymbols(reason: string): string[] {
  const names = /^you may not read (.+?)(?: and \d+ more)?$/.exec(reason)?.[1];
  return names?.split(", ") ?? [];
}
