import { expect, test } from "vitest";
import { onWhite, pasteOnWhite } from "../../model/alpha";
import { decode } from "../../model/decode";
import { roundHalfEven } from "../../model/pixels";
import { prepare } from "../../model/preprocess";
import { resize } from "../../model/resize";
import { bytesOf, digest, golden, noiseImage } from "./golden";

/** Kinds that no decoder of ours reads: tests in Chromium hold them to Pillow. */
const BY_THE_BROWSER = new Set(["png_interlaced_4_bit", "png_interlaced_palette"]);

test.each(golden("resize"))(
  "resampling is Pillow's: $size to $to, $filter, box $box",
  ({ size, to, filter, box, sha256 }) => {
    const found = resize(noiseImage(size), ...to, filter, box ?? undefined);
    expect([found.width, found.height, found.data.length]).toEqual([...to, to[0] * to[1] * size[2]]);
    expect(digest(found.data)).toBe(sha256);
  },
);

test.each(golden("preprocess"))("preprocessing is Python's: $size by $preprocess", ({ preprocess, size, sha256 }) => {
  expect(digest(prepare(preprocess, noiseImage(size)))).toBe(sha256);
});

test.each(golden("files").filter(({ name }) => !BY_THE_BROWSER.has(name)))(
  "a file is read as Pillow reads it: $name, ranges $ranges",
  async ({ file, ranges, size, mode, pixels, notes }) => {
    const found = await decode(bytesOf(file), ranges);
    expect([found.pixels.width, found.pixels.height]).toEqual(size);
    expect(found.pixels.channels).toBe(mode === "L" ? 1 : 3);
    expect(found.pixels.data).toEqual(bytesOf(pixels));
    expect(found.notes).toEqual(notes);
  },
);

test("transparent colours on white are Pillow's, for each value and each opacity", () => {
  const { on_white, pasted } = golden("numbers");
  const all = (blend: (value: number, alpha: number) => number): Uint8Array =>
    Uint8Array.from({ length: 65536 }, (_, at) => blend(at >> 8, at & 255));
  expect(digest(all(onWhite))).toBe(on_white);
  expect(digest(all(pasteOnWhite))).toBe(pasted);
});

test("halves are rounded to even numbers", () => {
  for (const [half, rounded] of golden("numbers").halves) expect(roundHalfEven(half) + 0).toBe(rounded);
});
