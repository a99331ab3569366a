/** Which pages are done, kept where the browser lets us. */
import { remember, remembered } from "../page/settings";

const NAME = "course.done";

export function readDone(): ReadonlySet<string> {
  return new Set((remembered(NAME) ?? "").split(",").filter(Boolean));
}

export function noteDone(page: string): ReadonlySet<string> {
  const found = new Set([...readDone(), page]);
  remember(NAME, [...found].join(","));
  return found;
}

export function forgetDone(): ReadonlySet<string> {
  remember(NAME, "");
  return new Set();
}
