/** What the headers of WebP, AVIF, GIF and BMP tell before anything is decoded. */
import { Rejected } from "./api";
import { latin, startsWith } from "./kinds";
import { orientationOf } from "./orientation";
import { concat } from "./protobuf";

/** A file that the browser decodes, prepared so that it gives the pixels as they are stored. */
export interface Container {
  width: number;
  height: number;
  /** To be turned by this afterwards; 1 where the decoder does all there is to do. */
  orientation: number;
  /** The file, without what would make the decoder turn it by itself. */
  bytes: Uint8Array;
  /** Whether all colours are gray, as Pillow's mode L. */
  isGray: boolean;
  hasAlpha: boolean;
  notes: string[];
  /** Whether the file is shorter than it says; asked where it cannot be decoded. */
  endsEarly: () => boolean;
}

const never = (): boolean => false;

/** A WebP's chunks (RFC 9649). The EXIF chunk gets another name, so that no decoder turns the image. */
export function readWebp(bytes: Uint8Array): Container {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (8 + view.getUint32(4, true) > bytes.length) throw cutOff("WebP");
  const copy = bytes.slice();
  const parts = new Map<string, Uint8Array>();
  for (let at = 12; at + 8 <= bytes.length;) {
    const name = latin(bytes.subarray(at, at + 4));
    const size = view.getUint32(at + 4, true);
    if (!parts.has(name)) parts.set(name, bytes.subarray(at + 8, at + 8 + size));
    if (name === "EXIF") copy.set([0x65, 0x78, 0x69, 0x66], at);
    at += 8 + size + (size % 2);
  }
  const extended = parts.get("VP8X");
  const isAnimated = parts.has("ANMF");
  return {
    ...webpSize(parts),
    orientation: orientationOf(parts.get("EXIF") ?? null, parts.get("XMP ") ?? null),
    bytes: copy,
    isGray: false,
    hasAlpha: extended ? Boolean(extended[0]! & 0x10) : hasLosslessAlpha(parts.get("VP8L")),
    notes: isAnimated ? ["first_frame"] : [],
    endsEarly: never,
  };
}

function webpSize(parts: Map<string, Uint8Array>): { width: number; height: number } {
  const extended = parts.get("VP8X");
  const lossless = parts.get("VP8L");
  const lossy = parts.get("VP8 ");
  const little = (bytes: Uint8Array, at: number, count: number): number =>
    [...bytes.subarray(at, at + count)].reduceRight((value, byte) => value * 256 + byte, 0);
  if (extended && extended.length >= 10)
    return { width: 1 + little(extended, 4, 3), height: 1 + little(extended, 7, 3) };
  if (lossless && lossless.length >= 5) {
    const sides = little(lossless, 1, 4);
    return { width: 1 + (sides & 0x3fff), height: 1 + ((sides >>> 14) & 0x3fff) };
  }
  if (lossy && lossy.length >= 10) return { width: little(lossy, 6, 2) & 0x3fff, height: little(lossy, 8, 2) & 0x3fff };
  throw new Rejected("damaged", "its header cannot be decoded (a WebP without an image)");
}

function hasLosslessAlpha(chunk: Uint8Array | undefined): boolean {
  return chunk !== undefined && Boolean((chunk[4] ?? 0) & 0x10);
}

/** An AVIF's properties (ISO/IEC 23008-12): the decoder turns it by them, whatever its EXIF says; so does Pillow. */
export function readAvif(bytes: Uint8Array): Container {
  const meta = findBox(bytes, "meta", 0, bytes.length);
  const text = meta ? latin(bytes.subarray(meta.start, meta.end)) : "";
  const at = text.indexOf("ispe");
  if (meta && meta.end > bytes.length) throw cutOff("AVIF");
  if (!meta || at < 0) throw new Rejected("damaged", "its header cannot be decoded (an AVIF without a size)");
  const view = new DataView(bytes.buffer, bytes.byteOffset + meta.start + at, 16);
  const hasAlpha = text.includes("urn:mpeg:mpegB:cicp:systems:auxiliary:alpha");
  const coded = [...text.matchAll(/av1C/g)].map(({ index }) => bytes[meta.start + index + 6]!); // alpha has one of its own
  const isGray = !hasAlpha && coded.every((flags) => Boolean(flags & 0x10));
  const turn = text.indexOf("irot");
  const isTurned = text.includes("imir") || (turn >= 0 && (text.charCodeAt(turn + 4) & 3) !== 0);
  return {
    width: view.getUint32(8),
    height: view.getUint32(12),
    orientation: 1,
    bytes,
    isGray,
    hasAlpha,
    notes: [
      ...(isGray ? ["grayscale"] : []),
      ...(isTurned ? ["exif_rotated"] : []),
      ...(startsWith(bytes, "avis", 8) ? ["first_frame"] : []),
    ],
    endsEarly: () => boxesReach(bytes) > bytes.length,
  };
}

/** Where the last of the boxes ends that follow each other. */
function boxesReach(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at + 8 <= bytes.length) {
    const size = view.getUint32(at);
    if (size === 1 && at + 16 > bytes.length) return Infinity;
    const reach = size === 0 ? bytes.length - at : size === 1 ? Number(view.getBigUint64(at + 8)) : size;
    if (reach < (size === 1 ? 16 : 8)) return 0; // shorter than its own header: the next one would never come
    at += reach;
  }
  return at < bytes.length ? Infinity : at; // a header that is cut off
}

function findBox(bytes: Uint8Array, name: string, from: number, to: number): { start: number; end: number } | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = from; at + 8 <= to;) {
    const size = view.getUint32(at);
    if (startsWith(bytes, name, at + 4)) return { start: at + 8, end: size ? at + size : to };
    if (size < 8) return null;
    at += size;
  }
  return null;
}

/** A GIF's screen (GIF89a, section 18). */
export function readGif(bytes: Uint8Array): Container {
  if (bytes.length < 13) throw cutOff("GIF");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { frames, hasAlpha, isWhole } = gifFrames(bytes);
  const colours = bytes.subarray(13, 13 + tableSize(bytes[10]!));
  const isGray = colours.length > 0 && isRamp(colours, 3);
  return {
    width: view.getUint16(6, true),
    height: view.getUint16(8, true),
    orientation: 1,
    bytes,
    isGray: isGray && !hasAlpha,
    hasAlpha,
    notes: [...(hasAlpha ? [] : [isGray ? "grayscale" : "palette"]), ...(frames > 1 ? ["first_frame"] : [])],
    endsEarly: () => !isWhole,
  };
}

const GIF_END = 0x3b;

/** How many pictures there are (counted up to two), and whether the first has a transparent colour. */
function gifFrames(bytes: Uint8Array): { frames: number; hasAlpha: boolean; isWhole: boolean } {
  let at = 13 + tableSize(bytes[10]!);
  let frames = 0;
  let hasAlpha = false;
  while (frames < 2 && at < bytes.length && bytes[at] !== GIF_END) {
    if (bytes[at] === 0x21) {
      if (bytes[at + 1] === 0xf9 && frames === 0) hasAlpha = Boolean(bytes[at + 3]! & 1);
      at += 2;
    } else if (bytes[at] === 0x2c) {
      frames++;
      at += 11 + tableSize(bytes[at + 9]!);
    } else break;
    while (at < bytes.length && bytes[at] !== 0) at += bytes[at]! + 1;
    at++;
  }
  return { frames, hasAlpha, isWhole: frames > 1 || bytes[at] === GIF_END };
}

/** Bytes of a table of colours. */
function tableSize(flags: number): number {
  return flags & 0x80 ? 3 << ((flags & 7) + 1) : 0;
}

/** Whether a palette's colours are the grays 0, 1, 2 … (or black and white): then Pillow takes the image as gray. */
function isRamp(palette: Uint8Array, step: number): boolean {
  const count = palette.length / step;
  const factor = count === 2 && step === 4 ? 255 : 1;
  return palette.every((value, at) => at % step > 2 || value === factor * Math.floor(at / step));
}

/** A BMP's header (of Windows 3 and later, or of OS/2). */
export function readBmp(bytes: Uint8Array): Container {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerSize = bytes.length >= 54 ? view.getUint32(14, true) : 0;
  const isOld = headerSize === 12;
  if (bytes.length < 26 || (!isOld && bytes.length < 54)) throw cutOff("BMP");
  const width = isOld ? view.getUint16(18, true) : Math.abs(view.getInt32(18, true));
  const height = isOld ? view.getUint16(20, true) : Math.abs(view.getInt32(22, true));
  const bits = isOld ? view.getUint16(24, true) : view.getUint16(28, true);
  const packing = isOld ? 0 : view.getUint32(30, true);
  const start = view.getUint32(10, true);
  const row = 4 * Math.ceil((width * bits) / 32);
  const padding = row - Math.ceil((width * bits) / 8); // which nobody misses
  const lacking = packing === 0 ? start + height * row - bytes.length : 0;
  if (lacking > padding) throw cutOff("BMP");
  const whole = lacking > 0 ? concat([bytes, new Uint8Array(lacking)]) : bytes;
  const colours = bits <= 8 ? bytes.subarray(14 + headerSize, start) : bytes.subarray(0, 0);
  const isGray = !isOld && colours.length > 0 && isRamp(colours, 4);
  const hasAlpha = packing === 3 && headerSize >= 56 && view.getUint32(66, true) !== 0;
  const notes = isGray ? (colours.length === 8 ? ["bilevel"] : ["grayscale"]) : bits <= 8 ? ["palette"] : [];
  return { width, height, orientation: 1, bytes: whole, isGray, hasAlpha, notes, endsEarly: never };
}

export function cutOff(kind: string): Rejected {
  return new Rejected("truncated", `${kind} file: the file ends before its pixels do`);
}
