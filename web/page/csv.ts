/** The table of `svertka predict`: the same columns, the same figures, the same quotes. */
import type { Answer, ModelFacts } from "../model/api";
import { fixed } from "./numbers";

export interface Row {
  path: string;
  answer?: Answer | undefined;
  /** Why there is none. */
  error?: string | undefined;
}

// What a spreadsheet would take for a formula (OWASP, CSV injection).
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;

function header(facts: ModelFacts): string[] {
  return [
    "path",
    "label",
    "confidence",
    ...(facts.coverage === null ? [] : ["answer"]),
    ...facts.classes.map((name) => `p:${name}`),
    ...(facts.remembers ? ["unlike_training", "distance_percentile"] : []),
    "error",
  ];
}

/** One row of cells; `mark` stands before decimals. */
function cells(facts: ModelFacts, row: Row, mark = "."): string[] {
  if (!row.answer) return [row.path, ...Array<string>(header(facts).length - 2).fill(""), row.error ?? ""];
  const { answer } = row;
  const figure = (value: number, digits: number) => fixed(value, digits).replace(".", mark);
  return [
    row.path,
    answer.label,
    figure(answer.probability, 6),
    ...(facts.coverage === null ? [] : [said(answer)]),
    ...facts.classes.map((name) => figure(answer.probabilities[name] ?? NaN, 6)),
    ...(facts.remembers
      ? [answer.out_of_distribution ? "yes" : "no", figure(answer.distance_percentile ?? NaN, 1)]
      : []),
    "",
  ];
}

/** The label, or "unsure" with the classes that are possible. */
function said(answer: Answer): string {
  if (answer.answer !== "unsure") return answer.possible ? answer.label : "";
  return answer.possible?.length ? `unsure: ${answer.possible.join(" | ")}` : "unsure (no class is possible)";
}

/** As `svertka predict` writes it. */
export function csv(facts: ModelFacts, rows: readonly Row[]): string {
  const lines = [header(facts), ...rows.map((row) => cells(facts, row))];
  return lines.map((line) => line.map((cell) => quoted(cell, ",")).join(",") + "\n").join("");
}

/** As `svertka predict --excel` writes it: for a double click, and no cell runs as a formula. */
export function excel(facts: ModelFacts, rows: readonly Row[]): string {
  const lines = [header(facts), ...rows.map((row) => cells(facts, row, ","))];
  const plain = (cell: string) => (FORMULA.test(cell) ? `'${cell}` : cell);
  return "\ufeff" + lines.map((line) => line.map((cell) => quoted(plain(cell), ";")).join(";") + "\r\n").join("");
}

/** RFC 4180. */
function quoted(cell: string, delimiter: string): string {
  return cell.includes(delimiter) || /["\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
