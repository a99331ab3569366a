/**
 * Pillow's resampling with antialiasing, byte for byte (Pillow's `Resample.c`).
 *
 * An output pixel is the weighted mean of the input pixels under a filter that is as wide as the scale asks for. It is
 * done in two passes, along the rows and along the columns; between them numbers are rounded to 8 bits again. Weights
 * are whole numbers with 22 bits behind the point, so sums are exact and every machine gives the same bytes.
 */
import type { Pixels } from "./pixels";

export type Filter = "bilinear" | "bicubic" | "box";

/** Left, top, right and bottom of the part that is resampled, in pixels of the image, fractions allowed. */
export type Box = readonly [number, number, number, number];

/** Which input pixels each output pixel takes, and how much of each. */
interface Weights {
  /** The most pixels that one output pixel takes. */
  most: number;
  /** First input pixel of each output pixel. */
  first: Int32Array;
  /** How many. */
  count: Int32Array;
  /** [outputs × most]; they sum to 1. */
  values: Float64Array;
}

const PRECISION_BITS = 32 - 8 - 2;

const FILTERS: Record<Filter, { support: number; weight: (x: number) => number }> = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: bicubic },
};

/** Keys' cubic convolution with a = -0.5. */
function bicubic(x: number): number {
  const a = -0.5;
  const distance = Math.abs(x);
  if (distance < 1) return ((a + 2) * distance - (a + 3)) * distance * distance + 1;
  if (distance < 2) return (((distance - 5) * distance + 8) * distance - 4) * a;
  return 0;
}

/** Resamples a part of an image (all of it if no box is given) to another size. */
export function resize(image: Pixels, width: number, height: number, filter: Filter, box?: Box): Pixels {
  const [left, top, right, bottom] = asFloats(box ?? [0, 0, image.width, image.height]);
  const columns = needsPass(image.width, width, left, right) ? weights(image.width, left, right, width, filter) : null;
  const rows = needsPass(image.height, height, top, bottom) ? weights(image.height, top, bottom, height, filter) : null;
  if (!columns && !rows) return { ...image, data: image.data.slice() };
  if (!columns) return resampleColumns(image, rows!);
  if (!rows) return resampleRows(image, 0, image.height, columns);
  if (columnsFirst(image, width, height)) return resampleRows(resampleColumns(image, rows), 0, height, columns);
  const from = rows.first[0]!; // no other rows are asked for
  const to = rows.first[height - 1]! + rows.count[height - 1]!;
  const narrow = resampleRows(image, from, to, columns);
  return resampleColumns(narrow, { ...rows, first: rows.first.map((row) => row - from) });
}

/**
 * Pillow 13 resamples columns first where the height shrinks by more than twice as many pixels as the width; those
 * before it always resample rows first. Rounding between the passes makes that visible, by up to 6 of 255.
 */
function columnsFirst(image: { width: number; height: number }, width: number, height: number): boolean {
  return image.height - height > Math.max(0, 2 * (image.width - width));
}

/** The same in floating point, for one channel. */
export function resizeFloats(
  plane: Float32Array,
  width: number,
  height: number,
  toWidth: number,
  toHeight: number,
  filter: Filter,
): Float32Array {
  const narrow = resampleFloats(plane, width, toWidth, height, 1, filter);
  return resampleFloats(narrow, height, toHeight, toWidth, toWidth, filter);
}

/**
 * One pass.
 *
 * @param lines along the axis that gets another size.
 * @param step from one number of a line to the next: 1 for rows, which lie behind each other, else columns side by side.
 */
function resampleFloats(
  plane: Float32Array,
  size: number,
  wanted: number,
  lines: number,
  step: number,
  filter: Filter,
): Float32Array {
  if (size === wanted) return plane;
  const { first, count, values, most } = weights(size, 0, size, wanted, filter);
  const found = new Float32Array(wanted * lines);
  const [line, lineFound] = step === 1 ? [size, wanted] : [1, 1];
  for (let number = 0; number < lines; number++) {
    for (let at = 0; at < wanted; at++) {
      const start = number * line + first[at]! * step;
      let sum = 0;
      for (let k = 0; k < count[at]!; k++) sum += plane[start + k * step]! * values[at * most + k]!;
      found[number * lineFound + at * step] = sum;
    }
  }
  return found;
}

/** Pillow keeps a box in single precision. */
function asFloats(box: Box): Box {
  return box.map(Math.fround) as unknown as Box;
}

function needsPass(size: number, wanted: number, start: number, end: number): boolean {
  return size !== wanted || start !== 0 || end !== wanted;
}

function weights(size: number, start: number, end: number, wanted: number, filter: Filter): Weights {
  const { support, weight } = FILTERS[filter];
  const scale = Math.fround(end - start) / wanted;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  const most = 2 * Math.ceil(reach) + 1;
  const first = new Int32Array(wanted);
  const count = new Int32Array(wanted);
  const values = new Float64Array(wanted * most);
  for (let at = 0; at < wanted; at++) {
    const centre = start + (at + 0.5) * scale;
    const from = Math.max(0, Math.trunc(centre - reach + 0.5));
    const to = Math.min(size, Math.trunc(centre + reach + 0.5));
    let total = 0;
    for (let k = 0; k < to - from; k++) {
      const value = weight((k + from - centre + 0.5) * (1 / stretch));
      values[at * most + k] = value;
      total += value;
    }
    if (total !== 0) for (let k = 0; k < to - from; k++) values[at * most + k]! /= total;
    first[at] = from;
    count[at] = to - from;
  }
  return { most, first, count, values };
}

function asWholeNumbers(values: Float64Array): Int32Array {
  return Int32Array.from(values, (value) => Math.trunc((value < 0 ? -0.5 : 0.5) + value * 2 ** PRECISION_BITS));
}

function resampleRows(image: Pixels, from: number, to: number, { most, first, count, values }: Weights): Pixels {
  const { width, channels, data } = image;
  const wanted = first.length;
  const whole = asWholeNumbers(values);
  const found = new Uint8ClampedArray(wanted * (to - from) * channels);
  const half = 1 << (PRECISION_BITS - 1);
  let out = 0;
  for (let y = from; y < to; y++) {
    for (let x = 0; x < wanted; x++) {
      let at = (y * width + first[x]!) * channels;
      const start = x * most;
      const end = start + count[x]!;
      let [one, two, three] = [half, half, half];
      if (channels === 1) for (let k = start; k < end; k++) one += data[at++]! * whole[k]!;
      else {
        for (let k = start; k < end; k++, at += 3) {
          const weight = whole[k]!;
          one += data[at]! * weight;
          two += data[at + 1]! * weight;
          three += data[at + 2]! * weight;
        }
      }
      found[out++] = one >> PRECISION_BITS;
      if (channels === 1) continue;
      found[out++] = two >> PRECISION_BITS;
      found[out++] = three >> PRECISION_BITS;
    }
  }
  return { width: wanted, height: to - from, channels, data: new Uint8Array(found.buffer) };
}

function resampleColumns(image: Pixels, { most, first, count, values }: Weights): Pixels {
  const { width, channels, data } = image;
  const wanted = first.length;
  const whole = asWholeNumbers(values);
  const stride = width * channels;
  const found = new Uint8ClampedArray(wanted * stride);
  const sums = new Int32Array(stride);
  for (let y = 0; y < wanted; y++) {
    sums.fill(1 << (PRECISION_BITS - 1));
    for (let k = 0; k < count[y]!; k++) {
      const factor = whole[y * most + k]!;
      const start = (first[y]! + k) * stride;
      for (let x = 0; x < stride; x++) sums[x]! += data[start + x]! * factor;
    }
    for (let x = 0; x < stride; x++) found[y * stride + x] = sums[x]! >> PRECISION_BITS;
  }
  return { width, height: wanted, channels, data: new Uint8Array(found.buffer) };
}
