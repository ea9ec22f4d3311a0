// The page at /: puts watchlist, rows, chart and header together, and gives each what comes from the hub.

import "./dashboard.css";
import { sawHeartbeat } from "./clock.ts";
import { byId } from "./element.ts";
import { Instrument } from "./instrument.ts";
import { Link } from "./link.ts";
import { candles } from "./market.ts";
import type { ToPage } from "./messages.ts";
import { dragging } from "./order.ts";
import { quote } from "./quote.ts";
import { OFF, Quotes } from "./quotes.ts";
import { Rows } from "./rows.ts";
import { search } from "./search.ts";
import { StatusBar } from "./status.ts";
import { themeSwitch } from "./theme.ts";
import { MOST, Watchlist } from "./watchlist.ts";

const note = byId("note");
const quotes = new Quotes();
const table = byId("watchlist") as HTMLTableElement;
const rows = new Rows(table, byId("scroller"), byId("row") as HTMLTemplateElement, quotes);
const bar = new StatusBar();
const link = new Link(hear);
const instrument = new Instrument((symbol) => link.focus(symbol));
const watchlist = new Watchlist(listChanged);

function listChanged(): void {
  const { symbols } = watchlist;
  quotes.keep(new Set(symbols));
  for (const symbol of symbols) quotes.entry(symbol);
  link.want(symbols);
  rows.list(symbols);
  byId("count").textContent = String(symbols.length);
  byId("nothing").hidden = symbols.length > 0;
  if (!watchlist.has(instrument.symbol)) select(symbols[0] ?? "");
}

function select(symbol: string): void {
  instrument.show(symbol ? quotes.entry(symbol) : null);
  rows.select(symbol);
}

function hear(message: ToPage): void {
  switch (message.kind) {
    case "batch":
      return batch(message.ticks, message.trail, message.count);
    case "focused":
      return instrument.focused(message.symbol);
    case "connection":
      if (message.connection.state === "lost") instrument.lost();
      bar.connection(message.connection);
      return instrument.quote();
    case "opened":
      quotes.forgetStandings();
      instrument.quote();
      return rows.all();
    case "began":
      return instrument.began();
    case "reset":
      quotes.clear();
      rows.renew();
      instrument.show(instrument.symbol ? quotes.entry(instrument.symbol) : null);
      return instrument.reset();
    case "gone":
      return gone(message.symbol);
    case "standing":
      if (!watchlist.has(message.standing.symbol)) return;
      quotes.entry(message.standing.symbol).standing = message.standing;
      if (message.standing.symbol === instrument.symbol) instrument.quote();
      return rows.touch(message.standing.symbol);
    case "source":
      return bar.source(message.source);
    case "heartbeat":
      return sawHeartbeat(message.time, message.at);
    case "problem":
      note.textContent = message.text;
      return;
    case "hello":
    case "pong":
      return;
  }
}

function batch(ticks: readonly string[], trail: readonly string[], count: number): void {
  const now = performance.now();
  let newest = 0;
  for (const json of ticks) {
    const taken = quotes.take(json, now);
    if (!taken) continue;
    rows.touch(taken.entry.symbol);
    if (taken.first) rows.fill(taken.entry.symbol);
    if (taken.live) newest = Math.max(newest, taken.entry.quote!.time);
    if (taken.entry.symbol === instrument.symbol) instrument.quote();
  }
  for (const json of trail) instrument.take(quote(json));
  bar.ticks(count, newest);
}

function gone(symbol: string): void {
  if (!watchlist.has(symbol)) return;
  const entry = quotes.entry(symbol);
  entry.quote = null;
  entry.move = 0;
  entry.standing = OFF;
  rows.touch(symbol);
  if (symbol !== instrument.symbol) return;
  instrument.quote();
  instrument.reset();
}

// The rows in sight get what came before the page did, a few at a time.
const unfilled: string[] = [];
let filling = 0;
rows.onsight = (symbol) => {
  if (!quotes.entry(symbol).quote || quotes.entry(symbol).track.filled) return;
  quotes.entry(symbol).track.filled = true;
  unfilled.push(symbol);
  while (filling < 3 && unfilled.length > 0) void fill();
};

async function fill(): Promise<void> {
  filling += 1;
  for (let symbol = unfilled.shift(); symbol !== undefined; symbol = unfilled.shift()) {
    const entry = quotes.entry(symbol);
    try {
      entry.track.backfill(await candles(symbol, "1s", 300));
    } catch {
      entry.track.filled = false;
    }
  }
  filling -= 1;
}

function symbolAt(target: EventTarget | null): string {
  return (target as Element).closest<HTMLElement>("tr[data-symbol]")?.dataset["symbol"] ?? "";
}

function remove(symbol: string): void {
  const index = watchlist.symbols.indexOf(symbol);
  const keyboard = table.contains(document.activeElement);
  watchlist.remove(symbol);
  note.textContent = `${symbol} removed`;
  const next = watchlist.symbols[Math.min(index, watchlist.symbols.length - 1)];
  if (keyboard && next) rows.focus(next);
}

table.addEventListener("click", (event) => {
  const symbol = symbolAt(event.target);
  if (!symbol) return;
  if ((event.target as Element).closest("button.remove")) remove(symbol);
  else select(symbol);
});

table.addEventListener("keydown", (event) => {
  const symbol = symbolAt(event.target);
  const { symbols } = watchlist;
  const index = symbols.indexOf(symbol);
  if (index < 0) return;
  const to = { ArrowUp: index - 1, ArrowDown: index + 1, Home: 0, End: symbols.length - 1, PageUp: index - 15, PageDown: index + 15 }[event.key];
  if (to !== undefined) {
    const place = Math.max(0, Math.min(symbols.length - 1, to));
    if (event.altKey) {
      watchlist.move(symbol, place);
      note.textContent = `${symbol} is number ${place + 1} of ${symbols.length}`;
      rows.focus(symbol);
    } else {
      const next = symbols[place]!;
      select(next);
      rows.focus(next);
    }
  } else if (event.key === "Delete") remove(symbol);
  else return;
  event.preventDefault();
});

dragging(rows, byId("dropline"), (symbol, place) => {
  const index = watchlist.symbols.indexOf(symbol);
  watchlist.move(symbol, place > index ? place - 1 : place);
});

search(byId("search") as HTMLInputElement, byId("found") as HTMLUListElement, note, {
  has: (symbol) => watchlist.has(symbol),
  async choose(text) {
    try {
      const added = await watchlist.add(text);
      const symbol = added[0] ?? (watchlist.has(text) ? text : "");
      if (symbol) {
        select(symbol);
        rows.focus(symbol);
        byId("search").focus();
      }
      if (added.length > 0) return added.length === 1 ? `${symbol} added` : `${added.length} symbols added`;
      if (watchlist.symbols.length >= MOST) return `The list is full: ${MOST} symbols`;
      return symbol ? `${symbol} is on the list` : `Nothing found for ${text}`;
    } catch {
      return "The server does not answer";
    }
  },
});

themeSwitch(byId("theme") as HTMLButtonElement, () => {
  rows.paint();
  instrument.paint();
});

document.addEventListener("visibilitychange", () => document.hidden || rows.all());

// Begins as soon as there is a server to ask, and something on its market.
(async function begin(): Promise<void> {
  for (let wait = 500; ; wait = Math.min(wait * 2, 10_000)) {
    try {
      if (await watchlist.restore()) return;
    } catch {
      bar.connection({ state: "lost", detail: "no answer", stream: "" });
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
})();
