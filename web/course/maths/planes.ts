/** Convolution of a photograph's planes: numbers in one row after the other, zeros beyond the border. */
import type { Matrix } from "./matrix";

export interface Plane {
  width: number;
  height: number;
  /** [height × width]. */
  data: ArrayLike<number>;
}

/**
 * Lays the kernel on every pixel; the result is as large as the plane where the kernel's sides are odd.
 * Adds to `into`, if it is given.
 */
export function correlatePlane(plane: Plane, kernel: Matrix, into?: Float32Array): Float32Array {
  const { width, height, data } = plane;
  const found = into ?? new Float32Array(width * height);
  const [up, back] = [Math.floor(kernel.length / 2), Math.floor(kernel[0]!.length / 2)];
  kernel.forEach((line, k) =>
    line.forEach((weight, l) => {
      if (weight === 0) return;
      const [down, right] = [k - up, l - back];
      const [from, to] = [Math.max(0, -right), Math.min(width, width - right)];
      for (let y = Math.max(0, -down); y < Math.min(height, height - down); y++) {
        const row = y * width;
        const seen = (y + down) * width + right;
        for (let x = from; x < to; x++) found[row + x]! += weight * data[seen + x]!;
      }
    }),
  );
  return found;
}

/** Brightness as the eye weighs colours (ITU-R BT.601). */
export function gray(planes: readonly [ArrayLike<number>, ArrayLike<number>, ArrayLike<number>]): Float32Array {
  const [red, green, blue] = planes;
  return Float32Array.from(red, (value, at) => 0.299 * value + 0.587 * green[at]! + 0.114 * blue[at]!);
}
