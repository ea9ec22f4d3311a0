// Reorders rows by dragging their grip.

import type { Rows } from "./rows.ts";

const SCROLL_EDGE_PX = 40;

/**
 * Enables dragging. `drop` receives the symbol and the index in the current list before which the
 * symbol was dropped.
 */
export function enableDragging(
  rows: Rows,
  line: HTMLElement,
  drop: (symbol: string, index: number) => void,
): void {
  const { scroller } = rows;
  let symbol = "";
  let clientY = 0;
  let frame = 0;

  const follow = (): void => {
    const box = scroller.getBoundingClientRect();
    if (clientY < box.top + SCROLL_EDGE_PX) scroller.scrollTop -= 8;
    else if (clientY > box.bottom - SCROLL_EDGE_PX) scroller.scrollTop += 8;
    line.style.setProperty("transform", `translateY(${rows.offsetOf(rows.indexAt(clientY))}px)`);
    frame = requestAnimationFrame(follow);
  };
  const end = (dropped: boolean): void => {
    if (!symbol) return;
    cancelAnimationFrame(frame);
    line.hidden = true;
    scroller.classList.remove("dragging");
    const dragged = symbol;
    symbol = "";
    if (dropped) drop(dragged, rows.indexAt(clientY));
  };

  scroller.addEventListener("pointerdown", (event) => {
    const grip = (event.target as Element).closest(".grip");
    const row = grip?.closest<HTMLElement>("tr[data-symbol]");
    if (!row || event.button !== 0) return;
    event.preventDefault();
    symbol = row.dataset["symbol"]!;
    clientY = event.clientY;
    // The scroller captures the pointer, because a row may be removed while the list scrolls.
    scroller.setPointerCapture(event.pointerId);
    scroller.classList.add("dragging");
    line.hidden = false;
    frame = requestAnimationFrame(follow);
  });
  scroller.addEventListener("pointermove", (event) => {
    clientY = event.clientY;
  });
  scroller.addEventListener("pointerup", () => end(true));
  scroller.addEventListener("pointercancel", () => end(false));
  addEventListener("keydown", (event) => event.key === "Escape" && end(false));
}
