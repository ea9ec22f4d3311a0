// The style of the ticker. Pages can set the --tickcast-… properties on the element.

export const STYLE = `
:host { display: block; color-scheme: light dark; font: 13px/1.4 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", sans-serif; font-variant-numeric: tabular-nums; color: var(--tickcast-text, light-dark(#16202c, #dde3ea)); }
:host([hidden]) { display: none; }
ul[hidden] { display: none !important; }
:host([theme="light"]) { color-scheme: light; }
:host([theme="dark"]) { color-scheme: dark; }
ul { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 164px), 1fr)); margin: 0; padding: 0; list-style: none; border: 1px solid var(--tickcast-line, light-dark(#dfe4ea, #232b36)); border-radius: 5px; background: var(--tickcast-panel, light-dark(#ffffff, #10141a)); overflow: hidden; }
li { padding: 7px 12px; margin: 0 -1px -1px 0; border: solid var(--tickcast-line, light-dark(#dfe4ea, #232b36)); border-width: 0 1px 1px 0; min-width: 0; }
ul:has(.long) { grid-template-columns: repeat(auto-fit, minmax(min(100%, 34ch + 26px), 1fr)); }
div { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 10px; }
.symbol { max-width: 100%; font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.price { text-align: right; font-weight: 600; }
.price, .change { margin-left: auto; min-width: 0; overflow-wrap: anywhere; direction: ltr; unicode-bidi: isolate; }
.state { color: var(--tickcast-muted, light-dark(#566270, #8f9bab)); font-size: 12px; }
.change { text-align: right; font-size: 12px; color: var(--tickcast-muted, light-dark(#566270, #8f9bab)); }
li[data-way="up"] .change { color: var(--tickcast-up, light-dark(#09704c, #3fbf8f)); }
li[data-way="down"] .change { color: var(--tickcast-down, light-dark(#bb2236, #f4707c)); }
li[data-way="up"] .change::before { content: "▲ " / ""; font-size: 0.75em; }
li[data-way="down"] .change::before { content: "▼ " / ""; font-size: 0.75em; }
li[data-state] .price, li[data-state] .change, :host([data-connection="lost"]) .price, :host([data-connection="lost"]) .change { color: var(--tickcast-muted, light-dark(#566270, #8f9bab)); font-weight: 400; font-style: italic; }
li[data-state] .state { color: var(--tickcast-warn, light-dark(#855300, #e6b450)); font-weight: 600; }
.price { transition: background-color 0.4s; border-radius: 2px; }
li[data-flash] .price { transition: none; }
li[data-flash="up"] .price { background: var(--tickcast-flash-up, light-dark(#c9eeda, #123c2d)); }
li[data-flash="down"] .price { background: var(--tickcast-flash-down, light-dark(#fbd5d8, #451b22)); }
p { margin: 4px 2px 0; font-size: 12px; color: var(--tickcast-muted, light-dark(#566270, #8f9bab)); }
p.lost { color: var(--tickcast-warn, light-dark(#855300, #e6b450)); font-weight: 600; }
p:empty { display: none; }
@media (prefers-reduced-motion: reduce) { .price { transition: none; } }
`;
