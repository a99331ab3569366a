/** How far an image is from the training images, among those of validation: Python's `schema.Novelty`. */
import type { Novelty } from "./bundle";

const ENGINES_APART = 1e-5;

/** Whether an image is unlike the training images; one at the threshold isn't. */
export function isOutOfDistribution(distance: number, { threshold }: Novelty): boolean {
  return distance > threshold + ENGINES_APART;
}

/** Which share of the validation images is nearer, 0 to 100: linear between quantiles, as NumPy's `interp`. */
export function percentile(distance: number, { quantiles }: Novelty): number {
  const last = quantiles.length - 1;
  const step = 100 / last;
  if (distance < quantiles[0]!) return 0;
  if (distance >= quantiles[last]!) return 100;
  let at = 0;
  while (quantiles[at + 1]! <= distance) at++;
  const part = (distance - quantiles[at]!) / (quantiles[at + 1]! - quantiles[at]!);
  return (at + part) * step;
}
