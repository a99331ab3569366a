/** Planes of numbers as pixels. */
import type { Photograph } from "./photograph";

type Rgb = readonly [number, number, number];

/** What is drawn: RGBA, [height × width × 4]. */
export type Pixels = Uint8ClampedArray<ArrayBuffer>;

const ABOVE: Rgb = [214, 96, 20];
const BELOW: Rgb = [22, 104, 190];

function pixels(count: number, colour: (at: number, out: Pixels, to: number) => void): Pixels {
  const out = new Uint8ClampedArray(4 * count);
  for (let at = 0; at < count; at++) {
    colour(at, out, 4 * at);
    out[4 * at + 3] = 255;
  }
  return out;
}

/** Red, green and blue as they are; what is beyond 0 to 255 is cut. */
export function inColour([red, green, blue]: readonly [
  ArrayLike<number>,
  ArrayLike<number>,
  ArrayLike<number>,
]): Pixels {
  return pixels(red.length, (at, out, to) => {
    out[to] = red[at]!;
    out[to + 1] = green[at]!;
    out[to + 2] = blue[at]!;
  });
}

/** 0 black, 255 white. */
export function inGray(plane: ArrayLike<number>): Pixels {
  return inColour([plane, plane, plane]);
}

/** White at 0, orange above, blue below; full colour from `strongest` on. */
export function signed(plane: ArrayLike<number>, strongest: number): Pixels {
  const scale = strongest > 0 ? 1 / strongest : 0;
  return pixels(plane.length, (at, out, to) => {
    const share = Math.min(1, Math.abs(plane[at]!) * scale);
    const [red, green, blue] = plane[at]! < 0 ? BELOW : ABOVE;
    out[to] = 255 + share * (red - 255);
    out[to + 1] = 255 + share * (green - 255);
    out[to + 2] = 255 + share * (blue - 255);
  });
}

/** So many numbers tell how large they are in general. */
const SAMPLE = 8191;

/** The magnitude that a share of the numbers stays below: a few bright pixels shall not make the rest pale. */
export function magnitude(plane: ArrayLike<number>, share = 0.99): number {
  const every = Math.ceil(plane.length / SAMPLE) | 1; // odd, so as not to fall into step with the rows
  const sample = Float32Array.from({ length: Math.ceil(plane.length / every) }, (_, at) =>
    Math.abs(plane[at * every]!),
  );
  sample.sort();
  return sample[Math.min(sample.length - 1, Math.floor(share * sample.length))] ?? 0;
}

const KNOWN = new WeakMap<Photograph, Map<number, Photograph>>();

/** Averaged over boxes, so that its longer side has at most `most` pixels; computed once. */
export function smaller(photograph: Photograph, most: number): Photograph {
  const known = KNOWN.get(photograph) ?? new Map<number, Photograph>();
  KNOWN.set(photograph, known);
  const found = known.get(most) ?? boxed(photograph, most);
  known.set(most, found);
  return found;
}

function boxed(photograph: Photograph, most: number): Photograph {
  const box = Math.ceil(Math.max(photograph.width, photograph.height) / most);
  if (box <= 1) return photograph;
  const width = Math.max(1, Math.floor(photograph.width / box));
  const height = Math.max(1, Math.floor(photograph.height / box));
  const planes = photograph.planes.map((plane) => averaged(plane, photograph, box, width, height));
  return { ...photograph, width, height, planes: planes as unknown as Photograph["planes"] };
}

function averaged(plane: ArrayLike<number>, from: Photograph, box: number, width: number, height: number) {
  const found = new Uint8ClampedArray(width * height);
  const across = Math.min(box, from.width);
  const down = Math.min(box, from.height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let total = 0;
      for (let k = 0; k < down; k++)
        for (let l = 0; l < across; l++) total += plane[(y * box + k) * from.width + x * box + l]!;
      found[y * width + x] = total / (down * across);
    }
  }
  return found;
}
