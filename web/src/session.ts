// The reader's token of this tab. A server may want one from everyone who reads prices.
//
// The token is kept for the session of the tab only, and is sent in a header only: an address ends
// up in logs and in the history.

import { basePath, routeUrl } from "./base.ts";

const STORAGE_KEY = `tickcast${basePath === "/" ? "" : basePath}.token`;
/** The characters that a header may contain. Other text cannot be a token. */
const TOKEN_PATTERN = /^[\x21-\x7e]+$/;

let current = stored();
let ended = false;

function stored(): string {
  try {
    return sessionStorage.getItem(STORAGE_KEY) ?? "";
  } catch {
    return "";
  }
}

/** The token, or an empty string if this tab sends none. */
export function token(): string {
  return current;
}

/** Returns the headers of a request to the server. Without a token, these are none. */
export function authorization(own = current): Record<string, string> {
  return own === "" ? {} : { Authorization: `Bearer ${own}` };
}

/** Called once when the server refuses this tab, with the server's reason if it gave one. */
let onEnd: (reason: string) => void = () => undefined;

export function whenEnded(handle: (reason: string) => void): void {
  onEnd = handle;
}

/** Whether the server has refused this tab. The tab then sends no request until it signs in. */
export function hasEnded(): boolean {
  return ended;
}

/** Ends the session, because the server has refused the token or wants one. */
export function end(reason: string): void {
  if (ended) return;
  ended = true;
  // Without a token, the server's reason is only that it wants one, which the form says anyway.
  const why = current === "" ? "" : reason;
  forget();
  onEnd(why);
}

/** Forgets the token. */
export function forget(): void {
  current = "";
  try {
    sessionStorage.removeItem(STORAGE_KEY);
  } catch {
    // Then nothing was stored.
  }
}

/**
 * Tries a token and keeps it unless the server refuses it. Returns the reason of a refusal, or an
 * empty string.
 */
export async function signIn(text: string): Promise<string> {
  const entered = tokenOf(text);
  if (!TOKEN_PATTERN.test(entered)) return "This is not a token";
  try {
    const refusal = await refusalOf(entered);
    if (refusal !== "") return refusal;
  } catch {
    return "The server does not respond";
  }
  try {
    sessionStorage.setItem(STORAGE_KEY, entered);
  } catch {
    return "The browser does not allow this page to keep the token for the session";
  }
  return "";
}

/** Returns whether the server lets this tab read without a token, for example with a cookie. */
export async function isWelcome(): Promise<boolean> {
  try {
    return (await refusalOf("")) === "";
  } catch {
    return false;
  }
}

async function refusalOf(own: string): Promise<string> {
  const answer = await fetch(routeUrl("v1/status"), { headers: authorization(own) });
  return answer.status === 401 || answer.status === 403 ? detail(answer) : "";
}

/** Returns the token in a text. People also copy the whole header. */
export function tokenOf(text: string): string {
  return text.trim().replace(/^(authorization:\s*)?bearer(\s+|$)/i, "");
}

/** Returns the server's reason in an answer that is an error. */
export async function detail(answer: Response): Promise<string> {
  try {
    return ((await answer.json()) as { detail: string }).detail;
  } catch {
    return `the server responded with status ${answer.status}`;
  }
}

/**
 * Returns the name of the worker of a token, so that only tabs with the same token share one. The
 * name is a hash, because a name is visible to other scripts. Returns `null` if the browser cannot
 * compute it: outside of HTTPS and localhost.
 */
export async function workerName(own: string): Promise<string | null> {
  // The type says that this always exists.
  const subtle = (globalThis.crypto as Crypto | undefined)?.subtle;
  if (!subtle) return null;
  const digest = await subtle.digest("SHA-256", new TextEncoder().encode(own));
  const hex = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0"));
  return `tickcast-${hex.join("")}`;
}
