/** One convolution that learns: forward, loss, gradients, one step. */
import { correlate } from "./convolution";
import { map, type Matrix, replaced, type Place, sum } from "./matrix";

export interface Pass {
  output: Matrix;
  /** Output minus target. */
  error: Matrix;
  /** Mean of the squared errors. */
  loss: number;
  /** Of the loss by each output: 2 · error / number of outputs. */
  outputGradient: Matrix;
  /** Of the loss by each weight: the input, cross-correlated with the outputs' gradient. */
  kernelGradient: Matrix;
}

export function pass(image: Matrix, kernel: Matrix, target: Matrix): Pass {
  const output = correlate(image, kernel);
  const error = map(output, (value, row, column) => value - target[row]![column]!);
  const count = error.flat().length;
  const loss = sum(map(error, (value) => value * value)) / count;
  const outputGradient = map(error, (value) => (2 * value) / count);
  return { output, error, loss, outputGradient, kernelGradient: correlate(image, outputGradient) };
}

/** The kernel after one step of gradient descent. */
export function step(kernel: Matrix, gradient: Matrix, rate: number): number[][] {
  return map(kernel, (weight, row, column) => weight - rate * gradient[row]![column]!);
}

/** The loss where one weight is a little larger, and a little smaller. */
export function nudged(image: Matrix, kernel: Matrix, target: Matrix, at: Place, by: number): [number, number] {
  const weight = kernel[at[0]]![at[1]]!;
  const loss = (value: number) => pass(image, replaced(kernel, at, value), target).loss;
  return [loss(weight + by), loss(weight - by)];
}
