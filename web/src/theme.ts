// Light or dark: as the system says, or as was chosen here.

import * as storage from "./storage.ts";

const STORAGE_KEY = "theme";
const systemDark = matchMedia("(prefers-color-scheme: dark)");

export type Theme = "light" | "dark";

export function currentTheme(): Theme {
  const chosen = document.documentElement.dataset["theme"];
  return chosen === "light" || chosen === "dark" ? chosen : systemDark.matches ? "dark" : "light";
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
export function enableThemeSwitch(button: HTMLButtonElement, onChange: () => void): void {
  const chosen = storage.get(STORAGE_KEY);
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset["theme"] = chosen;
  const update = (): void => {
    button.setAttribute("aria-pressed", String(currentTheme() === "dark"));
    onChange();
  };
  button.addEventListener("click", () => {
    const next = currentTheme() === "dark" ? "light" : "dark";
    document.documentElement.dataset["theme"] = next;
    storage.set(STORAGE_KEY, next);
    update();
  });
  systemDark.addEventListener("change", update);
  matchMedia("(forced-colors: active)").addEventListener("change", update);
  update();
}
