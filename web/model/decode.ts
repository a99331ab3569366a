/**
 * The bytes of a file become pixels, the same as in Python's `data.decode`, or one clear reason why not.
 *
 * | reason         | meaning                                                                      |
 * | -------------- | ---------------------------------------------------------------------------- |
 * | `empty`        | zero bytes                                                                   |
 * | `truncated`    | starts like an image, but the data end too early                             |
 * | `damaged`      | the pixel data contradict themselves                                         |
 * | `not_an_image` | the content is no image, whatever the name says                              |
 * | `unsupported`  | an image of a kind that is not read: SVG, HEIC, PSD, a camera's raw file …   |
 * | `too_large`    | more pixels than allowed; judged from the header, never decoded              |
 */
import { Rejected, type Preprocess } from "./api";
import { decodeByBrowser } from "./browser_decoder";
import { readAvif, readBmp, readGif, readWebp, type Container } from "./containers";
import { ended, readJpeg } from "./jpeg";
import { identify, type Kind } from "./kinds";
import { DEFAULT_MAX_PIXELS } from "./limits";
import { turned } from "./orientation";
import type { Pixels } from "./pixels";
import { decodePng, needsBrowser, readPng } from "./png";
import { prepare } from "./preprocess";
import { scaled, type Samples } from "./samples";
import { readTiff } from "./tiff";
import { decodeTiff } from "./tiff_pixels";

export interface Decoded {
  pixels: Pixels;
  /** How it was read, as codes of Python's `data.decode`. */
  notes: string[];
}

type Ranges = NonNullable<Preprocess["ranges"]>;

/** A file as the network's square [size_px × size_px × 3], with the notes on how it was read. */
export async function load(
  bytes: Uint8Array,
  preprocess: Preprocess,
  maxPixels = DEFAULT_MAX_PIXELS,
): Promise<{ square: Uint8Array; notes: string[] }> {
  const { pixels, notes } = await decode(bytes, preprocess.ranges, maxPixels);
  return { square: prepare(preprocess, pixels), notes };
}

/**
 * Decodes one file; of animations and files of several pages the first picture.
 *
 * @param bytes of the file.
 * @param ranges what is black and white in deep samples; a mode without one is scaled by what the image says of itself.
 * @param maxPixels larger images are refused by their header.
 * @throws Rejected where the file cannot be used.
 */
export async function decode(bytes: Uint8Array, ranges: Ranges = [], maxPixels = DEFAULT_MAX_PIXELS): Promise<Decoded> {
  const kind = identify(bytes);
  try {
    return await DECODERS[kind](bytes, ranges, maxPixels);
  } catch (error) {
    if (error instanceof Rejected) throw error;
    if (error instanceof RangeError && /allocation|array length/i.test(error.message)) {
      throw new Rejected("too_large", "its pixels do not fit into memory");
    }
    throw new Rejected("damaged", `it cannot be decoded (${(error as Error).message})`);
  }
}

type Decoder = (bytes: Uint8Array, ranges: Ranges, maxPixels: number) => Promise<Decoded>;

const DECODERS: Record<Kind, Decoder> = {
  JPEG: fromJpeg,
  WebP: byBrowser(readWebp, "image/webp"),
  AVIF: byBrowser(readAvif, "image/avif"),
  GIF: byBrowser(readGif, "image/gif"),
  BMP: byBrowser(readBmp, "image/bmp"),
  PNG: fromPng,
  TIFF: fromTiff,
};

function byBrowser(read: (bytes: Uint8Array) => Container, type: string): Decoder {
  return async (bytes, _, maxPixels) => {
    const container = read(bytes);
    checkSize(container, maxPixels);
    return finish(await decodeByBrowser(container, type), container.orientation, containerNotes(container));
  };
}

const decodeJpeg = byBrowser(readJpeg, "image/jpeg");

/** A JPEG that lacks its last marker, but none of its pixels, is read; its notes say so. */
async function fromJpeg(bytes: Uint8Array, ranges: Ranges, maxPixels: number): Promise<Decoded> {
  try {
    return await decodeJpeg(bytes, ranges, maxPixels);
  } catch (error) {
    if (!(error instanceof Rejected) || error.reason !== "truncated") throw error;
    const [first, ...others] = await Promise.all(ended(bytes).map((whole) => decodeJpeg(whole, ranges, maxPixels)));
    if (!first || !others.every(({ pixels }) => areEqual(pixels.data, first.pixels.data))) throw error;
    return { ...first, notes: ["end_marker_missing", ...first.notes] };
  }
}

function areEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((value, at) => value === other[at]);
}

function containerNotes({ hasAlpha, notes }: Container): string[] {
  return [...(hasAlpha ? ["alpha_composited"] : []), ...notes];
}

async function fromPng(bytes: Uint8Array, ranges: Ranges, maxPixels: number): Promise<Decoded> {
  const png = readPng(bytes);
  checkSize(png, maxPixels);
  const frames = png.isAnimated ? ["first_frame"] : [];
  const container = needsBrowser(png);
  if (container)
    return finish(await decodeByBrowser(container, "image/png"), png.orientation, [...container.notes, ...frames]);
  return finishAny(decodePng(png), png.orientation, frames, ranges);
}

async function fromTiff(bytes: Uint8Array, ranges: Ranges, maxPixels: number): Promise<Decoded> {
  const tiff = readTiff(bytes);
  checkSize(tiff, maxPixels);
  return finishAny(decodeTiff(tiff), tiff.orientation, tiff.pages > 1 ? ["first_frame"] : [], ranges);
}

function finishAny(
  found: { pixels: Pixels; notes: string[] } | { samples: Samples },
  orientation: number,
  frames: string[],
  ranges: Ranges,
): Decoded {
  if ("pixels" in found) return finish(found.pixels, orientation, [...found.notes, ...frames]);
  const { pixels, notes } = scaled(found.samples, ranges);
  return finish(pixels, orientation, [...frames, ...notes]);
}

/** Turned the right way up. */
function finish(pixels: Pixels, orientation: number, notes: string[]): Decoded {
  if (orientation === 1) return { pixels, notes };
  return { pixels: turned(pixels, orientation) as Pixels, notes: [...notes, "exif_rotated"] };
}

function checkSize({ width, height }: { width: number; height: number }, maxPixels: number): void {
  const megapixels = (width * height) / 1e6;
  if (!(width > 0 && height > 0))
    throw new Rejected("damaged", `its header cannot be decoded (${width} × ${height} pixels)`);
  if (width * height <= maxPixels) return;
  const size = `${width} × ${height} = ${megapixels.toFixed(1)} megapixels by its header`;
  const counted = { pixels: width * height, most_pixels: maxPixels };
  throw new Rejected("too_large", `${size}; at most ${maxPixels / 1e6} are allowed`, counted);
}
