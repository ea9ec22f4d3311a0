// Streams that a website prepares for its own readers: the ticker asks the website, and the website
// asks the server with a token that never reaches the browser.

import { streamAddress } from "./stream-address.ts";

const TIMEOUT_MS = 10_000;

/**
 * Asks the website at `tokenUrl` to prepare a stream of these symbols. Returns the address of the
 * stream at `server`.
 */
export async function askWebsite(
  tokenUrl: string,
  server: string,
  symbols: readonly string[],
): Promise<string> {
  const answer = await fetch(new URL(tokenUrl, document.baseURI), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ symbols }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!answer.ok) throw new Error(`the website responded with status ${answer.status}`);
  const { url } = (await answer.json()) as { url?: unknown };
  if (typeof url !== "string" || url === "") throw new Error("the website named no stream");
  return streamAddress(server, url);
}
