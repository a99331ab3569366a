/** What became of an image, in words. */
import type { Answer, ModelFacts } from "../model/api";
import type { Item, Outcome, Rejection } from "./queue";
import { safe, shortened, shown } from "./shown";
import type { Translator } from "./translator";

export function sureness(tr: Translator, answer: Answer): string {
  return tr.text("web.answer.sure", { value: tr.probability(answer.probability) });
}

/** One line for an image, as a screen reader says it; "" while there is nothing to say. */
export function spoken(tr: Translator, { name, outcome }: Item): string {
  if (outcome.state === "rejected") return rejection(tr, name, outcome).join(" ");
  if (outcome.state === "failed") return `${tr.text("web.failed.title", { name })} ${failure(tr, outcome)}`;
  if (outcome.state !== "done") return "";
  const { answer } = outcome;
  const said = [
    ...(answer.out_of_distribution ? [tr.text("web.unlike.title")] : []),
    `${safe(answer.label)}, ${sureness(tr, answer)}`,
    ...(answer.answer === "unsure" ? [tr.text("web.unsure.title")] : []),
  ];
  return `${safe(name)}: ${said.join(". ")}.`;
}

/** Why a file cannot be used, and what to do. */
export function rejection(tr: Translator, name: string, { reason, counted }: Rejection): string[] {
  const why = tr.has(`reject.${reason}`) ? tr.text(`reject.${reason}`) : reason;
  const title = tr.text("web.rejected.title", { name: shortened(name), why });
  if (counted) {
    const [found, most] = [counted.pixels / 1e6, counted.most_pixels / 1e6];
    return [title, tr.text("web.rejected.too_large", { found: tr.decimal(found, 1), most: tr.short(most) })];
  }
  const code = reason === "too_large" ? "too_costly" : reason;
  const advice = `web.rejected.${code}`;
  return [title, ...(tr.has(advice) ? [tr.text(advice)] : [])];
}

export function failure(tr: Translator, { failure }: Extract<Outcome, { state: "failed" }>): string {
  const { kind, detail, mostBytes } = failure;
  if (mostBytes) return tr.text("web.failed.larger_than", { most: tr.short(mostBytes / 1e6) });
  if (kind === "status" && /^\d+$/.test(detail)) return tr.text("web.failed.status", { status: detail });
  if (kind === "network") return tr.text("web.failed.network", { what: detail });
  return detail ? shown(detail) : tr.text(`web.failed.${kind}`);
}

/** Why the model is unsure. */
export function unsureness(tr: Translator, facts: ModelFacts, answer: Answer): string {
  const names = answer.possible ?? [];
  const values = { names, label: tr.quoted(answer.label), target: tr.percent(facts.coverage ?? NaN, 0) };
  if (!names.length) return tr.text("web.unsure.none", values);
  return tr.text(names.length > 1 ? "web.unsure.several" : "web.unsure.other", values);
}

/** How far the image is from what the model has learnt. */
export function likeness(tr: Translator, answer: Answer): string {
  const percentile = answer.distance_percentile ?? 0;
  if (!answer.out_of_distribution) return tr.text("web.like", { share: tr.percent(1 - percentile / 100) });
  if (percentile >= 100) return tr.text("web.unlike.all");
  return tr.text("web.unlike.body", { share: tr.percent(percentile / 100) });
}

/** What a person should know of how the file was read. */
export function notesOf(tr: Translator, answer: Answer): string[] {
  const keys = answer.notes.map((code) => (code === "first_frame" ? "web.first_frame" : `samples.${code}`));
  return keys.filter((key) => tr.has(key)).map((key) => tr.text(key));
}
