/** What the numbers of one image mean: Python's `bundle.predictor`. */
import type { Answer } from "./api";
import type { Bundle } from "./bundle";
import { possible } from "./conformal";
import { isOutOfDistribution, percentile } from "./novelty";

/** What the graph gives for one image. */
export interface Outputs {
  /** Before temperature, [classes]. */
  logits: Float32Array;
  /** Calibrated, [classes]. */
  probabilities: Float32Array;
  /** To the nearest training image; null where the bundle remembers none. */
  distance: number | null;
}

export function answerOf(bundle: Bundle, { logits, probabilities, distance }: Outputs, notes: string[]): Answer {
  const { classes, conformal, novelty } = bundle;
  const best = indexOfLargest(probabilities);
  const label = classes[best]!;
  const inside = conformal && possible(logits, conformal);
  const names = inside && classes.filter((_, at) => inside[at]);
  const far = novelty && distance !== null;
  return {
    label,
    probability: probabilities[best]!,
    probabilities: Object.fromEntries(classes.map((name, at) => [name, probabilities[at]!])),
    answer: names && (names.length === 1 && names[0] === label ? "answered" : "unsure"),
    possible: names,
    distance: far ? distance : null,
    distance_percentile: far ? percentile(distance, novelty) : null,
    out_of_distribution: far ? isOutOfDistribution(distance, novelty) : null,
    notes,
  };
}

/** Of equal ones the first. */
function indexOfLargest(values: ArrayLike<number>): number {
  let best = 0;
  for (let at = 1; at < values.length; at++) if (values[at]! > values[best]!) best = at;
  return best;
}
