/** Images as numbers: what decoding gives and preprocessing takes. */

/** An image of 8 bits a channel, row by row; all that is gray stays in one channel, as in Python. */
export interface Pixels {
  width: number;
  height: number;
  channels: 1 | 3;
  /** [height × width × channels], channels side by side. */
  data: Uint8Array;
}

/** Python's `round`: halves go to the even neighbour. */
export function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/** Three equal channels of gray; colours as they are. */
export function asRgb(image: Pixels): Pixels {
  if (image.channels === 3) return image;
  const data = new Uint8Array(3 * image.data.length);
  for (let at = 0; at < image.data.length; at++) data.fill(image.data[at]!, 3 * at, 3 * at + 3);
  return { ...image, channels: 3, data };
}
