// The page at /embed, for an iframe: one ticker with the symbols and the theme from the address.

import "./embed.css";
import { routeUrl } from "./base.ts";
import "./ticker.ts";

const parameters = new URLSearchParams(location.search);
const theme = parameters.get("theme");
if (theme === "light" || theme === "dark") document.documentElement.dataset["theme"] = theme;

const ticker = document.createElement("tickcast-ticker");
ticker.setAttribute("symbols", parameters.get("symbols") ?? "*");
ticker.setAttribute("theme", theme ?? "auto");
ticker.setAttribute("server", routeUrl("."));
const rate = parameters.get("rate");
if (rate) ticker.setAttribute("rate", rate);
document.querySelector("main")?.append(ticker);
