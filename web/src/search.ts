// The search box: a combobox over the symbols on the market.

import { type Listed, listed } from "./market.ts";

const WAIT_MS = 120;
const MOST = 12;

export interface Choices {
  has(symbol: string): boolean;
  /** Takes names or patterns; what it says is shown below the box. */
  choose(text: string): Promise<string>;
}

export function search(input: HTMLInputElement, list: HTMLUListElement, note: HTMLElement, choices: Choices): void {
  let shown: readonly Listed[] = [];
  let active = -1;
  let timer = 0;
  let asking: AbortController | null = null;

  const close = (): void => {
    clearTimeout(timer);
    asking?.abort();
    shown = [];
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
  const show = (found: readonly Listed[]): void => {
    shown = found;
    list.replaceChildren(...found.map((each, index) => item(each, index, choices.has(each.symbol))));
    list.hidden = found.length === 0;
    input.setAttribute("aria-expanded", String(found.length > 0));
    activate(-1);
  };
  const ask = async (): Promise<void> => {
    const query = input.value.trim();
    asking?.abort();
    if (query === "" || /[\s,*]/.test(query)) return close();
    asking = new AbortController();
    const { signal } = asking;
    try {
      const found = await listed(query, 60, signal);
      if (!signal.aborted) show(ranked(found, query).slice(0, MOST));
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
    timer = setTimeout(() => void ask(), WAIT_MS);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && shown.length > 0) activate((active + 1) % shown.length);
    else if (event.key === "ArrowUp" && shown.length > 0) activate((active <= 0 ? shown.length : active) - 1);
    else if (event.key === "Escape") {
      if (list.hidden) input.value = "";
      close();
    } else if (event.key === "Enter") {
      const typed = input.value.trim();
      // What is typed in full is meant, else the first that was found.
      const exact = shown.find(({ symbol }) => symbol.toLowerCase() === typed.toLowerCase());
      const chosen = shown[active] ?? exact ?? shown[0];
      if (typed || chosen) void choose(chosen?.symbol ?? typed);
    } else return;
    event.preventDefault();
  });
  input.addEventListener("blur", close);
  // Before the box loses the keyboard to the click, and the list closes.
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    const index = [...list.children].indexOf((event.target as Element).closest("li")!);
    const found = shown[index];
    if (found) void choose(found.symbol);
  });
  addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLInputElement;
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    input.focus();
  });
}

/** Names that begin with what was typed come first. */
function ranked(found: readonly Listed[], query: string): Listed[] {
  const text = query.toLowerCase();
  const rank = ({ symbol }: Listed): number => {
    const name = symbol.toLowerCase();
    return name === text ? 0 : name.startsWith(text) ? 1 : 2;
  };
  return [...found].sort((a, b) => rank(a) - rank(b));
}

function item({ symbol, source, state }: Listed, index: number, held: boolean): HTMLLIElement {
  const element = document.createElement("li");
  element.id = `found-${index}`;
  element.setAttribute("role", "option");
  element.setAttribute("aria-selected", "false");
  const name = document.createElement("b");
  name.textContent = symbol;
  const rest = document.createElement("span");
  rest.textContent = [source, state === "live" ? "" : state, held ? "on the list" : ""].filter(Boolean).join(" · ");
  element.append(name, rest);
  return element;
}
