/** What a reader chose, kept where the browser lets us; a page from a file may have no storage. */
import type { Language } from "./data";

export type Theme = "light" | "dark";

export function remembered(name: string): string | null {
  try {
    return localStorage.getItem(`svertka.${name}`);
  } catch {
    return null;
  }
}

export function remember(name: string, value: string): void {
  try {
    localStorage.setItem(`svertka.${name}`, value);
  } catch {
    // The choice holds for this visit.
  }
}

/** What was chosen last, else what the page is written for, else what the browser prefers. */
export function firstLanguage(
  written: Language | "",
  preferred: readonly string[] = navigator.languages,
  last: string | null = remembered("language"),
): Language {
  if (isLanguage(last)) return last;
  if (written) return written;
  return preferred.map((tag) => tag.toLowerCase().split("-")[0] ?? "").find(isLanguage) ?? "en";
}

function isLanguage(name: string | null): name is Language {
  return name === "en" || name === "ru";
}

export function systemTheme(): Theme {
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}
