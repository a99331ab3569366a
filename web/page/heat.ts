/** Colours of a class activation map: red where a place speaks for the class, blue where against, clear at 0. */

const FOR = [255, 84, 46] as const;
const AGAINST = [52, 134, 255] as const;
const CURVE = 1.2; // above 1: what is strong stands out

const LEAST = 1; // of a logit: what speaks more weakly everywhere is to look weak

/** The end of the scale: the largest number of a map, either way. */
export function scaleOf(evidence: readonly (readonly number[])[]): number {
  return evidence.flat().reduce((most, value) => Math.max(most, Math.abs(value)), LEAST);
}

/**
 * Pixels (RGBA, row by row) of a map.
 *
 * @param top end of the scale: where a place is of full colour.
 */
export function colours(evidence: readonly (readonly number[])[], top: number): Uint8ClampedArray<ArrayBuffer> {
  const flat = evidence.flat();
  const pixels = new Uint8ClampedArray(4 * flat.length);
  flat.forEach((value, at) => {
    const strength = Math.min(1, Math.abs(value) / Math.max(top, 1e-12));
    pixels.set(value > 0 ? FOR : AGAINST, 4 * at);
    pixels[4 * at + 3] = Math.round(255 * strength ** CURVE);
  });
  return pixels;
}
