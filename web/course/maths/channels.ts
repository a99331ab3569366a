/** One filter on several channels: a convolution for each, and their sum. */
import { map, type Matrix, sum } from "./matrix";
import { correlatePlane } from "./planes";

/** Red, green and blue. */
export type Three<T> = readonly [T, T, T];

/** A pattern in space times a weighing of the colours. */
export interface ChannelFilter {
  kernels: Three<Matrix>;
}

const PATTERNS: readonly Matrix[] = [
  [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
  [[1, 1, 1], [1, 1, 1], [1, 1, 1]],
  [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
  [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
  [[0, 1, 2], [-1, 0, 1], [-2, -1, 0]],
  [[2, 1, 0], [1, 0, -1], [0, -1, -2]],
  [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
  [[-1, -1, -1], [2, 2, 2], [-1, -1, -1]],
]; // prettier-ignore
const COLOURS: readonly Three<number>[] = [
  [1, 1, 1],
  [1, -1, 0],
  [-1, -1, 2],
  [0, 1, 0],
];
export const COLUMNS = PATTERNS.length;

/** 32 filters: each row weighs the colours in its way, each column looks for one pattern. */
export const FILTERS: readonly ChannelFilter[] = COLOURS.flatMap((weights) =>
  PATTERNS.map((pattern) => ({
    kernels: weights.map((weight) => map(pattern, (value) => weight * value || 0)) as unknown as Three<Matrix>,
  })),
);

/** The map of one filter; zeros beyond the border, as large as the picture. */
export function channelMap(planes: Three<ArrayLike<number>>, width: number, height: number, kernels: Three<Matrix>) {
  const found = new Float32Array(width * height);
  planes.forEach((data, channel) => correlatePlane({ width, height, data }, kernels[channel]!, found));
  return found;
}

/** The sum of products in one channel. */
export function channelSum(window: Matrix, kernel: Matrix): number {
  return sum(map(window, (value, k, l) => value * kernel[k]![l]!));
}

/** Weights and biases of a convolution. */
export function parameters(filters: number, channels: number, side: number): number {
  return filters * (side * side * channels + 1);
}
