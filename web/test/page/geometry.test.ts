import { expect, test } from "vitest";
import { isWhole, viewOf } from "../../page/geometry";
import { preprocess } from "./facts";

const WHOLE = { left: 0, top: 0, width: 1, height: 1 };

test("squash shows the whole image on the whole square", () => {
  expect(viewOf(preprocess({}), 400, 100)).toEqual({ ofSquare: WHOLE, ofImage: WHOLE });
});

test("crop shows the middle of the longer side", () => {
  const { ofSquare, ofImage } = viewOf(preprocess({ resize: "crop" }), 400, 100);
  expect(ofSquare).toEqual(WHOLE);
  expect(ofImage).toEqual({ left: 0.375, top: 0, width: 0.25, height: 1 });
});

// Expected: the box that data/preprocess.py hands to Pillow, divided by the sides.
test("crop of a part is rounded to pixels of the scaled image, as timm does it", () => {
  const { ofImage } = viewOf(preprocess({ resize: "crop", crop_pct: 0.875 }), 500, 375);
  expect(ofImage.left * 500).toBeCloseTo(85.04398826979472, 9);
  expect((ofImage.left + ofImage.width) * 500).toBeCloseTo(413.48973607038124, 9);
  expect(ofImage.top * 375).toBeCloseTo(23.4375, 9);
  expect((ofImage.top + ofImage.height) * 375).toBeCloseTo(351.5625, 9);
});

test("pad shows the image on a part of the square", () => {
  const { ofSquare, ofImage } = viewOf(preprocess({ resize: "pad" }), 400, 100);
  expect(ofImage).toEqual(WHOLE);
  expect(ofSquare).toEqual({ left: 0, top: 84 / 224, width: 1, height: 56 / 224 });
});

test("a strip is at least a pixel of the square", () => {
  expect(viewOf(preprocess({ resize: "pad" }), 100_000, 1).ofSquare.height).toBe(1 / 224);
});

test("halves are rounded to even, as Python rounds them", () => {
  expect(viewOf(preprocess({ resize: "pad", size_px: 32 }), 64, 33).ofSquare.height).toBe(16 / 32);
  expect(viewOf(preprocess({ resize: "pad", size_px: 32 }), 64, 35).ofSquare.height).toBe(18 / 32);
});

test("what is whole", () => {
  expect(isWhole(WHOLE)).toBe(true);
  expect(isWhole({ ...WHOLE, width: 0.99 })).toBe(false);
});
