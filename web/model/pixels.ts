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

/** One byte a sample of 1, 2 or 4 bits: those lie side by side, the first highest; rows begin with a whole byte. */
export function bytesOfBits(packed: Uint8Array, width: number, height: number, bits: number): Uint8Array {
  const rowBytes = Math.ceil((width * bits) / 8);
  const largest = (1 << bits) - 1;
  const found = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const bit = x * bits;
      found[y * width + x] = (packed[y * rowBytes + (bit >> 3)]! >> (8 - bits - (bit & 7))) & largest;
    }
  }
  return found;
}

/** Three equal channels of gray; colours as they are. */
export function asRgb(image: Pixels): Pixels {
  if (image.channels === 3) return image;
  const data = new Uint8Array(3 * image.data.length);
  for (let at = 0; at < image.data.length; at++) data.fill(image.data[at]!, 3 * at, 3 * at + 3);
  return { ...image, channels: 3, data };
}
