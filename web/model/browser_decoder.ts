/** Pixels by the browser's own decoders, as they are stored: no colour management, no turning. */
import { onWhite } from "./alpha";
import { Rejected } from "./api";
import { cutOff, type Container } from "./containers";
import type { Pixels } from "./pixels";

const BAND_PIXELS = 1 << 20;

/**
 * Decodes a file to [height × width × 3], or to one channel where it is gray.
 *
 * Bands of rows go through a small canvas: phones have no large ones.
 */
export async function decodeByBrowser(container: Container, type: string): Promise<Pixels> {
  const bitmap = await open(container, type);
  const { width, height } = bitmap;
  const channels = container.isGray ? 1 : 3;
  const data = new Uint8Array(width * height * channels);
  const rows = Math.max(1, Math.min(height, Math.floor(BAND_PIXELS / width)));
  const context = openCanvas(width, rows, container.hasAlpha);
  for (let top = 0; top < height; top += rows) {
    const count = Math.min(rows, height - top);
    context.clearRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, top, width, count, 0, 0, width, count);
    const rgba = context.getImageData(0, 0, width, count).data;
    copy(rgba, data.subarray(top * width * channels, (top + count) * width * channels), channels);
  }
  bitmap.close();
  return { width, height, channels, data };
}

/** Colours (or the first of three equal ones) on white. */
function copy(rgba: Uint8ClampedArray, found: Uint8Array, channels: 1 | 3): void {
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    const alpha = rgba[from + 3]!;
    for (let channel = 0; channel < channels; channel++) {
      const value = rgba[from + channel]!;
      found[to++] = alpha === 255 ? value : onWhite(value, alpha);
    }
  }
}

async function open({ bytes, endsEarly }: Container, type: string): Promise<ImageBitmap> {
  const blob = new Blob([bytes as Uint8Array<ArrayBuffer>], { type });
  try {
    return await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch (error) {
    if (endsEarly()) throw cutOff(type.replace("image/", "").toUpperCase());
    throw new Rejected("damaged", `the pixel data cannot be decoded (${(error as Error).message})`);
  }
}

/**
 * A canvas keeps colours multiplied by their opacity. In 8 bits they cannot be had back exactly, in floats of 16 bits
 * they can; where a browser has no such canvas, transparent colours are off by 1 of 255.
 */
function openCanvas(width: number, height: number, hasAlpha: boolean): OffscreenCanvasRenderingContext2D {
  const settings: CanvasRenderingContext2DSettings & { colorType?: "float16" } = {
    alpha: hasAlpha,
    willReadFrequently: true,
  };
  if (hasAlpha) settings.colorType = "float16";
  const context = new OffscreenCanvas(width, height).getContext("2d", settings);
  if (!context) throw new Error("this browser gives no canvas to draw on.");
  return context;
}
