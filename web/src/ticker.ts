// <tickcast-ticker symbols="AAPL,BTC*" theme="light|dark|auto" rate="2" server="https://…"
// token-url="/…">: live prices in any page.

import { signed } from "./decimal.ts";
import { delayText } from "./delay.ts";
import { direction, percentage, type Quote } from "./quote.ts";
import { STYLE } from "./ticker-style.ts";
import { MAX_SYMBOLS, parseRequest } from "./ticker-request.ts";
import { subscribe, type TickerListener } from "./ticker-stream.ts";

/**
 * The server of this script, which is the default server. The address is known only while the
 * script runs.
 */
const DEFAULT_SERVER = scriptFolder();
const FLASH_MS = 320;
/**
 * Minimum number of digits of a long number. A long number makes all cells wider, so that it fits
 * into one line.
 */
const LONG_NUMBER_CHARS = 16;

const sheet = new CSSStyleSheet();
sheet.replaceSync(STYLE);

class Ticker extends HTMLElement implements TickerListener {
  static readonly observedAttributes = ["symbols", "rate", "server", "token-url"];

  symbols: readonly string[] = [];
  /** The errors in the attributes. */
  private faults = "";
  /** A text if the server simulates prices. */
  private simulatedText = "";
  /** A text if the prices are delayed. */
  private delayedText = "";
  private readonly items = new Map<string, Item>();
  private readonly list = document.createElement("ul");
  private readonly note = document.createElement("p");
  private unsubscribe: (() => void) | null = null;
  private queued = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    this.note.setAttribute("role", "status");
    root.append(this.list, this.note);
  }

  connectedCallback(): void {
    this.start();
  }

  disconnectedCallback(): void {
    this.unsubscribe?.();
    this.unsubscribe = null;
  }

  attributeChangedCallback(_name: string, before: string | null, after: string | null): void {
    if (before === after || !this.isConnected || this.queued) return;
    // Pages usually set several attributes in a row.
    this.queued = true;
    queueMicrotask(() => {
      this.queued = false;
      if (this.isConnected) this.start();
    });
  }

  private start(): void {
    this.unsubscribe?.();
    this.unsubscribe = null;
    const { symbols, rate, faults } = parseRequest(
      this.getAttribute("symbols"),
      this.getAttribute("rate"),
    );
    this.symbols = symbols;
    this.faults = faults;
    this.simulatedText = "";
    this.delayedText = "";
    delete this.dataset["connection"];
    this.reset();
    this.showNote();
    if (symbols.length === 0) return;
    const server = (this.getAttribute("server") ?? DEFAULT_SERVER).replace(/\/+$/, "");
    this.unsubscribe = subscribe(server, rate, this.getAttribute("token-url") ?? "", this);
  }

  private showNote(): void {
    const state = this.dataset["connection"];
    const text = state === "lost" ? "Reconnecting…" : state === "connecting" ? "Connecting…" : "";
    const warnings = [this.delayedText, this.simulatedText, this.faults].filter(Boolean);
    this.note.textContent = [text, ...warnings].filter(Boolean).join(" · ");
    this.note.className = state === "lost" || warnings.length > 0 ? "lost" : "";
    this.list.setAttribute("aria-label", this.delayedText ? "Delayed prices" : "Live prices");
  }

  simulated(simulated: boolean): void {
    this.simulatedText = simulated ? "Simulated prices" : "";
    this.showNote();
  }

  delay(seconds: number): void {
    this.delayedText = delayText(seconds);
    this.showNote();
  }

  tick(tick: Quote): void {
    this.item(tick.symbol)?.show(tick);
  }

  state(symbol: string, state: string, reason: string): void {
    this.item(symbol)?.state(state, reason);
  }

  gone(symbol: string): void {
    this.items.get(symbol)?.remove();
  }

  reset(): void {
    this.items.clear();
    this.list.replaceChildren();
    this.list.hidden = true;
    for (const symbol of this.symbols) if (!symbol.includes("*")) this.item(symbol);
  }

  connection(state: "connecting" | "live" | "lost"): void {
    this.dataset["connection"] = state;
    this.showNote();
  }

  opened(): void {
    for (const item of this.items.values()) item.state("live", "");
  }

  /**
   * Returns the item of a symbol. Items have the order of the attribute; the matches of a pattern
   * have the order of arrival.
   */
  private item(symbol: string): Item | undefined {
    let item = this.items.get(symbol);
    if (item || this.items.size >= MAX_SYMBOLS) return item;
    item = new Item(symbol);
    this.items.set(symbol, item);
    this.list.append(item.element);
    this.list.hidden = false;
    return item;
  }
}

class Item {
  readonly element = document.createElement("li");
  private readonly price = span("price");
  private readonly change = span("change");
  private readonly status = span("state");
  private value = NaN;
  /** Whether the symbol was removed from the market. The next tick ends this state. */
  private removed = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(symbol: string) {
    const name = span("symbol");
    name.textContent = symbol;
    this.price.textContent = "—";
    this.element.append(line(name, this.price), line(this.status, this.change));
  }

  show(tick: Quote): void {
    this.price.textContent = tick.price;
    this.change.textContent = `${signed(tick.change)} ${percentage(tick.percent)}`;
    const way = direction(tick.change);
    this.element.dataset["way"] = way > 0 ? "up" : way < 0 ? "down" : "";
    this.element.classList.toggle(
      "long",
      Math.max(tick.price.length, tick.change.length) > LONG_NUMBER_CHARS,
    );
    if (this.removed) this.state("live", "");
    this.removed = false;
    if (tick.value !== this.value && !Number.isNaN(this.value))
      this.flash(tick.value > this.value ? "up" : "down");
    this.value = tick.value;
  }

  state(state: string, reason: string): void {
    if (state === "live") delete this.element.dataset["state"];
    else this.element.dataset["state"] = state;
    this.status.textContent = state === "live" ? "" : state;
    this.status.title = reason;
  }

  remove(): void {
    this.price.textContent = "—";
    this.change.textContent = "";
    this.value = NaN;
    this.removed = true;
    this.state("gone", "");
  }

  private flash(way: "up" | "down"): void {
    this.element.dataset["flash"] = way;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => delete this.element.dataset["flash"], FLASH_MS);
  }
}

function line(...parts: HTMLElement[]): HTMLDivElement {
  const element = document.createElement("div");
  element.append(...parts);
  return element;
}

function span(name: string): HTMLSpanElement {
  const element = document.createElement("span");
  element.className = name;
  return element;
}

/** Returns the folder of this script, because a server may be below a path. */
function scriptFolder(): string {
  const own = document.currentScript as HTMLScriptElement | null;
  // A module cannot access its own element, so this searches by name.
  const named = [...document.scripts].find(
    ({ src }) => src && new URL(src).pathname.endsWith("/tickcast.js"),
  );
  const source = own?.src || named?.src;
  return source ? new URL(".", source).href : location.origin;
}

if (!customElements.get("tickcast-ticker")) customElements.define("tickcast-ticker", Ticker);
