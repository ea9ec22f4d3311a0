// The search field: a combobox of the symbols on the market.

import { type ListedSymbol, searchSymbols } from "./market.ts";

const DEBOUNCE_MS = 120;
/** Maximum number of symbols in a request. The page ranks them. */
const MAX_CANDIDATES = 60;
const MAX_RESULTS = 12;

export interface Choices {
  has(symbol: string): boolean;
  /** Adds symbols or patterns. Returns the text for the note below the field. */
  choose(text: string): Promise<string>;
}

export function enableSearch(
  input: HTMLInputElement,
  list: HTMLUListElement,
  note: HTMLElement,
  choices: Choices,
): void {
  let results: readonly ListedSymbol[] = [];
  let active = -1;
  let timer = 0;
  let request: AbortController | null = null;

  const close = (): void => {
    clearTimeout(timer);
    request?.abort();
    results = [];
    active = -1;
    list.hidden = true;
    list.replaceChildren();
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const activate = (index: number): void => {
    active = index;
    [...list.children].forEach((item, at) => {
      item.setAttribute("aria-selected", String(at === active));
      if (at === active) item.scrollIntoView({ block: "nearest" });
    });
    if (active >= 0) input.setAttribute("aria-activedescendant", `found-${active}`);
    else input.removeAttribute("aria-activedescendant");
  };
  const show = (found: readonly ListedSymbol[]): void => {
    results = found;
    list.replaceChildren(
      ...found.map((each, index) => item(each, index, choices.has(each.symbol))),
    );
    list.hidden = found.length === 0;
    input.setAttribute("aria-expanded", String(found.length > 0));
    activate(-1);
  };
  const runQuery = async (): Promise<void> => {
    const query = input.value.trim();
    request?.abort();
    if (query === "" || /[\s,*]/.test(query)) {
      close();
      return;
    }
    request = new AbortController();
    const { signal } = request;
    try {
      const found = await searchSymbols(query, MAX_CANDIDATES, signal);
      if (!signal.aborted) show(ranked(found, query).slice(0, MAX_RESULTS));
    } catch {
      if (!signal.aborted) close();
    }
  };
  const choose = async (text: string): Promise<void> => {
    close();
    input.value = "";
    note.textContent = await choices.choose(text);
  };

  input.addEventListener("input", () => {
    note.textContent = "";
    clearTimeout(timer);
    timer = setTimeout(() => void runQuery(), DEBOUNCE_MS);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && results.length > 0) activate((active + 1) % results.length);
    else if (event.key === "ArrowUp" && results.length > 0)
      activate((active <= 0 ? results.length : active) - 1);
    else if (event.key === "Escape") {
      if (list.hidden) input.value = "";
      close();
    } else if (event.key === "Enter") {
      const typed = input.value.trim();
      // If the text is the full name of a symbol, select that symbol, or else the first symbol in
      // the list.
      const exact = results.find(({ symbol }) => symbol.toLowerCase() === typed.toLowerCase());
      const chosen = results[active] ?? exact ?? results[0];
      if (typed || chosen) void choose(chosen?.symbol ?? typed);
    } else return;
    event.preventDefault();
  });
  input.addEventListener("blur", close);
  // This event comes before the click removes the focus from the field and closes the list.
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    const index = [...list.children].indexOf((event.target as Element).closest("li")!);
    const found = results[index];
    if (found) void choose(found.symbol);
  });
  addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLInputElement;
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    input.focus();
  });
}

/** Sorts the symbols. Names that begin with the query come first. */
function ranked(found: readonly ListedSymbol[], query: string): ListedSymbol[] {
  const text = query.toLowerCase();
  const rank = ({ symbol }: ListedSymbol): number => {
    const name = symbol.toLowerCase();
    return name === text ? 0 : name.startsWith(text) ? 1 : 2;
  };
  return [...found].sort((a, b) => rank(a) - rank(b));
}

function item(
  { symbol, source, state }: ListedSymbol,
  index: number,
  onWatchlist: boolean,
): HTMLLIElement {
  const element = document.createElement("li");
  element.id = `found-${index}`;
  element.setAttribute("role", "option");
  element.setAttribute("aria-selected", "false");
  const name = document.createElement("b");
  name.textContent = symbol;
  const details = document.createElement("span");
  details.textContent = [
    source,
    state === "live" ? "" : state,
    onWatchlist ? "on the watchlist" : "",
  ]
    .filter(Boolean)
    .join(" · ");
  element.append(name, details);
  return element;
}
