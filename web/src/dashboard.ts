// The page at /: connects watchlist, rows, chart and header, and passes the messages of the hub to
// them.

import "./dashboard.css";
import { observeHeartbeat, setDelay } from "./clock.ts";
import { delayText } from "./delay.ts";
import { byId } from "./element.ts";
import { Instrument } from "./instrument.ts";
import { HubClient } from "./hub-client.ts";
import { fetchCandles } from "./market.ts";
import type { PageMessage } from "./messages.ts";
import { enableDragging } from "./order.ts";
import { parseQuote } from "./quote.ts";
import { Quotes, REMOVED_STATUS } from "./quotes.ts";
import { Rows } from "./rows.ts";
import { enableSearch } from "./search.ts";
import * as session from "./session.ts";
import { enableSignIn } from "./sign-in.ts";
import { StatusBar } from "./status.ts";
import { enableThemeSwitch } from "./theme.ts";
import { MAX_SYMBOLS, Watchlist } from "./watchlist.ts";

const note = byId("note");
const quotes = new Quotes();
const table = byId("watchlist") as HTMLTableElement;
const rows = new Rows(table, byId("scroller"), byId("row") as HTMLTemplateElement, quotes);
const statusBar = new StatusBar(showDelay);
const hubClient = new HubClient(handle);
const instrument = new Instrument((symbol) => hubClient.focus(symbol));
const watchlist = new Watchlist(listChanged);
enableSignIn(endSession);

function listChanged(): void {
  const { symbols } = watchlist;
  quotes.retain(new Set(symbols));
  for (const symbol of symbols) quotes.entry(symbol);
  hubClient.subscribe(symbols);
  rows.setSymbols(symbols);
  byId("count").textContent = String(symbols.length);
  byId("nothing").hidden = symbols.length > 0;
  if (!watchlist.has(instrument.symbol)) select(symbols[0] ?? "");
}

function select(symbol: string): void {
  instrument.show(symbol ? quotes.entry(symbol) : null);
  rows.select(symbol);
}

/** Removes all prices and leaves the hub. The page shows the sign-in form instead. */
function endSession(): void {
  hubClient.stop();
  instrument.connectionLost();
  quotes.clear();
  rows.rebuild();
  statusBar.end();
  select("");
}

function showDelay(seconds: number): void {
  setDelay(seconds);
  statusBar.delay(seconds);
  instrument.delay(delayText(seconds));
}

function handle(message: PageMessage): void {
  switch (message.kind) {
    case "batch":
      return applyBatch(message.ticks, message.focusTicks, message.count);
    case "focused":
      return instrument.focused(message.symbol);
    case "connection":
      if (message.connection.state === "lost") instrument.connectionLost();
      statusBar.connection(message.connection);
      return instrument.update();
    case "stream-opened":
      quotes.clearStatuses();
      instrument.update();
      return rows.invalidateAll();
    case "stream-started":
      return instrument.streamStarted();
    case "reset":
      quotes.clear();
      rows.rebuild();
      instrument.show(instrument.symbol ? quotes.entry(instrument.symbol) : null);
      return instrument.reset();
    case "gone":
      return removeFromMarket(message.symbol);
    case "symbol-status":
      if (!watchlist.has(message.status.symbol)) return;
      quotes.entry(message.status.symbol).status = message.status;
      if (message.status.symbol === instrument.symbol) instrument.update();
      return rows.invalidate(message.status.symbol);
    case "source-status":
      return statusBar.sourceStatus(message.status);
    case "heartbeat":
      return observeHeartbeat(message.time, message.at);
    case "delay":
      return showDelay(message.seconds);
    case "refused":
      if (message.reason === "") return statusBar.requestStatus();
      return session.end(message.reason);
    case "problem":
      note.textContent = message.text;
      return;
    case "hello":
    case "pong":
      return;
  }
}

function applyBatch(ticks: readonly string[], focusTicks: readonly string[], count: number): void {
  const now = performance.now();
  let newest = 0;
  for (const json of ticks) {
    const update = quotes.update(json, now);
    if (!update) continue;
    rows.invalidate(update.entry.symbol);
    if (update.isFirst) rows.requestHistory(update.entry.symbol);
    if (update.isNew) newest = Math.max(newest, update.entry.quote!.time);
    if (update.entry.symbol === instrument.symbol) instrument.update();
  }
  for (const json of focusTicks) instrument.addTick(parseQuote(json));
  statusBar.addTicks(count, newest);
}

function removeFromMarket(symbol: string): void {
  if (!watchlist.has(symbol)) return;
  const entry = quotes.entry(symbol);
  entry.quote = null;
  entry.move = 0;
  entry.status = REMOVED_STATUS;
  rows.invalidate(symbol);
  if (symbol !== instrument.symbol) return;
  instrument.update();
  instrument.reset();
}

/** Maximum number of simultaneous requests for the history of visible rows. */
const MAX_HISTORY_REQUESTS = 3;
const historyQueue: string[] = [];
let activeFetches = 0;
rows.onRowVisible = (symbol) => {
  if (!quotes.entry(symbol).quote || quotes.entry(symbol).track.filled) return;
  quotes.entry(symbol).track.filled = true;
  historyQueue.push(symbol);
  while (activeFetches < MAX_HISTORY_REQUESTS && historyQueue.length > 0) void fetchHistory();
};

async function fetchHistory(): Promise<void> {
  activeFetches += 1;
  for (let symbol = historyQueue.shift(); symbol !== undefined; symbol = historyQueue.shift()) {
    const entry = quotes.entry(symbol);
    try {
      entry.track.backfill(await fetchCandles(symbol, "1s", 300));
    } catch {
      entry.track.filled = false;
    }
  }
  activeFetches -= 1;
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
  const to = {
    ArrowUp: index - 1,
    ArrowDown: index + 1,
    Home: 0,
    End: symbols.length - 1,
    PageUp: index - 15,
    PageDown: index + 15,
  }[event.key];
  if (to !== undefined) {
    const target = Math.max(0, Math.min(symbols.length - 1, to));
    if (event.altKey) {
      watchlist.move(symbol, target);
      note.textContent = `${symbol} moved to position ${target + 1} of ${symbols.length}`;
      rows.focus(symbol);
    } else {
      const next = symbols[target]!;
      select(next);
      rows.focus(next);
    }
  } else if (event.key === "Delete") remove(symbol);
  else return;
  event.preventDefault();
});

enableDragging(rows, byId("dropline"), (symbol, target) => {
  const index = watchlist.symbols.indexOf(symbol);
  watchlist.move(symbol, target > index ? target - 1 : target);
});

enableSearch(byId("search") as HTMLInputElement, byId("found") as HTMLUListElement, note, {
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
      if (added.length > 0)
        return added.length === 1 ? `${symbol} added` : `${added.length} symbols added`;
      if (watchlist.symbols.length >= MAX_SYMBOLS)
        return `The watchlist is full (maximum ${MAX_SYMBOLS} symbols)`;
      return symbol ? `${symbol} is already on the watchlist` : `No symbol found for ${text}`;
    } catch {
      return "The server does not respond";
    }
  },
});

enableThemeSwitch(byId("theme") as HTMLButtonElement, () => {
  rows.applyTheme();
  instrument.applyTheme();
});

document.addEventListener("visibilitychange", () => document.hidden || rows.invalidateAll());

/** Restores the watchlist as soon as the server responds and has symbols. */
async function start(): Promise<void> {
  for (let delay = 500; ; delay = Math.min(delay * 2, 10_000)) {
    try {
      if (await watchlist.restore()) return;
    } catch {
      if (session.hasEnded()) return;
      statusBar.connection({ state: "lost", detail: "no response", stream: "" });
    }
    await new Promise((resolve) => setTimeout(resolve, delay));
  }
}

void start();
