import { expect, test } from "vitest";
import { fixed } from "../../page/numbers";

// Expected: Python's format().
test.each([
  [1 / 128, 6, "0.007812"],
  [3 / 128, 6, "0.023438"],
  [6.25, 1, "6.2"],
  [6.35, 1, "6.3"],
  [0.35, 1, "0.3"],
  [0.25, 1, "0.2"],
  [0.5, 0, "0"],
  [1.5, 0, "2"],
  [2.5, 0, "2"],
  [99.95, 1, "100.0"],
  [0.9999999, 6, "1.000000"],
  [0, 6, "0.000000"],
  [1, 6, "1.000000"],
  [-0.125, 2, "-0.12"],
])("%d with %i decimals is %s", (value, digits, expected) => {
  expect(fixed(value, digits)).toBe(expected);
});
