/** TIFF files (TIFF 6.0, and its supplements 1 and 2) to the numbers that they hold: directory, strips, tiles. */
import { unzlibSync } from "fflate";
import { Rejected } from "./api";
import { cutOff } from "./containers";
import { unsupported } from "./kinds";
import { orientationOf } from "./orientation";

export interface Tiff {
  bytes: Uint8Array;
  littleEndian: boolean;
  /** Values of the first directory's entries by tag, as far as they matter. */
  tags: Map<number, number[]>;
  /** Counted up to two. */
  pages: number;
  width: number;
  height: number;
  orientation: number;
  /** Samples a pixel, colours and alpha. */
  samples: number;
  /** Of each sample. */
  bits: number;
}

export const TAG = {
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  stripOffsets: 273,
  samples: 277,
  rowsPerStrip: 278,
  stripSizes: 279,
  planes: 284,
  predictor: 317,
  colourMap: 320,
  tileWidth: 322,
  tileHeight: 323,
  tileOffsets: 324,
  tileSizes: 325,
  extraSamples: 338,
  sampleFormat: 339,
  least: 340,
  most: 341,
  leastOfInteger: 280,
  mostOfInteger: 281,
  subfile: 254,
  fillOrder: 266,
  subDirectories: 330,
  xmp: 700,
  dngVersion: 50706,
} as const;

/** What else a file holds, a program's own data of any size, is not read. */
const READ: ReadonlySet<number> = new Set(Object.values(TAG));
const MOST_TILES = 100_000;

/** How many bytes a value of each type takes, and how it is read. */
const TYPES: Record<number, [size: number, read: (view: DataView, at: number, littleEndian: boolean) => number]> = {
  1: [1, (view, at) => view.getUint8(at)],
  2: [1, (view, at) => view.getUint8(at)],
  3: [2, (view, at, order) => view.getUint16(at, order)],
  4: [4, (view, at, order) => view.getUint32(at, order)],
  5: [8, (view, at, order) => view.getUint32(at, order) / view.getUint32(at + 4, order)],
  6: [1, (view, at) => view.getInt8(at)],
  7: [1, (view, at) => view.getUint8(at)],
  8: [2, (view, at, order) => view.getInt16(at, order)],
  9: [4, (view, at, order) => view.getInt32(at, order)],
  10: [8, (view, at, order) => view.getInt32(at, order) / view.getInt32(at + 4, order)],
  11: [4, (view, at, order) => view.getFloat32(at, order)],
  12: [8, (view, at, order) => view.getFloat64(at, order)],
  13: [4, (view, at, order) => view.getUint32(at, order)],
};

export function readTiff(bytes: Uint8Array): Tiff {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const littleEndian = bytes[0] === 0x49;
  if (bytes.length < 8) throw cutOff("TIFF");
  const { tags, next } = readDirectory(view, view.getUint32(4, littleEndian), littleEndian);
  if (tags.has(TAG.dngVersion) || (tags.get(TAG.subfile)?.[0] === 1 && tags.has(TAG.subDirectories)))
    throw unsupported("a camera's raw file");
  const number = (tag: number, otherwise: number): number => tags.get(tag)?.[0] ?? otherwise;
  const bits = tags.get(TAG.bits) ?? [1];
  if (bits.some((each) => each !== bits[0])) throw unread("samples of different depths");
  if (number(TAG.fillOrder, 1) !== 1) throw unread("bits in reverse order");
  const xmp = tags.get(TAG.xmp);
  return {
    bytes,
    littleEndian,
    tags,
    pages: next ? 2 : 1,
    width: number(TAG.width, 0),
    height: number(TAG.height, 0),
    orientation: orientationOf(bytes, xmp ? Uint8Array.from(xmp) : null),
    samples: number(TAG.samples, 1),
    bits: bits[0]!,
  };
}

function readDirectory(
  view: DataView,
  start: number,
  littleEndian: boolean,
): { tags: Map<number, number[]>; next: number } {
  if (start + 2 > view.byteLength) throw cutOff("TIFF");
  const tags = new Map<number, number[]>();
  const count = view.getUint16(start, littleEndian);
  if (start + 2 + 12 * count > view.byteLength) throw cutOff("TIFF");
  for (let at = start + 2; at < start + 2 + 12 * count; at += 12) {
    const type = TYPES[view.getUint16(at + 2, littleEndian)];
    const values = view.getUint32(at + 4, littleEndian);
    if (!type) continue;
    const [size, read] = type;
    const from = size * values > 4 ? view.getUint32(at + 8, littleEndian) : at + 8;
    if (from + size * values > view.byteLength) throw cutOff("TIFF");
    const tag = view.getUint16(at, littleEndian);
    if (!READ.has(tag)) continue;
    tags.set(
      tag,
      Array.from({ length: values }, (_, index) => read(view, from + size * index, littleEndian)),
    );
  }
  const end = start + 2 + 12 * count;
  return { tags, next: end + 4 <= view.byteLength ? view.getUint32(end, littleEndian) : 0 };
}

/** A part of the picture that is stored in one piece: a strip is a tile as wide as the picture. */
interface Piece {
  left: number;
  top: number;
  width: number;
  /** Of the piece as it is stored; a tile may reach beyond the picture. */
  height: number;
  plane: number;
  offset: number;
  size: number;
}

/**
 * The picture's bytes: rows [height × rowBytes] as they would lie in an uncompressed strip; where planes are stored apart,
 * one plane after the other.
 */
export function readRows(tiff: Tiff): { rows: Uint8Array; rowBytes: number; apart: boolean } {
  const { width, height, samples, bits, tags } = tiff;
  const apart = samples > 1 && tags.get(TAG.planes)?.[0] === 2;
  const together = apart ? 1 : samples;
  const rowBytes = Math.ceil((width * together * bits) / 8);
  const rows = new Uint8Array(rowBytes * height * (apart ? samples : 1));
  for (const piece of pieces(tiff, apart)) {
    const pieceRow = Math.ceil((piece.width * together * bits) / 8);
    const inside = Math.min(piece.height, height - piece.top);
    const stored = decompressed(tiff, piece, pieceRow * (piece.width === width ? inside : piece.height));
    undoPredictor(stored, tiff, pieceRow, together);
    const left = (piece.left * together * bits) / 8;
    const count = Math.min(pieceRow, rowBytes - left);
    for (let y = 0; y < inside; y++) {
      const to = (piece.plane * height + piece.top + y) * rowBytes + left;
      rows.set(stored.subarray(y * pieceRow, y * pieceRow + count), to);
    }
  }
  return { rows, rowBytes, apart };
}

function pieces({ tags, width, height, samples }: Tiff, apart: boolean): Piece[] {
  const tiled = tags.has(TAG.tileOffsets);
  const offsets = tags.get(tiled ? TAG.tileOffsets : TAG.stripOffsets);
  const sizes = tags.get(tiled ? TAG.tileSizes : TAG.stripSizes);
  const wide = tiled ? tags.get(TAG.tileWidth)?.[0] : width;
  const high = tiled ? tags.get(TAG.tileHeight)?.[0] : Math.min(height, tags.get(TAG.rowsPerStrip)?.[0] ?? height);
  if (!offsets || !sizes || !wide || !high)
    throw new Rejected("damaged", "its header cannot be decoded (no strips or tiles)");
  if (offsets.length > MOST_TILES) {
    throw new Rejected("too_large", `a TIFF of ${offsets.length} strips or tiles; at most ${MOST_TILES} are read`);
  }
  const [across, down] = [Math.ceil(width / wide), Math.ceil(height / high)];
  return Array.from({ length: across * down * (apart ? samples : 1) }, (_, at) => {
    if (offsets[at] === undefined || sizes[at] === undefined) throw cutOff("TIFF");
    const place = at % (across * down);
    const [left, top] = [(place % across) * wide, Math.floor(place / across) * high];
    const plane = Math.floor(at / (across * down));
    return { left, top, width: wide, height: high, plane, offset: offsets[at], size: sizes[at] };
  });
}

function decompressed({ bytes, tags }: Tiff, { offset, size }: Piece, expected: number): Uint8Array {
  if (offset + size > bytes.length) throw cutOff("TIFF");
  const stored = bytes.subarray(offset, offset + size);
  const compression = tags.get(TAG.compression)?.[0] ?? 1;
  const decoder = DECODERS[compression];
  if (!decoder) throw unread(`compression ${COMPRESSIONS[compression] ?? compression}`);
  const found = decoder(stored, expected);
  if (found.length < expected) throw cutOff("TIFF");
  return found.slice(0, expected);
}

const COMPRESSIONS: Record<number, string> = {
  2: "CCITT",
  3: "CCITT",
  4: "CCITT",
  6: "JPEG",
  7: "JPEG",
  50000: "Zstandard",
};

const DECODERS: Record<number, (stored: Uint8Array, expected: number) => Uint8Array> = {
  1: (stored) => stored,
  5: unLzw,
  8: unDeflate,
  32946: unDeflate,
  32773: unPackBits,
};

/** No more than is expected is kept: a small piece may stand for gigabytes. */
function unDeflate(stored: Uint8Array, expected: number): Uint8Array {
  return unzlibSync(stored, { out: new Uint8Array(expected) });
}

/**
 * TIFF's LZW (section 13): codes of 9 to 12 bits, highest bit first; their width grows one code early.
 *
 * The text of a code was written before, with one more byte behind it: it is remembered by its place.
 */
function unLzw(stored: Uint8Array, expected: number): Uint8Array {
  const found = new Uint8Array(expected);
  const starts = new Int32Array(4096);
  const lengths = new Int32Array(4096);
  let at = 0;
  let width = 9;
  let next = FIRST_CODE;
  let last: { start: number; length: number } | null = null;
  for (let bit = 0; at < expected && bit + width <= 8 * stored.length;) {
    const byte = bit >> 3;
    const window = (stored[byte]! << 16) | ((stored[byte + 1] ?? 0) << 8) | (stored[byte + 2] ?? 0);
    const code = (window >> (24 - width - (bit & 7))) & ((1 << width) - 1);
    bit += width;
    if (code === END_CODE) break;
    if (code === CLEAR_CODE) {
      [width, next, last] = [9, FIRST_CODE, null];
      continue;
    }
    if (last && next < 4096) {
      starts[next] = last.start;
      lengths[next++] = last.length + 1;
      if (next >= (1 << width) - 1 && width < 12) width++;
    }
    if (code >= next) throw new Error("an LZW code before its time");
    const start = at;
    if (code < CLEAR_CODE) found[at++] = code;
    else for (let k = 0; k < lengths[code]! && at < expected; k++) found[at++] = found[starts[code]! + k]!;
    last = { start, length: at - start };
  }
  return found.subarray(0, at);
}

const CLEAR_CODE = 256;
const END_CODE = 257;
const FIRST_CODE = 258;

/** PackBits (section 9): a count and as many bytes, or a negative count and one byte that is repeated. */
function unPackBits(stored: Uint8Array, expected: number): Uint8Array {
  const found = new Uint8Array(expected);
  let to = 0;
  for (let at = 0; at < stored.length && to < expected;) {
    const count = (stored[at]! << 24) >> 24;
    if (count >= 0) {
      found.set(stored.subarray(at + 1, at + 2 + Math.min(count, expected - to - 1)), to);
      to += Math.min(count + 1, stored.length - at - 1);
      at += count + 2;
    } else if (count === -128) at++;
    else {
      found.fill(stored[at + 1] ?? 0, to, to + 1 - count);
      to += 1 - count;
      at += 2;
    }
  }
  return found.subarray(0, Math.min(to, expected));
}

/** Samples that were stored as differences to those before, row by row: 2 whole numbers, 3 floats byte by byte. */
function undoPredictor(stored: Uint8Array, tiff: Tiff, rowBytes: number, together: number): void {
  const { bits, littleEndian, tags } = tiff;
  const predictor = tags.get(TAG.predictor)?.[0] ?? 1;
  if (predictor === 1) return;
  if ((predictor !== 2 && predictor !== 3) || bits % 8) throw unread(`predictor ${predictor} of ${bits} bits`);
  for (let start = 0; start < stored.length; start += rowBytes) {
    const row = stored.subarray(start, start + rowBytes);
    if (predictor === 3) sumFloats(row, bits / 8, together, littleEndian);
    else sumWhole(row, bits / 8, together, littleEndian);
  }
}

function sumWhole(row: Uint8Array, size: number, step: number, littleEndian: boolean): void {
  for (let sample = step; sample < row.length / size; sample++) {
    let carry = 0;
    for (let k = 0; k < size; k++) {
      const at = sample * size + (littleEndian ? k : size - 1 - k);
      carry += row[at]! + row[at - step * size]!;
      row[at] = carry;
      carry >>= 8;
    }
  }
}

function sumFloats(row: Uint8Array, size: number, step: number, littleEndian: boolean): void {
  for (let at = step; at < row.length; at++) row[at]! += row[at - step]!;
  const planes = row.slice();
  const count = row.length / size;
  for (let sample = 0; sample < count; sample++) {
    for (let k = 0; k < size; k++) row[sample * size + (littleEndian ? size - 1 - k : k)] = planes[k * count + sample]!;
  }
}

export function unread(what: string): Rejected {
  return new Rejected(
    "unsupported",
    `TIFF with a kind of pixels that is not read (${what}); save it as 8 or 16 bit, gray or RGB`,
  );
}
