/** Transparent images on white, with Pillow's rounding (`AlphaComposite.c`, `Paste.c`). */

/** One channel of an image on white: what Pillow's `alpha_composite` gives for an opaque white below. */
export function onWhite(value: number, alpha: number): number {
  if (alpha === 0) return 255;
  const blended = (value * alpha + 255 * (255 - alpha)) * 128;
  return overDiv255(blended + (0x80 << 7)) >> 7;
}

/** The same as Pillow's `composite` does it, for images that keep their alpha in a mask. */
export function pasteOnWhite(value: number, alpha: number): number {
  return overDiv255(255 * (255 - alpha) + value * alpha + 128);
}

/** The product of two shares of 255, rounded. */
export function timesShare(value: number, share: number): number {
  return overDiv255(value * share + 128);
}

function overDiv255(value: number): number {
  return ((value >> 8) + value) >> 8;
}
