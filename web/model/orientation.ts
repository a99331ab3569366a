/**
 * Which way up an image is, as cameras note it, and turning it.
 *
 * EXIF's tag 274 (CIPA DC-008, section 4.6.4), or, where it is missing, `tiff:Orientation` of XMP, as Pillow reads it.
 */
import { latin, startsWith } from "./kinds";

const ORIENTATION = 0x0112;

/**
 * 1 (as stored) to 8.
 *
 * @param exif a TIFF directory, with or without "Exif\0\0" in front.
 * @param xmp text in XML.
 */
export function orientationOf(exif: Uint8Array | null, xmp: Uint8Array | null): number {
  const noted = exif && fromExif(exif);
  if (noted !== null) return noted >= 1 && noted <= 8 ? noted : 1;
  const found = xmp && /tiff:Orientation(?:="|>)([0-9])/.exec(latin(xmp));
  const number = Number(found?.[1] ?? 1);
  return number >= 1 && number <= 8 ? number : 1;
}

function fromExif(exif: Uint8Array): number | null {
  let tiff = exif;
  while (startsWith(tiff, "Exif\0\0", 0)) tiff = tiff.subarray(6);
  const place = tiff.length >= 8 ? findTag(tiff, ORIENTATION) : null;
  if (!place) return null;
  const { view, at, littleEndian } = place;
  const type = view.getUint16(at + 2, littleEndian);
  if (type === 3) return view.getUint16(at + 8, littleEndian);
  if (type === 4) return view.getUint32(at + 8, littleEndian);
  return type === 1 ? view.getUint8(at + 8) : 1;
}

/** Where an entry of the first directory of a TIFF lies; null if it isn't there. */
function findTag(tiff: Uint8Array, tag: number): { view: DataView; at: number; littleEndian: boolean } | null {
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const littleEndian = startsWith(tiff, "II", 0);
  if (tiff.length < 8 || (!littleEndian && !startsWith(tiff, "MM", 0))) return null;
  const start = view.getUint32(4, littleEndian);
  if (start + 2 > tiff.length) return null;
  const entries = view.getUint16(start, littleEndian);
  for (let entry = 0, at = start + 2; entry < entries && at + 12 <= tiff.length; entry++, at += 12) {
    if (view.getUint16(at, littleEndian) === tag) return { view, at, littleEndian };
  }
  return null;
}

/** Numbers of an image, row by row, `channels` side by side. */
export interface Plane<T> {
  width: number;
  height: number;
  channels: number;
  data: T;
}

/** The image as it should be seen; itself where it is stored so. */
export function turned<T extends Uint8Array | Uint16Array | Int32Array | Uint32Array | Float32Array>(
  image: Plane<T>,
  orientation: number,
): Plane<T> {
  const { width, height, channels, data } = image;
  const walk = WALKS[orientation]?.(width, height);
  if (!walk) return image;
  const [wide, high] = orientation >= 5 ? [height, width] : [width, height];
  const found = new (data.constructor as new (length: number) => T)(data.length);
  const across = walk.across * channels;
  let out = 0;
  for (let y = 0; y < high; y++) {
    let at = (walk.start + y * walk.down) * channels;
    for (let x = 0; x < wide; x++, at += across) {
      for (let channel = 0; channel < channels; channel++) found[out++] = data[at + channel]!;
    }
  }
  return { width: wide, height: high, channels, data: found };
}

/** In the stored image: the first pixel of the turned one, and how far the next one lies, to its right and below it. */
interface Walk {
  start: number;
  across: number;
  down: number;
}

const WALKS: Record<number, (width: number, height: number) => Walk> = {
  2: (width) => ({ start: width - 1, across: -1, down: width }),
  3: (width, height) => ({ start: width * height - 1, across: -1, down: -width }),
  4: (width, height) => ({ start: width * (height - 1), across: 1, down: -width }),
  5: (width) => ({ start: 0, across: width, down: 1 }),
  6: (width, height) => ({ start: width * (height - 1), across: -width, down: 1 }),
  7: (width, height) => ({ start: width * height - 1, across: -width, down: -1 }),
  8: (width) => ({ start: width - 1, across: width, down: -1 }),
};
