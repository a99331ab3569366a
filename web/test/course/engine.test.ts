/** The course's pages compute what the NumPy engine computes (`python -m svertka.course.site_golden`). */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { channelMap, type Three } from "../../course/maths/channels";
import { Chance } from "../../model/chance";
import { arithmetic, correlate, outputSize } from "../../course/maths/convolution";
import { pass, step } from "../../course/maths/learning";
import { make, map, type Matrix, type Place, turned } from "../../course/maths/matrix";
import { correlatePlane } from "../../course/maths/planes";
import { pool, pooled, type Pooling } from "../../course/maths/pooling";

interface Golden {
  convolution: {
    shape: [number, number, number, number];
    padding: number;
    stride: number;
    turn: boolean;
    seed: number;
    output: Matrix;
    at: Place;
    top: number;
    left: number;
    window: Matrix;
    products: Matrix;
  }[];
  sizes: { of: [number, number, number, number]; output: number }[];
  pooling: {
    size: [number, number];
    side: number;
    stride: number;
    kind: Pooling;
    seed: number;
    output: Matrix;
    at: Place;
    winner: Place | null;
    ties: number;
    value: number;
  }[];
  learning: {
    size: number;
    side: number;
    seed: number;
    output: Matrix;
    loss: number;
    gradient: Matrix;
    after: number;
  }[];
  channels: { size: [number, number]; side: number; seed: number; output: Matrix }[];
  planes: { name: string; kernel: Matrix; size: [number, number]; seed: number; output: Matrix }[];
}

const golden = JSON.parse(readFileSync(new URL("./golden.json", import.meta.url), "utf8")) as Golden;

function drawn(rows: number, columns: number, seed: number, low = -4, high = 9): number[][] {
  const chance = new Chance(seed);
  return make(rows, columns, () => chance.whole(low, high));
}

/** Minus zero is zero. */
function plain(matrix: Matrix): number[][] {
  return map(matrix, (value) => value + 0 || 0);
}

function near(found: Matrix, expected: Matrix, digits = 9) {
  expect(found.length).toBe(expected.length);
  found.flat().forEach((value, at) => expect(value).toBeCloseTo(expected.flat()[at]!, digits));
}

test("there are enough cases", () => {
  expect(Object.values(golden).reduce((count, cases) => count + cases.length, 0)).toBeGreaterThan(2000);
});

test("convolution, and how one output comes about", () => {
  for (const { shape, padding, stride, turn, seed, output, at, ...parts } of golden.convolution) {
    const image = drawn(shape[0], shape[1], seed);
    const given = drawn(shape[2], shape[3], seed + 10_000);
    const kernel = turn ? turned(given) : given;
    const steps = { padding, stride };
    expect(plain(correlate(image, kernel, steps))).toEqual(output);
    const found = arithmetic(image, kernel, at, steps);
    expect([found.top, found.left]).toEqual([parts.top, parts.left]);
    expect(plain(found.window)).toEqual(parts.window);
    expect(plain(found.products)).toEqual(parts.products);
    expect(found.total).toBe(output[at[0]]![at[1]]);
  }
});

test("sizes", () => {
  for (const { of, output } of golden.sizes) {
    const [size, kernel, padding, stride] = of;
    expect(Math.max(0, outputSize(size, kernel, { padding, stride })), String(of)).toBe(output);
  }
});

test("pooling, and which number won", () => {
  for (const { size, side, stride, kind, seed, output, at, winner, ties, value } of golden.pooling) {
    const image = drawn(...size, seed);
    near(pool(image, kind, side, stride), output);
    const found = pooled(image, kind, side, stride, at);
    expect([found.winner, found.ties]).toEqual([winner, ties]);
    expect(found.value).toBeCloseTo(value, 9);
  }
});

test("loss, gradient and one step", () => {
  for (const { size, side, seed, output, loss, gradient, after } of golden.learning) {
    const outputs = size - side + 1;
    const [image, kernel] = [drawn(size, size, seed), drawn(side, side, seed + 10_000, -2, 2)];
    const target = drawn(outputs, outputs, seed + 20_000);
    const found = pass(image, kernel, target);
    expect(plain(found.output)).toEqual(output);
    expect(found.loss).toBeCloseTo(loss, 9);
    near(found.kernelGradient, gradient);
    const stepped = step(kernel, found.kernelGradient, 0.05);
    expect(pass(image, stepped, target).loss / after).toBeCloseTo(1, 9);
  }
});

test("three channels add up to one output", () => {
  for (const { size, side, seed, output } of golden.channels) {
    const channels = [0, 1, 2].map((channel) =>
      correlate(drawn(...size, seed + 1000 * channel), drawn(side, side, seed + 5000 + 1000 * channel, -2, 2)),
    );
    expect(plain(map(channels[0]!, (value, r, c) => value + channels[1]![r]![c]! + channels[2]![r]![c]!))).toEqual(
      output,
    );
    if (side === 3) near(inner(size, seed), output);
  }
});

/** The map of a whole picture without its border, where no zeros are met. */
function inner([height, width]: [number, number], seed: number): number[][] {
  const planes = [0, 1, 2].map((channel) => drawn(height, width, seed + 1000 * channel).flat());
  const kernels = [0, 1, 2].map((channel) => drawn(3, 3, seed + 5000 + 1000 * channel, -2, 2));
  const found = channelMap(planes as unknown as Three<number[]>, width, height, kernels as unknown as Three<Matrix>);
  return make(height - 2, width - 2, (row, column) => found[(row + 1) * width + column + 1]!);
}

test("named kernels on a photograph's plane", () => {
  for (const { name, kernel, size, seed, output } of golden.planes) {
    const [height, width] = size;
    const chance = new Chance(seed);
    const data = Array.from({ length: height * width }, () => chance.byte());
    const found = correlatePlane({ width, height, data }, kernel);
    output.flat().forEach((value, at) => expect(Math.abs(found[at]! - value), name).toBeLessThan(2e-3));
  }
});
