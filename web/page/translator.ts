/** Sentences and numbers of the page in one language, as Python's `messages.translator` writes them. */
import type { Estimate } from "../model/api";
import type { Language } from "./data";
import { fixed } from "./numbers";
import { safe, shown } from "./shown";

/** A sentence, or its plural forms. */
export type Entry = string | Record<string, string>;
export type Texts = Record<string, Entry>;
export type Values = Record<string, string | number | readonly string[]>;

const NARROW_SPACE = "\u202f";
const NAMES_SHOWN = 5;
const NO_WIDTH = 1e-6;
const PERCENT_METRICS = new Set([
  "accuracy",
  "balanced_accuracy",
  "macro_f1",
  "calibration_error",
  "calibration_error_uncalibrated",
]);
const SHARES = new Set(["accuracy", "balanced_accuracy", "macro_f1"]);
const RANKINGS = new Set(["roc_auc", "average_precision"]);

export class Translator {
  constructor(
    readonly language: Language,
    private readonly texts: Texts,
  ) {}

  /** The sentence of a key, its placeholders filled. The value `n` chooses the plural form. */
  text(key: string, values: Values = {}): string {
    const entry = this.texts[key];
    if (entry === undefined) throw new Error(`no message ${key}`);
    const form = typeof entry === "string" ? entry : entry[pluralForm(Number(values.n), this.language)];
    return (form ?? "").replace(/\{(\w+)\}/g, (_, name: string) => this.written(values[name] ?? ""));
  }

  has(key: string): boolean {
    return key in this.texts;
  }

  private written(value: Values[string]): string {
    if (typeof value === "number") return this.count(value);
    return typeof value === "string" ? shown(value) : this.listing(value);
  }

  quoted(name: string): string {
    return this.language === "ru" ? `«${safe(name)}»` : `“${safe(name)}”`;
  }

  /** “a”, “b” and “c”; of many, the first five and how many more there are. */
  listing(names: readonly string[]): string {
    const most = names.length <= NAMES_SHOWN + 1 ? names.length : NAMES_SHOWN;
    const quoted = names.slice(0, most).map((name) => this.quoted(name));
    if (names.length > most) return this.joined("names.more", quoted.join(", "), this.count(names.length - most));
    if (quoted.length < 2) return quoted.join("");
    return this.joined("names.and", quoted.slice(0, -1).join(", "), quoted.at(-1)!);
  }

  /** Fills a sentence with text that is written already. */
  private joined(key: string, first: string, last: string): string {
    return (this.texts[key] as string).replace(/\{(\w+)\}/g, (_, name: string) => (name === "first" ? first : last));
  }

  /** A whole number by thousands: 1,672 and 12,500 in English, 1672 and 12 500 in Russian. */
  count(number: number): string {
    if (this.language === "ru" && Math.abs(number) < 10_000) return String(number);
    return String(number).replace(/\B(?=(\d{3})+$)/g, this.language === "ru" ? NARROW_SPACE : ",");
  }

  decimal(value: number, digits = 3): string {
    if (!Number.isFinite(value)) return "–";
    const written = fixed(value, digits).replace("-", "\u2212");
    return this.language === "ru" ? written.replace(".", ",") : written;
  }

  percent(share: number, digits = 1): string {
    return Number.isFinite(share) ? `${this.decimal(100 * share, digits)}${NARROW_SPACE}%` : "–";
  }

  /** A number without zeros at its end: 25, 25.5, 0.001. */
  short(value: number): string {
    return this.decimal(value, value < 1 ? 3 : 1).replace(/[.,]?0+$/, "");
  }

  /** A probability: no model is so sure that it could claim 0 or 1. */
  probability(p: number): string {
    if (p < 0.0005) return `<${NARROW_SPACE}${this.percent(0.001)}`;
    if (p >= 0.9995) return `>${NARROW_SPACE}${this.percent(0.999)}`;
    return this.percent(p);
  }

  metric(name: string, value: number): string {
    return PERCENT_METRICS.has(name) ? this.percent(value) : this.decimal(value);
  }

  /** A metric's 95 % interval; why there is none where it would feign certainty. */
  interval(name: string, estimate: Estimate): string {
    const { low, high, n } = estimate;
    if (n <= 0 || low === null || high === null) return "–";
    if (high - low < NO_WIDTH) return this.text(`interval.${sameness(name, estimate.value)}`);
    if (PERCENT_METRICS.has(name)) return `${this.decimal(100 * low, 1)}–${this.percent(high)}`;
    return `${this.decimal(low)}–${this.decimal(high)}`;
  }
}

function sameness(name: string, value: number): string {
  if (RANKINGS.has(name) && value >= 1 - NO_WIDTH) return "ranked";
  if (!SHARES.has(name) || (NO_WIDTH < value && value < 1 - NO_WIDTH)) return "same";
  return value >= 1 - NO_WIDTH ? "perfect" : "nothing";
}

/** Unicode CLDR, cardinal rules. */
export function pluralForm(number: number, language: Language): string {
  if (language !== "ru") return number === 1 ? "one" : "other";
  const tens = Math.abs(number) % 100;
  const ones = Math.abs(number) % 10;
  if (ones === 1 && tens !== 11) return "one";
  return ones >= 2 && ones <= 4 && !(tens >= 12 && tens <= 14) ? "few" : "many";
}
