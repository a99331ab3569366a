import { expect, test } from "vitest";
import { colours, scaleOf } from "../../page/heat";

test("the scale ends at the largest number, either way, and weak maps look weak", () => {
  expect(
    scaleOf([
      [0.5, -2],
      [1, 0],
    ]),
  ).toBe(2);
  expect(scaleOf([[0.1, -0.2]])).toBe(1);
});

test("what speaks for is red, what against blue, and nothing is clear", () => {
  const pixels = colours([[2, -2, 0, 4]], 2);
  const [red, , blue, alpha] = pixels.slice(0, 4);
  expect(red! > blue!).toBe(true);
  expect(alpha).toBe(255);
  expect(pixels[6]! > pixels[4]!).toBe(true);
  expect(pixels[11]).toBe(0);
  expect(pixels[15]).toBe(255); // beyond the scale there is no more colour
});

test("a map of nothing has no colour", () => {
  expect([...colours([[0, 0]], 0)].filter((_, at) => at % 4 === 3)).toEqual([0, 0]);
});
