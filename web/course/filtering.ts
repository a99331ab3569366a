/** What a kernel makes of a photograph. */
import { matrixOf, type Values } from "./address";
import { type Matrix, sum } from "./maths/matrix";
import { correlatePlane, gray } from "./maths/planes";
import { inColour, magnitude, type Pixels, signed } from "./paint";
import type { Photograph } from "./photograph";

/** Differences from left to right. */
export const SOBEL: Matrix = [
  [-1, 0, 1],
  [-2, 0, 2],
  [-1, 0, 1],
];

/** The kernel in the address. */
export function kernelOf(values: Values): Matrix {
  return matrixOf(values.kernel, 3, 3) ?? SOBEL;
}

/** Whether an even surface gives 0: such a kernel tells of differences, and its result has a sign. */
export function isAboutDifferences(kernel: Matrix): boolean {
  return Math.abs(sum(kernel)) < 1e-6;
}

/** What a kernel makes of a photograph: differences in brightness with their sign, else the colours. */
export function filtered(photograph: Photograph, kernel: Matrix): Pixels {
  const { width, height, planes } = photograph;
  if (isAboutDifferences(kernel)) {
    const plane = correlatePlane({ width, height, data: gray(planes) }, kernel);
    return signed(plane, magnitude(plane));
  }
  const [red, green, blue] = planes.map((data) => correlatePlane({ width, height, data }, kernel));
  return inColour([red!, green!, blue!]);
}
