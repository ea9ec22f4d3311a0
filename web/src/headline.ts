// The head of the panel: the selected symbol, its newest quote in large, and whether that can be trusted.

import { serverNow } from "./clock.ts";
import { signed } from "./decimal.ts";
import { byId } from "./element.ts";
import { direction, percentage } from "./quote.ts";
import type { Entry } from "./quotes.ts";
import { age, mark } from "./row.ts";

const UNPRICED = "no price yet";

export class Headline {
  private readonly panel = byId("instrument");
  private entry: Entry | null = null;

  constructor() {
    setInterval(() => document.hidden || this.age(), 1_000);
  }

  show(entry: Entry | null): void {
    this.entry = entry;
    const quote = entry?.quote ?? null;
    const way = quote ? direction(quote.change) : 0;
    mark(this.panel, "way", way > 0 ? "up" : way < 0 ? "down" : "");
    put("name", entry?.symbol ?? "No symbol selected");
    put("big-price", quote?.price ?? "—");
    put("big-change", quote ? signed(quote.change) : "");
    put("big-percent", quote ? percentage(quote.percent) : "");
    put("big-basis", quote?.basis || (quote ? "day" : ""));
    put("big-bid", quote?.bid || "—");
    put("big-ask", quote?.ask || "—");
    this.standing();
    this.age();
  }

  /** The same words as in the symbol's row, and one for a symbol that has no price. */
  private standing(): void {
    const { quote = null, standing = null } = this.entry ?? {};
    const told = standing && standing.state !== "live" ? standing.state : "";
    const unpriced = this.entry && !quote && !told && document.body.dataset["connection"] === "live";
    mark(this.panel, "state", told || (unpriced ? "unknown" : ""));
    put("big-state", told || (unpriced ? UNPRICED : ""));
    byId("big-state").title = standing?.reason ?? "";
  }

  private age(): void {
    const quote = this.entry?.quote;
    put("big-age", quote ? age(serverNow() - quote.time) : "");
  }
}

function put(id: string, text: string): void {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}
