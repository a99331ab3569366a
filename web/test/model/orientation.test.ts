import { expect, test } from "vitest";
import { orientationOf, turned } from "../../model/orientation";

/** A directory of one entry: the orientation. */
function exif(orientation: number, littleEndian: boolean, type = 3): Uint8Array {
  const view = new DataView(new ArrayBuffer(26));
  view.setUint16(0, littleEndian ? 0x4949 : 0x4d4d);
  view.setUint16(2, 42, littleEndian);
  view.setUint32(4, 8, littleEndian);
  view.setUint16(8, 1, littleEndian);
  view.setUint16(10, 0x0112, littleEndian);
  view.setUint16(12, type, littleEndian);
  view.setUint32(14, 1, littleEndian);
  if (type === 3) view.setUint16(18, orientation, littleEndian);
  else view.setUint32(18, orientation, littleEndian);
  return new Uint8Array(view.buffer);
}

const text = (words: string): Uint8Array => new TextEncoder().encode(words);

test("the orientation is read in both byte orders, with and without EXIF's own header", () => {
  for (const littleEndian of [true, false]) {
    for (const type of [3, 4]) expect(orientationOf(exif(6, littleEndian, type), null)).toBe(6);
  }
  expect(orientationOf(new Uint8Array([...text("Exif\0\0"), ...exif(3, true)]), null)).toBe(3);
});

test("XMP is asked where EXIF says nothing; nonsense means as it is stored", () => {
  expect(orientationOf(null, text('<x tiff:Orientation="8"/>'))).toBe(8);
  expect(orientationOf(null, text("<tiff:Orientation>5</tiff:Orientation>"))).toBe(5);
  expect(orientationOf(exif(1, true), text('<x tiff:Orientation="8"/>'))).toBe(1);
  expect(orientationOf(exif(77, true), null)).toBe(1);
  expect(orientationOf(text("no directory at all"), null)).toBe(1);
  expect(orientationOf(null, null)).toBe(1);
});

// 1 2 3
// 4 5 6
test.each([
  [1, 3, [1, 2, 3, 4, 5, 6]],
  [2, 3, [3, 2, 1, 6, 5, 4]],
  [3, 3, [6, 5, 4, 3, 2, 1]],
  [4, 3, [4, 5, 6, 1, 2, 3]],
  [5, 2, [1, 4, 2, 5, 3, 6]],
  [6, 2, [4, 1, 5, 2, 6, 3]],
  [7, 2, [6, 3, 5, 2, 4, 1]],
  [8, 2, [3, 6, 2, 5, 1, 4]],
])("orientation %i is turned upright, pixels of several channels too", (orientation, width, expected) => {
  const one = turned({ width: 3, height: 2, channels: 1, data: Uint8Array.of(1, 2, 3, 4, 5, 6) }, orientation);
  expect([one.width, [...one.data]]).toEqual([width, expected]);
  const data = Uint16Array.from({ length: 18 }, (_, at) => 10 * Math.floor(at / 3) + 10 + (at % 3));
  const three = turned({ width: 3, height: 2, channels: 3, data }, orientation);
  expect([...three.data]).toEqual(expected.flatMap((value) => [10 * value, 10 * value + 1, 10 * value + 2]));
});
