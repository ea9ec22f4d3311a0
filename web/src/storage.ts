// The browser's storage for this page. If the user has disabled storage, even reading throws an
// error.

import { basePath } from "./base.ts";

const storageKey = (key: string): string => `tickcast${basePath === "/" ? "" : basePath}.${key}`;

export function get(key: string): string | null {
  try {
    return localStorage.getItem(storageKey(key));
  } catch {
    return null;
  }
}

export function set(key: string, text: string): void {
  try {
    localStorage.setItem(storageKey(key), text);
  } catch {
    // Without storage, the value is lost when the page closes.
  }
}
