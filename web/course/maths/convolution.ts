/** Convolution of small matrices as `svertka.engine` computes it: zeros beyond the border, the kernel as it is. */
import { make, type Matrix, type Place, sum } from "./matrix";

/** Cells from one window to the next, and zeros on every side. */
export interface Steps {
  stride: number;
  padding: number;
}

const PLAIN: Steps = { stride: 1, padding: 0 };

/** How many windows fit along one side; below 1 where none does. */
export function outputSize(size: number, kernel: number, { stride, padding }: Steps = PLAIN): number {
  return Math.floor((size + 2 * padding - kernel) / stride) + 1;
}

/** How one output comes about. */
export interface Arithmetic {
  /** Of the window's first cell; negative in the padding. */
  top: number;
  left: number;
  window: Matrix;
  products: Matrix;
  total: number;
}

export function arithmetic(image: Matrix, kernel: Matrix, [row, column]: Place, steps: Steps = PLAIN): Arithmetic {
  const [top, left] = [row * steps.stride - steps.padding, column * steps.stride - steps.padding];
  const window = make(kernel.length, kernel[0]!.length, (k, l) => image[top + k]?.[left + l] ?? 0);
  const products = window.map((line, k) => line.map((value, l) => value * kernel[k]![l]!));
  return { top, left, window, products, total: sum(products) };
}

/** Cross-correlation, which deep learning calls convolution. */
export function correlate(image: Matrix, kernel: Matrix, steps: Steps = PLAIN): number[][] {
  const rows = outputSize(image.length, kernel.length, steps);
  const columns = outputSize(image[0]!.length, kernel[0]!.length, steps);
  return make(Math.max(0, rows), Math.max(0, columns), (p, q) => arithmetic(image, kernel, [p, q], steps).total);
}

/** Whether the window of an output covers a cell of the input. */
export function covers(
  { top, left, window }: Pick<Arithmetic, "top" | "left" | "window">,
  [row, column]: Place,
): boolean {
  return row >= top && column >= left && row < top + window.length && column < left + window[0]!.length;
}
