/** Numbers as people type and read them. */
import type { Translator } from "../page/translator";
import { LARGEST } from "./address";

export const MINUS = "\u2212";

/** At most so many decimals, none that are zeros at the end. */
export function figure(tr: Translator, value: number, digits = 4): string {
  const text = tr.decimal(value, digits);
  const short = /[.,]/.test(text) ? text.replace(/[.,]?0+$/, "") : text;
  return short === `${MINUS}0` ? "0" : short;
}

/** In parentheses where it is negative, as it stands inside a formula. */
export function factor(tr: Translator, value: number, digits = 4): string {
  const text = figure(tr, value, digits);
  return text.startsWith(MINUS) ? `(${text})` : text;
}

/** `1 + 0 − 3`. */
export function addition(tr: Translator, values: readonly number[], digits = 4): string {
  return values
    .map((value, at) => {
      const text = figure(tr, value, digits);
      if (at === 0) return text;
      return text.startsWith(MINUS) ? `${MINUS} ${text.slice(1)}` : `+ ${text}`;
    })
    .join(" ");
}

/** What somebody typed: decimal comma or point, any minus, a fraction such as 1/9; null if it is no number. */
export function typed(text: string, largest = LARGEST): number | null {
  const plain = text
    .replace(/[\s\u202f\u00a0]/g, "")
    .replace(/[\u2212\u2013\u2010\u2011]/g, "-")
    .replace(",", ".");
  const found = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:\/(\d+\.?\d*))?$/.exec(plain);
  if (!found) return null;
  const value = Number(found[1]) / Number(found[2] ?? 1);
  return Number.isFinite(value) && Math.abs(value) <= largest ? value || 0 : null;
}

/** Whether an answer is right, as far as it is written: two decimals of a long fraction are enough. */
export function isRight(answer: number, right: number): boolean {
  return Math.abs(answer - right) <= Math.max(0.0051, Math.abs(right) * 1e-6);
}
