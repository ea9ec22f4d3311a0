// What the browser keeps for this page. Some are told to keep nothing, and then even asking is an error.

import { place } from "./base.ts";

const named = (key: string): string => `tickcast${place === "/" ? "" : place}.${key}`;

export function kept(key: string): string | null {
  try {
    return localStorage.getItem(named(key));
  } catch {
    return null;
  }
}

export function keep(key: string, text: string): void {
  try {
    localStorage.setItem(named(key), text);
  } catch {
    // Then it is forgotten with the page.
  }
}
