// The live page: one EventSource in, one table out. Symbols and reasons come from outside, so text is only ever set as text.

const STATUS_EVERY = 5000; // ms between looks at /v1/status
const PRUNE_EVERY = 30000; // ms between looks for symbols that were taken off
const RETRY = 3000; // ms before a stream that the browser gave up on is opened again
const SILENCE = 10000; // ms without a tick, while the server cannot be asked, that mean the connection is dead
const FLASH = 700; // ms a price glows, and the least time between two glows of one row

const $ = (id) => document.getElementById(id);
// Relative, so that the page also works under a path of somebody's proxy.
const base = new URL(".", location.href).href;
const at = (path) => new URL(path, base);

// --- Ticks: what a message says ---------------------------------------------------------------------------------------

// One member of a flat object. Texts are consumed whole, so nothing inside one can pass for a member.
const MEMBER = /"([a-z]\w*)"\s*:\s*("(?:[^"\\]|\\.)*"|[^\s,"{}[\]]+)/g;

/** The members of `json` as they are written: a parsed 189.50 would be 189.5. The first of a name wins. */
function written(json) {
  const members = Object.create(null);
  for (const [, name, text] of json.matchAll(MEMBER)) members[name] ??= text;
  return members;
}

const number = (text) => (/^-?\d/.test(text ?? "") ? text : "");

/** With its sign in front, so that it reads without colour. */
function signed(text) {
  if (text.startsWith("-")) return "−" + text.slice(1);
  return Number(text) > 0 ? "+" + text : text;
}

function percent(text) {
  const rounded = Number(text).toFixed(2);
  return signed(Number(rounded) === 0 ? "0.00" : rounded) + "%";
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** The time of day; the date where that alone would mislead, as in a replay of last year. */
function when(ms) {
  return (Math.abs(Date.now() - ms) < 12 * 3600e3 ? clock : calendar).format(ms);
}

// --- The table: rows in order of symbols, painted once a frame --------------------------------------------------------

const table = $("prices");
const tbody = table.tBodies[0];
const rows = new Map(); // by symbol
const order = []; // the same, sorted as the server sorts: symbols are ASCII
const dirty = new Set(); // to be painted in the next frame
const still = matchMedia("(prefers-reduced-motion: reduce)");

let round = 0; // which connection a row was last heard on
let received = 0; // ticks since the rate was last worked out
let heard = 0; // when the last tick came, on the page's clock

function take(json) {
  const { symbol } = JSON.parse(json);
  const row = rows.get(symbol) ?? addRow(symbol);
  heard = performance.now();
  if (row.round === round) {
    received += 1;
  } else {
    // The first of a connection tells how things stand, not that something moved: neither counted nor flashed.
    row.round = round;
    row.price = undefined;
  }
  row.json = json;
  if (dirty.size === 0) requestAnimationFrame(paint);
  dirty.add(row);
}

function place(symbol) {
  let [low, high] = [0, order.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (order[middle].symbol < symbol) low = middle + 1;
    else high = middle;
  }
  return low;
}

function addRow(symbol) {
  const tr = $("row").content.firstElementChild.cloneNode(true);
  const cell = Object.fromEntries([...tr.cells].map((td) => [td.className, td]));
  const row = { symbol, tr, cell, round: -1, flashed: 0 };
  const i = place(symbol);
  cell.symbol.textContent = symbol;
  tr.hidden = !wanted(symbol);
  tbody.insertBefore(tr, order[i]?.tr ?? null);
  order.splice(i, 0, row);
  rows.set(symbol, row);
  return row;
}

function removeRow(row) {
  row.tr.remove();
  order.splice(place(row.symbol), 1);
  rows.delete(row.symbol);
  dirty.delete(row);
}

function paint(now) {
  for (const row of dirty) paintRow(row, now);
  dirty.clear();
  if (told !== rows.size) showCounts();
}

function paintRow(row, now) {
  const { price, change = "", change_pct, time, bid, ask } = written(row.json);
  const { cell } = row;
  const step = Number(price) - Number(row.price ?? price);
  if (step !== 0) {
    mark(cell.price, step < 0 ? "down" : "up");
    if (!still.matches && now - row.flashed >= FLASH) {
      row.flashed = now;
      cell.price.animate({ backgroundColor: ["var(--flash)", "transparent"] }, FLASH);
    }
  }
  row.price = price;
  put(cell.price, price);
  put(cell.change, signed(change));
  put(cell.percent, change_pct ? percent(change_pct) : "");
  put(cell.bid, number(bid));
  put(cell.ask, number(ask));
  put(cell.time, when(Number(time)));
  mark(row.tr, Number(change) === 0 ? "flat" : Number(change) < 0 ? "down" : "up");
  // Bid and ask have columns once anything has them.
  if (bid || ask) table.dataset.quotes = "";
}

/** Text, left alone where it stands already: most of a row does not change with each tick. */
function put(cell, text) {
  if (cell.textContent !== text) cell.textContent = text;
}

function mark(element, moved) {
  if (element.dataset.moved !== moved) element.dataset.moved = moved;
}

// --- The filter: kept in the URL, so that it survives a reload and can be sent to somebody ---------------------------

const box = $("filter");
let terms = [];
let told = -1; // how many symbols the page last said there are

/** Any of the words anywhere in the symbol, whatever the case. */
function wanted(symbol) {
  const name = symbol.toLowerCase();
  return terms.length === 0 || terms.some((term) => name.includes(term));
}

function filter() {
  terms = box.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
  for (const row of order) row.tr.hidden = !wanted(row.symbol);
  showCounts();
}

function showCounts() {
  told = rows.size;
  const shown = order.reduce((sum, row) => sum + !row.tr.hidden, 0);
  put($("count"), String(rows.size));
  put($("shown"), terms.length > 0 ? `${shown} of ${rows.size}` : "");
  put($("empty"), rows.size === 0 ? "Waiting for the first price." : `No symbol has “${box.value.trim()}” in it.`);
  $("empty").hidden = shown > 0;
}

function readHash() {
  box.value = new URLSearchParams(location.hash.slice(1)).get("filter") ?? "";
  filter();
}

box.addEventListener("input", () => {
  filter();
  const hash = box.value.trim() && "#" + new URLSearchParams({ filter: box.value.trim() });
  history.replaceState(null, "", location.pathname + location.search + hash);
});
addEventListener("hashchange", readHash);

// --- The connection ---------------------------------------------------------------------------------------------------

const NAMES = { connecting: "connecting", live: "live", lost: "reconnecting" };
let state = "connecting";
let stream;

function connect() {
  stream = new EventSource(at("prices/stream"));
  stream.addEventListener("tick", (event) => take(event.data));
  stream.addEventListener("open", () => {
    round += 1;
    heard = performance.now();
    setState("live");
    look();
    setTimeout(prune, 2000); // by then the newest tick of every symbol is here
  });
  stream.addEventListener("error", () => {
    setState("lost");
    // The browser comes back by itself from a cut, but not from an error page, such as a proxy's 502.
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, RETRY);
  });
}

function setState(to) {
  if (state === to) return;
  state = to;
  document.body.dataset.state = to;
  put($("state"), NAMES[to]);
  if (to === "lost") {
    const since = rows.size > 0 ? ` These prices stopped at ${clock.format(Date.now() - performance.now() + heard)}.` : "";
    put($("lost-detail"), `Trying to get it back.${since}`);
    put($("rate"), "–");
    $("sources").replaceChildren(); // who knows
  }
  $("lost").hidden = to !== "lost";
  received = 0;
  counted = performance.now();
}

let counted = performance.now();
setInterval(() => {
  const now = performance.now();
  const rate = (received * 1000) / (now - counted);
  [received, counted] = [0, now];
  if (state === "live") put($("rate"), Math.round(rate).toLocaleString());
}, 1000);

// --- What the server says about itself --------------------------------------------------------------------------------

async function ask(path) {
  const answer = await fetch(at(path), { signal: AbortSignal.timeout(4000), cache: "no-store" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function look() {
  try {
    showStatus(await ask("v1/status"));
  } catch {
    // A dead network need not end the stream; without this the page would go on calling old prices live.
    if (state === "live" && performance.now() - heard > SILENCE) {
      stream.close();
      setState("lost");
      connect();
    }
  }
}

function showStatus({ simulated, sources, version }) {
  $("simulated").hidden = !simulated;
  put($("version"), `This is tickcast ${version}.`);
  $("sources").replaceChildren(...sources.map(({ name, state, reason }) => {
    const item = document.createElement("li");
    item.dataset.state = state;
    item.textContent = reason ? `${name} ${state}: ${reason}` : `${name} ${state}`;
    return item;
  }));
}

/** Takes off what the server no longer has: the stream does not tell. */
async function prune() {
  const known = [...order];
  if (state !== "live" || known.length === 0) return;
  try {
    const there = new Set((await ask("v1/prices")).prices.map(({ symbol }) => symbol));
    known.filter((row) => !there.has(row.symbol)).forEach(removeRow);
    showCounts();
  } catch {
    // Asked again soon.
  }
}

setInterval(() => document.hidden || look(), STATUS_EVERY);
setInterval(() => document.hidden || prune(), PRUNE_EVERY);

for (const span of document.querySelectorAll("[data-base]")) span.textContent = base;
readHash();
connect();
