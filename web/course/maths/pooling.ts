/** Pooling of small matrices as `svertka.engine` computes it, without padding. */
import { outputSize } from "./convolution";
import { make, type Matrix, type Place, sum } from "./matrix";

export type Pooling = "max" | "mean";

/** How one output comes about. */
export interface Pooled {
  top: number;
  left: number;
  window: Matrix;
  value: number;
  /** In the input: the largest number, the first of several row by row; null for a mean. */
  winner: Place | null;
  /** How many numbers are as large as the winner, itself included; 0 for a mean. */
  ties: number;
}

export function pooled(image: Matrix, kind: Pooling, side: number, stride: number, [row, column]: Place): Pooled {
  const [top, left] = [row * stride, column * stride];
  const window = make(side, side, (k, l) => image[top + k]![left + l]!);
  const flat = window.flat();
  if (kind === "mean") {
    const value = sum(window) / flat.length;
    return { top, left, window, value, winner: null, ties: 0 };
  }
  const value = Math.max(...flat);
  const first = flat.indexOf(value);
  const winner: Place = [top + Math.floor(first / side), left + (first % side)];
  return { top, left, window, value, winner, ties: flat.filter((each) => each === value).length };
}

export function pool(image: Matrix, kind: Pooling, side: number, stride: number): number[][] {
  const rows = outputSize(image.length, side, { stride, padding: 0 });
  const columns = outputSize(image[0]!.length, side, { stride, padding: 0 });
  return make(rows, columns, (p, q) => pooled(image, kind, side, stride, [p, q]).value);
}
