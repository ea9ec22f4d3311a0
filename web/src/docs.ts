// The page at /docs: the routes of this server, from the server's own OpenAPI document.

import "./docs.css";
import { routeUrl } from "./base.ts";
import {
  address,
  type Description,
  type Field,
  type Operation,
  SchemaReader,
  schemaOf,
} from "./description.ts";
import { byId } from "./element.ts";
import { indented } from "./indented.ts";
import { prepare } from "./prepared.ts";
import { parseQuote } from "./quote.ts";
import { authorization, token } from "./session.ts";
import { enableThemeSwitch } from "./theme.ts";

type Child = Node | string;

function make(tag: string, attributes: Record<string, string>, ...children: Child[]): HTMLElement {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Turns text with `code` in backquotes into text and code elements. */
function prose(text: string): Child[] {
  return text
    .split("`")
    .map((part, at) => (at % 2 === 1 ? make("code", {}, part) : part.replaceAll("\n", " ")));
}

const anchor = (method: string, path: string): string =>
  `${method}${path.replaceAll(/[^a-z0-9]+/gi, "-")}`;
const title = (method: string, path: string): HTMLElement[] => [
  make("span", { class: "method", "data-method": method }, method.toUpperCase()),
  make("span", { class: "path" }, path),
];

function table(head: string, rows: HTMLElement[][]): HTMLElement[] {
  if (rows.length === 0) return [];
  const lines = rows.map(([first, ...rest]) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, first!),
      ...rest.map((cell) => make("td", {}, cell)),
    ),
  );
  return [
    make("h4", {}, head),
    make(
      "div",
      { class: "scroll", tabindex: "0", role: "group", "aria-label": head },
      make("table", {}, make("tbody", {}, ...lines)),
    ),
  ];
}

const text = (about: string): HTMLElement => make("span", {}, ...prose(about));
const fieldRow = ({ name, kind, optional, about }: Field): HTMLElement[] => [
  make("code", {}, name),
  make("span", { class: "kind" }, optional ? `${kind}, optional` : kind),
  text(about),
];

class Page {
  private readonly reader: SchemaReader;

  constructor(private readonly description: Description) {
    this.reader = new SchemaReader(description);
  }

  show(): void {
    const routes: HTMLElement[] = [];
    const contents: HTMLElement[] = [];
    for (const tag of this.description.tags) {
      routes.push(make("h2", {}, tag.description));
      contents.push(make("h3", {}, tag.description));
      for (const [path, methods] of Object.entries(this.description.paths)) {
        for (const [method, operation] of Object.entries(methods)) {
          if (!operation.tags.includes(tag.name)) continue;
          routes.push(this.route(method, path, operation));
          contents.push(make("a", { href: `#${anchor(method, path)}` }, ...title(method, path)));
        }
      }
    }
    byId("version").textContent = this.description.info.version;
    byId("contents").replaceChildren(...contents);
    byId("routes").replaceChildren(...routes);
  }

  private route(method: string, path: string, operation: Operation): HTMLElement {
    const { reader } = this;
    const parameters = operation.parameters ?? [];
    const about = operation.description
      ? [make("p", { class: "about" }, ...prose(operation.description))]
      : [];
    const parameterRows = parameters.map((each) => [
      make("code", {}, each.name),
      make(
        "span",
        { class: "kind" },
        `${reader.kind(each.schema)}${each.in === "header" ? ", header" : each.in === "path" ? ", path" : ""}`,
      ),
      text(each.description ?? ""),
    ]);
    const body = schemaOf(operation.requestBody);
    const responseRows = Object.entries(operation.responses).map(([status, given]) => {
      const response = reader.response(given);
      const kinds = Object.keys(response.content ?? {}).join(", ");
      return [
        make("code", { class: "status", "data-class": status[0]! }, status),
        make("span", { class: "kind" }, kinds),
        text(response.description ?? ""),
      ];
    });
    const success = Object.entries(operation.responses).find(([status]) =>
      status.startsWith("2"),
    )?.[1];
    const responseSchema = schemaOf(success);
    return make(
      "section",
      { id: anchor(method, path), "aria-label": `${method.toUpperCase()} ${path}` },
      make("h3", {}, ...title(method, path)),
      make("p", {}, operation.summary),
      ...about,
      ...table("Parameters", parameterRows),
      ...table("Request body", body ? reader.fields(body).map(fieldRow) : []),
      ...table("Responses", responseRows),
      ...table("Response body", responseSchema ? reader.fields(responseSchema).map(fieldRow) : []),
      ...this.command(method, path, operation),
    );
  }

  /**
   * Returns the command line of a route. If a page can send the request and the response ends, a
   * button is added.
   */
  private command(method: string, path: string, operation: Operation): HTMLElement[] {
    const url = routeUrl(address(path, operation.parameters ?? []).slice(1));
    const body = schemaOf(operation.requestBody);
    const example = body && this.reader.example(body);
    const streams = Object.values(operation.responses).some(
      (each) => each.content?.["text/event-stream"],
    );
    const parts = [
      streams ? "curl -N" : "curl",
      ...(method === "get" ? [] : [`-X ${method.toUpperCase()}`]),
      ...(operation.security ? ["-H 'Authorization: Bearer TOKEN'"] : []),
      ...(example ? [`-d '${JSON.stringify(example)}'`] : []),
      `'${url}'`,
    ];
    const command = make("pre", { tabindex: "0" }, make("code", {}, parts.join(" ")));
    if (method !== "get" || streams) return [command];
    const answer = make("pre", { class: "answer", tabindex: "0", role: "status", hidden: "" });
    const button = make("button", { class: "run", type: "button" }, "Send request");
    button.addEventListener("click", () => void sendRequest(url, answer));
    return [command, button, answer];
  }
}

async function sendRequest(url: string, answer: HTMLElement): Promise<void> {
  answer.hidden = false;
  answer.textContent = "…";
  try {
    const response = await fetch(url, { headers: authorization() });
    const all = await response.text();
    // Only a single document is indented. NDJSON already has one document per line.
    const json = /[/+]json\b/.test(response.headers.get("content-type") ?? "");
    const text = json ? indented(all) : all;
    answer.textContent = `${response.status}\n${text.length > 4_000 ? `${text.slice(0, 4_000)} …` : text}`;
  } catch {
    answer.textContent = "No response from the server";
  }
}

/** Shows the example and runs it. */
function runExample(): void {
  byId("example").textContent =
    `const prices = new EventSource("${routeUrl("v1/stream?symbols=AAPL,BTC*")}");
prices.addEventListener("tick", (event) => {
  const { symbol, price, change } = JSON.parse(event.data);
  show(symbol, price, change);
});
prices.addEventListener("status", (event) => {
  const { symbol, state } = JSON.parse(event.data);
  if (symbol) dim(symbol, state !== "live");
});`;
  void showLatest();
}

async function showLatest(): Promise<void> {
  const symbols = ["AAPL", "BTC*"];
  let url = routeUrl(`v1/stream?symbols=${symbols.join()}&rate=2`);
  if (token() !== "") {
    try {
      url = await prepare(token(), symbols, { rate: 2 });
    } catch (error) {
      byId("latest").textContent = error instanceof Error ? error.message : "";
      return;
    }
  }
  const prices = new EventSource(url);
  prices.addEventListener("tick", (event) => {
    const { symbol, price, change } = parseQuote((event as MessageEvent<string>).data);
    byId("latest").textContent = `${symbol} ${price} ${change}`;
  });
}

enableThemeSwitch(byId("theme") as HTMLButtonElement, () => {});
runExample();
try {
  new Page((await (await fetch(routeUrl("openapi.json"))).json()) as Description).show();
  // The element of the address's fragment did not exist when the page was loaded.
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
} catch (error) {
  byId("routes").textContent = `The API description could not be loaded: ${String(error)}`;
}
