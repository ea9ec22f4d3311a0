// Light or dark: as the system says, or as was chosen here.

import { keep, kept } from "./kept.ts";

const KEY = "theme";
const system = matchMedia("(prefers-color-scheme: dark)");

export type Theme = "light" | "dark";

export function theme(): Theme {
  const chosen = document.documentElement.dataset["theme"];
  return chosen === "light" || chosen === "dark" ? chosen : system.matches ? "dark" : "light";
}

/** The value of one of the style sheet's colours in the theme that is on. */
export function colour(name: string): string {
  const probe = document.createElement("span");
  // Where people force their colours, those of the style sheet are theirs already.
  probe.style.setProperty("forced-color-adjust", "none");
  probe.style.setProperty("color", `var(--${name})`);
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** `changed` is called after every turn. */
export function themeSwitch(button: HTMLButtonElement, changed: () => void): void {
  const chosen = kept(KEY);
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset["theme"] = chosen;
  const turned = (): void => {
    button.setAttribute("aria-pressed", String(theme() === "dark"));
    changed();
  };
  button.addEventListener("click", () => {
    const next = theme() === "dark" ? "light" : "dark";
    document.documentElement.dataset["theme"] = next;
    keep(KEY, next);
    turned();
  });
  system.addEventListener("change", turned);
  matchMedia("(forced-colors: active)").addEventListener("change", turned);
  turned();
}
