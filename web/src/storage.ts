// What the browser keeps for this page. Some are told to keep nothing, and then even asking is an error.

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
    // Then it is forgotten with the page.
  }
}
