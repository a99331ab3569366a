/** Strangers' text made safe to show, as Python's `messages.shown` does it. */

// Control characters, direction marks, embeddings, overrides and isolates, separators that break lines, no width.
const ACTING =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\ud800-\udfff\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb]/gu;
const ENDLESS = /\S{300,}/g;

/** Writes what would act on the text around it as `\u202e`. */
export function shown(text: string): string {
  return text.replace(ACTING, (found) => `\\u${found.codePointAt(0)!.toString(16).padStart(4, "0")}`);
}

/** Both: what a stranger named, as it may stand in a page. */
export function safe(text: string): string {
  return shortened(shown(text));
}

/** Leaves out the middle of words that nobody reads to their end. */
export function shortened(text: string): string {
  return text.replace(ENDLESS, (word) => `${word.slice(0, 100)}…${word.slice(-50)}`);
}
