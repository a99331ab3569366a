/** PNG (ISO/IEC 15948) to pixels or deep samples, as Pillow reads it. */
import { decode as decodeByFastPng } from "fast-png";
import { onWhite } from "./alpha";
import { Rejected } from "./api";
import { cutOff, type Container } from "./containers";
import { latin } from "./kinds";
import { orientationOf } from "./orientation";
import { bytesOfBits, type Pixels } from "./pixels";
import { concat } from "./protobuf";
import type { Samples } from "./samples";

/** What a PNG's chunks say. */
export interface Png {
  width: number;
  height: number;
  /** Bits a sample. */
  depth: number;
  colour: Colour;
  isInterlaced: boolean;
  isAnimated: boolean;
  orientation: number;
  /** RGB triples. */
  palette: Uint8Array;
  transparency: Uint8Array | null;
  /** The file with the chunks alone that pixels depend on. */
  bytes: Uint8Array;
}

enum Colour {
  gray = 0,
  rgb = 2,
  palette = 3,
  grayAlpha = 4,
  rgba = 6,
}

const CHANNELS: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS: Record<number, number[]> = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] };
const NEEDED = new Set(["IHDR", "PLTE", "IDAT"]);
/** The last chunk: no content, and its checksum. */
const END = Uint8Array.of(0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82);

export function readPng(bytes: Uint8Array): Png {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kept = [bytes.subarray(0, 8)];
  const first = new Map<string, Uint8Array>();
  const texts: Uint8Array[] = [];
  for (let at = 8; !first.has("IEND");) {
    const end = at + 12 <= bytes.length ? at + 12 + view.getUint32(at) : Infinity;
    const name = latin(bytes.subarray(at + 4, at + 8));
    if (end > bytes.length && first.has("IDAT") && name !== "IDAT") break; // all pixels are there
    if (end > bytes.length) throw cutOff("PNG");
    const body = bytes.subarray(at + 8, end - 4);
    if (!first.has(name)) first.set(name, body);
    if (name === "iTXt") texts.push(body);
    const isOpacity = name === "tRNS" && first.get("IHDR")?.[9] === Colour.palette;
    if (NEEDED.has(name) || isOpacity) kept.push(bytes.subarray(at, end));
    at = end;
  }
  const header = first.get("IHDR");
  if (!header || header.length < 13) throw new Rejected("damaged", "its header cannot be decoded (a PNG without IHDR)");
  const sizes = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const [depth, colour] = [header[8]!, header[9]!];
  if (!DEPTHS[colour]?.includes(depth)) {
    throw new Rejected(
      "unsupported",
      `PNG with a kind of pixels that is not read (colour type ${colour} of ${depth} bits)`,
    );
  }
  return {
    width: sizes.getUint32(0),
    height: sizes.getUint32(4),
    depth,
    colour,
    isInterlaced: header[12] === 1,
    isAnimated: first.has("acTL"),
    orientation: orientationOf(first.get("eXIf") ?? null, texts.find(isXmp) ?? null),
    palette: first.get("PLTE") ?? new Uint8Array(),
    transparency: first.get("tRNS") ?? null,
    bytes: concat([...kept, END]),
  };
}

function isXmp(text: Uint8Array): boolean {
  return latin(text.subarray(0, 18)) === "XML:com.adobe.xmp\0";
}

/** How the browser should decode it, where it must: interlaced images of less than 8 bits. */
export function needsBrowser(png: Png): Container | null {
  const hasAlpha = png.transparency !== null;
  if (!png.isInterlaced || png.depth >= 8 || (hasAlpha && png.colour !== Colour.palette)) return null;
  const { width, height, bytes, colour } = png;
  const isGray = colour === Colour.gray;
  return {
    width,
    height,
    orientation: 1,
    bytes,
    isGray,
    hasAlpha,
    notes: modeNotes(png),
    endsEarly: () => false,
  };
}

/** Pixels of an image of up to 8 bits (or of 16 that Pillow reduces), or the samples of a deeper one. */
export function decodePng(png: Png): { pixels: Pixels; notes: string[] } | { samples: Samples } {
  const { width, height, depth, colour } = png;
  const values = samplesOf(png);
  if (depth === 16 && colour !== Colour.grayAlpha) return { samples: deep(png, values as Uint16Array) };
  const bytes = depth === 16 ? Uint8Array.from(values, (value) => value >> 8) : spread(png, values as Uint8Array);
  const isGray = colour === Colour.gray && !png.transparency;
  if (isGray) return { pixels: { width, height, channels: 1, data: bytes }, notes: modeNotes(png) };
  return { pixels: { width, height, channels: 3, data: flattened(png, bytes) }, notes: modeNotes(png) };
}

/** What Pillow's mode means, as notes. */
function modeNotes({ depth, colour, transparency }: Png): string[] {
  if (transparency || colour === Colour.grayAlpha || colour === Colour.rgba) {
    return [...(depth === 16 ? ["reduced_to_8bit"] : []), "alpha_composited"];
  }
  if (colour === Colour.palette) return ["palette"];
  return colour === Colour.gray ? [depth === 1 ? "bilevel" : "grayscale"] : [];
}

function samplesOf(png: Png): Uint8Array | Uint16Array {
  const { width, height, depth, colour } = png;
  if (png.isInterlaced && depth < 8) {
    throw new Rejected(
      "unsupported",
      "an interlaced PNG of less than 8 bits with transparency; save it without interlacing",
    );
  }
  try {
    const { data } = decodeByFastPng(png.bytes, { checkCrc: true });
    const row = Math.ceil((width * CHANNELS[colour]! * Math.min(depth, 8)) / 8);
    if (data.length < row * height) throw new Error("unexpected end");
    return data as Uint8Array | Uint16Array;
  } catch (error) {
    const message = [(error as Error).message, ((error as Error).cause as Error | undefined)?.message].join(" ").trim();
    if (/EOF|unexpected end|out of|invalid length|bounds/i.test(message)) throw cutOff("PNG");
    throw new Rejected("damaged", `the pixel data cannot be decoded (${message})`);
  }
}

/** One byte a sample. Gray is scaled up to 255. */
function spread({ width, height, depth, colour }: Png, packed: Uint8Array): Uint8Array {
  if (depth >= 8) return packed;
  const found = bytesOfBits(packed, width, height, depth);
  return colour === Colour.gray ? found.map((value) => (255 / ((1 << depth) - 1)) * value) : found;
}

/** RGB on white. */
function flattened(png: Png, bytes: Uint8Array): Uint8Array {
  const { width, height, colour } = png;
  if (colour === Colour.rgb && !png.transparency) return bytes;
  const step = CHANNELS[colour]!;
  const colourOf = png.colour === Colour.palette ? paletteColours(png) : null;
  const named = named16(png);
  const found = new Uint8Array(3 * width * height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const at = pixel * step;
    for (let channel = 0; channel < 3; channel++) {
      found[3 * pixel + channel] = colourOf
        ? colourOf[3 * bytes[at]! + channel]!
        : onWhite(bytes[at + (step < 3 ? 0 : channel)]!, alphaAt(bytes, at, step, named));
    }
  }
  return found;
}

function alphaAt(bytes: Uint8Array, at: number, step: number, named: number[] | null): number {
  if (step === 2 || step === 4) return bytes[at + step - 1]!;
  return named?.every((value, channel) => bytes[at + channel] === value) ? 0 : 255;
}

/** The palette's 256 colours, each on white. */
function paletteColours({ palette, transparency }: Png): Uint8Array {
  const found = new Uint8Array(3 * 256);
  for (let at = 0; at < found.length; at++)
    found[at] = onWhite(palette[at] ?? 0, transparency?.[Math.floor(at / 3)] ?? 255);
  return found;
}

/** The one gray or colour that is transparent, as the file has it: Pillow compares that with samples of 8 bits. */
function named16({ colour, transparency }: Png): number[] | null {
  if (!transparency || (colour !== Colour.gray && colour !== Colour.rgb)) return null;
  return Array.from({ length: CHANNELS[colour]! }, (_, at) => transparency[2 * at]! * 256 + transparency[2 * at + 1]!);
}

function deep(png: Png, values: Uint16Array): Samples {
  const { width, height, colour } = png;
  const step = CHANNELS[colour]!;
  const channels = colour === Colour.gray ? 1 : 3;
  const named = named16(png);
  const kept = step === channels ? values : new Uint16Array(width * height * channels);
  const alpha = named || step > channels ? new Uint8Array(width * height) : null;
  for (let pixel = 0; pixel < width * height; pixel++) {
    const at = pixel * step;
    if (step > channels) kept.set(values.subarray(at, at + channels), pixel * channels);
    if (alpha && step > channels) alpha[pixel] = values[at + channels]! >> 8;
    else if (alpha) alpha[pixel] = named!.every((value, channel) => values[at + channel] === value) ? 0 : 255;
  }
  const mode = channels === 1 ? "I;16" : "RGB;16";
  return { mode, width, height, channels, values: kept, declared: null, whiteIsZero: false, alpha };
}
