// The theme, light or dark: the system's theme, or the user's choice on this page.

import * as storage from "./storage.ts";

const STORAGE_KEY = "theme";
const systemDark = matchMedia("(prefers-color-scheme: dark)");

export type Theme = "light" | "dark";

export function currentTheme(): Theme {
  const chosen = document.documentElement.dataset["theme"];
  return chosen === "light" || chosen === "dark" ? chosen : systemDark.matches ? "dark" : "light";
}

/** Returns the value of a colour of the style sheet in the current theme. */
export function colour(name: string): string {
  const probe = document.createElement("span");
  // If the user forces colours, the style sheet already contains them.
  probe.style.setProperty("forced-color-adjust", "none");
  probe.style.setProperty("color", `var(--${name})`);
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** Enables the button. `onChange` is called after each change of the theme. */
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
