// What the browser keeps for this page. Some are told to keep nothing, and then even asking is an error.

export function kept(key: string): string | null {
  try {
    return localStorage.getItem(`tickcast.${key}`);
  } catch {
    return null;
  }
}

export function keep(key: string, text: string): void {
  try {
    localStorage.setItem(`tickcast.${key}`, text);
  } catch {
    // Then it is forgotten with the page.
  }
}
