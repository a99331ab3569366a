/**
 * What the address holds: language, page, and the numbers on it, as `#ru/convolution?kernel=1,0,-1;1,0,-1;1,0,-1`, so
 * that a link shows to another person what one sees.
 */
import type { Language } from "../page/data";
import type { Matrix, Place } from "./maths/matrix";

export type Values = Readonly<Record<string, string>>;

export interface Address {
  /** null: the reader's. */
  language: Language | null;
  page: string;
  values: Values;
}

const LONGEST = 2000;
/** Of a number that somebody types. */
export const LARGEST = 9999;

export function read(hash: string): Address {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").slice(0, LONGEST).split("?");
  const [first = "", second = ""] = path.split("/");
  const language = first === "ru" || first === "en" ? first : null;
  const page = language ? second : first;
  return { language, page, values: Object.fromEntries(new URLSearchParams(query.replaceAll("+", "%2B"))) };
}

/** The part of an address after its `#`, readable: what needs no escape gets none. */
export function write(language: Language, page: string, values: Values = {}): string {
  const pairs = Object.entries(values).map(
    ([name, value]) => `${name}=${encodeURIComponent(value).replace(/%(2C|3B|3A|2F)/g, decodeURIComponent)}`,
  );
  return `#${language}/${page}${pairs.length ? `?${pairs.join("&")}` : ""}`;
}

/** A matrix as `1,0;0,1`; null unless it has these sizes and only numbers that may be typed. */
export function matrixOf(text: string | undefined, rows: number, columns: number): number[][] | null {
  const lines = text?.split(";").map((line) => line.split(","));
  if (lines?.length !== rows || lines.some((line) => line.length !== columns)) return null;
  const found = lines.map((line) => line.map(numberOf));
  return found.every((line) => line.every((value) => value !== null)) ? (found as number[][]) : null;
}

export function written(matrix: Matrix): string {
  return matrix.map((line) => line.map(short).join(",")).join(";");
}

/** Up to six decimals. */
export function short(value: number): string {
  return String(Number(value.toFixed(6)) || 0);
}

function numberOf(text: string): number | null {
  if (!/^-?\d{1,5}(\.\d{1,9})?$/.test(text)) return null;
  const value = Number(text);
  return Math.abs(value) <= LARGEST ? value || 0 : null;
}

/** A whole number within its limits, else what is usual. */
export function wholeOf(text: string | undefined, low: number, high: number, usual: number): number {
  const value = /^-?\d{1,5}$/.test(text ?? "") ? Number(text) : NaN;
  return value >= low && value <= high ? value : usual;
}

/** Row and column as `1,2`, within a grid. */
export function placeOf(text: string | undefined, rows: number, columns: number): Place {
  const [row, column] = (text ?? "").split(",").map((part) => wholeOf(part, 0, 9999, 0));
  return [Math.min(row ?? 0, rows - 1), Math.min(column ?? 0, columns - 1)];
}

/** One of several words, the first unless said. */
export function choiceOf<T extends string>(text: string | undefined, choices: readonly [T, ...T[]]): T {
  return choices.find((each) => each === text) ?? choices[0];
}
