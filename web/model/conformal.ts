/** Conformal prediction, after Python's `evaluate.conformal`: which classes cannot be excluded. */
import type { Conformal } from "./bundle";

/** Numbers of another engine differ in their last digits: an image on the threshold is inside in all of them. */
const ENGINES_APART = 1e-6;

/** Probabilities of the classes. */
function softmax(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits);
  const largest = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/**
 * For each class whether it is possible: whether the doubt of it is no larger than its threshold.
 *
 * @param logits of one image, before temperature.
 */
export function possible(logits: ArrayLike<number>, { thresholds }: Conformal): boolean[] {
  return softmax(logits).map((probability, label) => 1 - probability <= thresholds[label]! + ENGINES_APART);
}
