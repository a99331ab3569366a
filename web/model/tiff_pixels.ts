/** The numbers of a TIFF as pixels or as deep samples, in the modes that Pillow gives them. */
import { onWhite, timesShare } from "./alpha";
import { bytesOfBits, type Pixels } from "./pixels";
import type { DeepMode, DeepValues, Samples } from "./samples";
import { readRows, TAG, unread, type Tiff } from "./tiff";

enum Photometric {
  whiteIsZero = 0,
  blackIsZero = 1,
  rgb = 2,
  palette = 3,
  cmyk = 5,
}

enum SampleFormat {
  unsigned = 1,
  signed = 2,
  float = 3,
}

/** Meanings of tag ExtraSamples. */
const PREMULTIPLIED = 1;
const ALPHA = 2;
const COREL = 999;

export function decodeTiff(tiff: Tiff): { pixels: Pixels; notes: string[] } | { samples: Samples } {
  const photometric = tiff.tags.get(TAG.photometric)?.[0] ?? Photometric.whiteIsZero;
  const colours = COLOURS[photometric];
  if (!colours || tiff.samples < colours) throw unread(`photometric interpretation ${photometric}`);
  return tiff.bits > 8 ? { samples: deep(tiff, photometric, colours) } : shallow(tiff, photometric, colours);
}

const COLOURS: Record<number, number> = { 0: 1, 1: 1, 2: 3, 3: 1, 5: 4 };

/** What the sample after the colours means: nothing, opacity, or opacity that the colours are multiplied by. */
function alphaOf({ tags, samples }: Tiff, colours: number): "none" | "plain" | "premultiplied" {
  const meaning = tags.get(TAG.extraSamples)?.[0];
  if (samples === colours || meaning === 0) return "none";
  if (meaning === PREMULTIPLIED) return "premultiplied";
  if (meaning === ALPHA || meaning === COREL || (meaning === undefined && colours === 3)) return "plain";
  throw unread(`extra samples ${meaning}`);
}

function shallow(tiff: Tiff, photometric: Photometric, colours: number): { pixels: Pixels; notes: string[] } {
  const { width, height, bits, samples } = tiff;
  if (![1, 2, 4, 8].includes(bits) || (samples > 1 && bits < 8)) throw unread(`${samples} samples of ${bits} bits`);
  const values = unpacked(tiff);
  const alpha = alphaOf(tiff, colours);
  if (colours === 1 && photometric !== Photometric.palette) {
    const factor = 255 / ((1 << bits) - 1);
    for (let at = 0; at < values.length; at += samples) {
      const gray = factor * values[at]!;
      values[at] = photometric === Photometric.whiteIsZero ? 255 - gray : gray;
    }
  }
  const colour = colourReader(tiff, photometric, values, alpha);
  const channels = colours === 1 && photometric !== Photometric.palette && alpha === "none" ? 1 : 3;
  const data = new Uint8Array(width * height * channels);
  for (let pixel = 0, to = 0; pixel < width * height; pixel++) {
    const opacity = alpha === "none" ? 255 : values[pixel * samples + colours]!;
    for (let channel = 0; channel < channels; channel++)
      data[to++] = onWhite(colour(pixel * samples, channel), opacity);
  }
  return { pixels: { width, height, channels, data }, notes: notesOf(photometric, bits, alpha !== "none") };
}

function notesOf(photometric: Photometric, bits: number, hasAlpha: boolean): string[] {
  if (hasAlpha) return ["alpha_composited"];
  if (photometric === Photometric.palette) return ["palette"];
  if (photometric === Photometric.cmyk) return ["cmyk_converted"];
  return photometric === Photometric.rgb ? [] : [bits === 1 ? "bilevel" : "grayscale"];
}

/** A channel of the colour of the pixel whose samples begin somewhere. */
function colourReader(
  { tags, bits, samples }: Tiff,
  photometric: Photometric,
  values: Uint8Array,
  alpha: string,
): (at: number, channel: number) => number {
  if (photometric === Photometric.palette) {
    const map = tags.get(TAG.colourMap) ?? [];
    return (at, channel) => Math.floor((map[(channel << bits) + values[at]!] ?? 0) / 256);
  }
  if (photometric === Photometric.cmyk) {
    return (at, channel) => {
      const white = 255 - values[at + 3]!;
      return Math.max(0, white - timesShare(values[at + channel]!, white));
    };
  }
  const isGray = photometric !== Photometric.rgb;
  const at = (start: number, channel: number): number => start + (isGray ? 0 : channel);
  if (alpha !== "premultiplied") return (start, channel) => values[at(start, channel)]!;
  return (start, channel) => {
    const opacity = values[start + samples - 1]!;
    const value = values[at(start, channel)]!;
    return opacity === 0 || opacity === 255 ? value : Math.min(255, Math.floor((255 * value) / opacity));
  };
}

/** One byte a sample, those of a pixel side by side. */
function unpacked(tiff: Tiff): Uint8Array {
  const { width, height, bits, samples } = tiff;
  const { rows, apart } = readRows(tiff);
  if (bits === 8) return apart ? interleaved(rows, samples) : rows;
  return bytesOfBits(rows, width, height, bits);
}

function interleaved<T extends Uint8Array | DeepValues>(planes: T, samples: number): T {
  const found = planes.slice() as T;
  const pixels = planes.length / samples;
  for (let at = 0; at < planes.length; at++) found[(at % pixels) * samples + Math.floor(at / pixels)] = planes[at]!;
  return found;
}

function deep(tiff: Tiff, photometric: Photometric, colours: number): Samples {
  const { width, height, samples, tags } = tiff;
  if (colours > 3 || photometric === Photometric.palette) throw unread(`${colours} colours of ${tiff.bits} bits`);
  const { mode, values } = numbers(tiff);
  if (colours === 3 ? mode !== "I;16" : samples > 1) throw unread(`${samples} samples of ${tiff.bits} bits`);
  const alpha = alphaOf(tiff, colours);
  const common = { width, height, whiteIsZero: photometric === Photometric.whiteIsZero };
  if (colours === 1) return { ...common, mode, channels: 1, values, declared: declared(tags), alpha: null };
  const kept = new Uint16Array(width * height * 3);
  const opacity = alpha === "none" ? null : new Uint8Array(width * height);
  if (alpha === "premultiplied") throw unread("colours of 16 bits that are multiplied by their opacity");
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++) kept[3 * pixel + channel] = values[pixel * samples + channel]!;
    if (opacity) opacity[pixel] = values[pixel * samples + 3]! >> 8;
  }
  return { ...common, mode: "RGB;16", channels: 3, values: kept, declared: null, whiteIsZero: false, alpha: opacity };
}

function numbers(tiff: Tiff): { mode: DeepMode; values: DeepValues } {
  const { bits, samples, littleEndian, tags } = tiff;
  const format = tags.get(TAG.sampleFormat)?.[0] ?? SampleFormat.unsigned;
  const { rows, rowBytes, apart } = readRows(tiff);
  const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
  const fill = <T extends DeepValues>(found: T, read: (at: number) => number): T => {
    for (let at = 0; at < found.length; at++) found[at] = read((at * bits) / 8);
    return apart ? interleaved(found, samples) : found;
  };
  const count = (8 * rows.length) / bits;
  if (bits === 16 && format === SampleFormat.unsigned) {
    return { mode: "I;16", values: fill(new Uint16Array(count), (at) => view.getUint16(at, littleEndian)) };
  }
  if (bits === 16 && format === SampleFormat.signed) {
    return { mode: "I", values: fill(new Int32Array(count), (at) => view.getInt16(at, littleEndian)) };
  }
  if (bits === 32 && format === SampleFormat.unsigned) {
    return { mode: "I", values: fill(new Uint32Array(count), (at) => view.getUint32(at, littleEndian)) };
  }
  if (bits === 32 && format === SampleFormat.signed) {
    return { mode: "I", values: fill(new Int32Array(count), (at) => view.getInt32(at, littleEndian)) };
  }
  if (bits === 32 && format === SampleFormat.float) {
    return { mode: "F", values: fill(new Float32Array(count), (at) => view.getFloat32(at, littleEndian)) };
  }
  if (bits === 12 && samples === 1) return { mode: "I;16", values: twelveBits(tiff, rows, rowBytes) };
  throw unread(`samples of ${bits} bits, format ${format}`);
}

/** Two samples in three bytes, highest bit first; rows begin with a whole byte. */
function twelveBits({ width, height }: Tiff, rows: Uint8Array, rowBytes: number): Uint16Array {
  const found = new Uint16Array(width * height);
  for (let at = 0; at < found.length; at++) {
    const x = at % width;
    const byte = Math.floor(at / width) * rowBytes + ((3 * x) >> 1);
    found[at] = x % 2 ? ((rows[byte]! & 15) << 8) | rows[byte + 1]! : (rows[byte]! << 4) | (rows[byte + 1]! >> 4);
  }
  return found;
}

/** What tags say is black and white; whether the samples keep to that is seen later. */
function declared(tags: Map<number, number[]>): [number, number] | null {
  const first = (names: readonly number[]): number | undefined =>
    names.map((name) => tags.get(name)?.[0]).find((value) => value !== undefined && Number.isFinite(value));
  const low = first([TAG.least, TAG.leastOfInteger]) ?? 0;
  const high = first([TAG.most, TAG.mostOfInteger]);
  if (high !== undefined && low < high) return [low, high];
  return tags.get(TAG.bits)?.[0] === 12 ? [0, 4095] : null;
}
