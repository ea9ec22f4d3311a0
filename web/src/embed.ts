// The page at /embed, for an iframe: one ticker, of the symbols and in the theme that its address names.

import "./embed.css";
import { at } from "./base.ts";
import "./ticker.ts";

const asked = new URLSearchParams(location.search);
const theme = asked.get("theme");
if (theme === "light" || theme === "dark") document.documentElement.dataset["theme"] = theme;

const ticker = document.createElement("tickcast-ticker");
ticker.setAttribute("symbols", asked.get("symbols") ?? "*");
ticker.setAttribute("theme", theme ?? "auto");
ticker.setAttribute("server", at("."));
const rate = asked.get("rate");
if (rate) ticker.setAttribute("rate", rate);
document.querySelector("main")?.append(ticker);
