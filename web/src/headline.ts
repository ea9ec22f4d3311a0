// The head of the panel: the selected symbol, its newest quote, and its status.

import { serverNow } from "./clock.ts";
import { signed } from "./decimal.ts";
import { byId } from "./element.ts";
import { direction, percentage } from "./quote.ts";
import type { Entry } from "./quotes.ts";
import { formatAge, setData } from "./row.ts";

const NO_PRICE_TEXT = "no price yet";

export class Headline {
  private readonly panel = byId("instrument");
  private entry: Entry | null = null;

  constructor() {
    setInterval(() => document.hidden || this.showAge(), 1_000);
  }

  show(entry: Entry | null): void {
    this.entry = entry;
    const quote = entry?.quote ?? null;
    const way = quote ? direction(quote.change) : 0;
    setData(this.panel, "way", way > 0 ? "up" : way < 0 ? "down" : "");
    setText("name", entry?.symbol ?? "No symbol selected");
    setText("big-price", quote?.price ?? "—");
    setText("big-change", quote ? signed(quote.change) : "");
    setText("big-percent", quote ? percentage(quote.percent) : "");
    setText("big-basis", quote?.basis || (quote ? "day" : ""));
    setText("big-bid", quote?.bid || "—");
    setText("big-ask", quote?.ask || "—");
    this.showStatus();
    this.showAge();
  }

  /**
   * Shows the same status as the symbol's row. A symbol without a price gets an additional text.
   */
  private showStatus(): void {
    const { quote = null, status = null } = this.entry ?? {};
    const state = status && status.state !== "live" ? status.state : "";
    const unpriced =
      this.entry && !quote && !state && document.body.dataset["connection"] === "live";
    setData(this.panel, "state", state || (unpriced ? "unknown" : ""));
    setText("big-state", state || (unpriced ? NO_PRICE_TEXT : ""));
    byId("big-state").title = status?.reason ?? "";
  }

  private showAge(): void {
    const quote = this.entry?.quote;
    setText("big-age", quote ? formatAge(serverNow() - quote.time) : "");
  }
}

function setText(id: string, text: string): void {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}
