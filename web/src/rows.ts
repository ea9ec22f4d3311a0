// The table of the watchlist. Only visible rows exist. All changes are shown once per frame.

import { marketNow, serverNow } from "./clock.ts";
import { COLUMNS } from "./columns.ts";
import { Measures } from "./measures.ts";
import type { Quotes } from "./quotes.ts";
import { type Layout, Row } from "./row.ts";
import { colour } from "./theme.ts";

/** Number of rows outside of the visible area, so that scrolling shows no gaps. */
const MARGIN_ROWS = 6;
/** Maximum width of a scroll bar. */
const SCROLLBAR_PX = 12;
const SPARKLINE_INTERVAL_MS = 500;
/** Maximum number of sparklines per frame. The next frame draws the others. */
const MAX_SPARKLINES_PER_FRAME = 12;

export class Rows {
  private readonly rows = new Map<string, Row>();
  private readonly body: HTMLTableSectionElement;
  private readonly above: HTMLTableRowElement;
  private readonly below: HTMLTableRowElement;
  private readonly dirty = new Set<string>();
  private symbols: readonly string[] = [];
  private selected = "";
  private rowHeight = 28;
  private first = 0;
  private end = 0;
  private frame = 0;
  private windowChanged = true;
  private size = true;
  private readonly measures: Measures;
  private columns: Layout = { room: () => Infinity, text: () => 0, arrow: 0, widths: new Map() };
  private colours = { up: "", down: "", flat: "" };
  /** Called when a row is created or receives its first price, to load its history. */
  onRowVisible: (symbol: string) => void = () => undefined;

  constructor(
    private readonly table: HTMLTableElement,
    readonly scroller: HTMLElement,
    private readonly template: HTMLTemplateElement,
    private readonly quotes: Quotes,
  ) {
    this.body = table.tBodies[0]!;
    this.measures = new Measures(table);
    this.above = spacer();
    this.below = spacer();
    this.body.append(this.above, this.below);
    scroller.addEventListener("scroll", () => this.layout(), { passive: true });
    new ResizeObserver(() => this.resize()).observe(scroller);
    setInterval(() => this.everySecond(), 1_000);
    setInterval(() => this.render(), SPARKLINE_INTERVAL_MS);
  }

  setSymbols(symbols: readonly string[]): void {
    this.symbols = symbols;
    this.measures.clear();
    this.measure();
    this.table.setAttribute("aria-rowcount", String(symbols.length + 1));
    this.layout();
  }

  select(symbol: string): void {
    this.selected = symbol;
    this.layout();
  }

  /** Marks the row of this symbol for an update. */
  invalidate(symbol: string): void {
    this.dirty.add(symbol);
    this.render();
  }

  /** Requests the history of a symbol after its first price, if its row is visible. */
  requestHistory(symbol: string): void {
    if (this.rows.has(symbol)) this.onRowVisible(symbol);
  }

  invalidateAll(): void {
    for (const symbol of this.rows.keys()) this.dirty.add(symbol);
    this.render();
  }

  /** Creates all rows again, because a reset has replaced their entries. */
  rebuild(): void {
    for (const row of this.rows.values()) row.element.remove();
    this.rows.clear();
    this.layout();
  }

  applyTheme(): void {
    this.colours = { up: colour("up"), down: colour("down"), flat: colour("muted") };
    for (const row of this.rows.values()) row.drawnAt = 0;
    this.layout();
  }

  /** Scrolls to a row and focuses it. */
  focus(symbol: string): void {
    const index = this.symbols.indexOf(symbol);
    if (index < 0) return;
    const head = this.table.tHead!.offsetHeight;
    const top = index * this.rowHeight;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top + this.rowHeight + head > this.scroller.scrollTop + this.scroller.clientHeight) {
      this.scroller.scrollTop = top + this.rowHeight + head - this.scroller.clientHeight;
    }
    this.windowChanged = true;
    this.draw(performance.now());
    this.rows.get(symbol)?.button.focus({ preventScroll: true });
  }

  /** Returns the index in the list before which a point of the screen lies. */
  indexAt(clientY: number): number {
    const top = this.scroller.getBoundingClientRect().top + this.table.tHead!.offsetHeight;
    return Math.max(
      0,
      Math.min(
        this.symbols.length,
        Math.round((clientY - top + this.scroller.scrollTop) / this.rowHeight),
      ),
    );
  }

  /** Returns the position of this index, relative to the top of the scroller. */
  offsetOf(index: number): number {
    return index * this.rowHeight + this.table.tHead!.offsetHeight - this.scroller.scrollTop;
  }

  private layout(): void {
    this.windowChanged = true;
    this.render();
  }

  private render(): void {
    if (this.frame || document.hidden) return;
    this.frame = requestAnimationFrame((now) => {
      this.frame = 0;
      this.draw(now);
    });
  }

  private everySecond(): void {
    if (document.hidden) return;
    const now = serverNow();
    for (const row of this.rows.values()) row.updateAge(now);
    const size = ![...this.quotes.values()].some(({ quote }) => quote?.volume);
    if (size !== this.size) {
      this.size = size;
      this.rebuild();
    }
    this.measure();
    const label = this.size ? "Last size" : "Volume";
    const head = this.table.tHead!.querySelector("th.volume")!;
    if (head.textContent !== label) head.textContent = label;
  }

  /** Measures all texts. Columns become narrower only with another list. */
  private measure(): void {
    let grown = this.columns.widths.size === 0;
    for (const entry of this.quotes.values()) if (this.measures.add(entry, this.size)) grown = true;
    if (grown) this.fit();
  }

  private resize(): void {
    if (this.measures.fontChanged()) this.measure();
    this.fit();
    this.layout();
  }

  /** Sets the widths of the columns, and leaves out columns if the width is too small. */
  private fit(): void {
    const { widths, tight, preferred, core } = this.measures.fit(this.scroller.clientWidth);
    const { measures } = this;
    this.columns = {
      widths,
      arrow: measures.arrow,
      text: (column, text) => measures.text(column, text),
      room: (column) => measures.room(column, widths.get(column) ?? 0, tight),
    };
    this.table.dataset["without"] = COLUMNS.filter((column) => !widths.has(column)).join(" ");
    this.table.classList.toggle("tight", tight);
    for (const column of COLUMNS) {
      this.table
        .querySelector<HTMLElement>(`col.${column}`)!
        .style.setProperty("width", `${widths.get(column) ?? 0}px`);
    }
    // The layout of the page gives the list this width, within limits.
    const { style } = document.documentElement;
    style.setProperty("--list", `${Math.ceil(preferred) + SCROLLBAR_PX}px`);
    style.setProperty("--list-core", `${Math.ceil(core) + SCROLLBAR_PX}px`);
    for (const row of this.rows.values()) row.refit();
    this.invalidateAll();
  }

  private draw(now: number): void {
    if (this.windowChanged) this.updateWindow();
    let needsRender = false;
    const visible = [...this.dirty].flatMap((symbol) => this.rows.get(symbol) ?? []);
    if (visible.filter(({ entry }) => this.measures.add(entry, this.size)).length > 0) this.fit();
    for (const row of visible) row.update(this.size, this.columns, now);
    this.dirty.clear();
    let sparklines = 0;
    for (const row of this.rows.values()) {
      if (row.element.dataset["flash"] && row.flash(now)) needsRender = true;
      if (now - row.drawnAt < SPARKLINE_INTERVAL_MS) continue;
      if (sparklines === MAX_SPARKLINES_PER_FRAME) needsRender = true;
      else {
        sparklines += 1;
        row.drawnAt = now;
        row.entry.track.draw(row.canvas, this.colours, marketNow());
      }
    }
    if (needsRender) this.render();
  }

  /** Creates the visible rows in order, and keeps existing rows. */
  private updateWindow(): void {
    this.windowChanged = false;
    const { scrollTop, clientHeight } = this.scroller;
    this.rowHeight =
      parseFloat(getComputedStyle(this.table).getPropertyValue("--row")) || this.rowHeight;
    this.first = Math.max(0, Math.floor(scrollTop / this.rowHeight) - MARGIN_ROWS);
    this.end = Math.min(
      this.symbols.length,
      Math.ceil((scrollTop + clientHeight) / this.rowHeight) + MARGIN_ROWS,
    );
    const visible = this.symbols.slice(this.first, this.end);
    const visibleSymbols = new Set(visible);
    const focused = document.activeElement;
    for (const [symbol, row] of this.rows) {
      if (visibleSymbols.has(symbol)) continue;
      row.element.remove();
      this.rows.delete(symbol);
    }
    const reachable = visibleSymbols.has(this.selected) ? this.selected : visible[0];
    let at: ChildNode | null = this.above.nextSibling;
    visible.forEach((symbol, index) => {
      const row = this.rows.get(symbol) ?? this.create(symbol);
      if (row.element === at) at = at.nextSibling;
      else this.body.insertBefore(row.element, at);
      row.element.setAttribute("aria-rowindex", String(this.first + index + 2));
      row.element.classList.toggle("selected", symbol === this.selected);
      if (symbol === this.selected) row.button.setAttribute("aria-current", "true");
      else row.button.removeAttribute("aria-current");
      row.button.tabIndex = row.remove.tabIndex = symbol === reachable ? 0 : -1;
    });
    setHeight(this.above, this.first * this.rowHeight);
    setHeight(this.below, (this.symbols.length - this.end) * this.rowHeight);
    // A row loses the focus when the row moves in the document.
    if (focused instanceof HTMLElement && focused.isConnected && this.body.contains(focused))
      focused.focus({ preventScroll: true });
  }

  private create(symbol: string): Row {
    const row = new Row(this.template, this.quotes.entry(symbol));
    this.rows.set(symbol, row);
    row.update(this.size, this.columns, performance.now());
    row.updateAge(serverNow());
    this.onRowVisible(symbol);
    return row;
  }
}

function spacer(): HTMLTableRowElement {
  const row = document.createElement("tr");
  row.className = "spacer";
  row.setAttribute("aria-hidden", "true");
  row.append(document.createElement("td"));
  return row;
}

function setHeight(row: HTMLTableRowElement, height: number): void {
  row.cells[0]!.style.setProperty("height", `${height}px`);
  row.hidden = height === 0;
}
