/** Pixels by the browser's own decoders, as they are stored: no colour management, no turning. */
import { Rejected } from "./api";
import type { Container } from "./containers";
import type { Pixels } from "./pixels";

const BAND_PIXELS = 1 << 20;

/**
 * Decodes a file to [height × width × 3], or to one channel where it is gray.
 *
 * What is transparent is drawn on white; the browser rounds as Pillow does. Bands of rows go through a small canvas:
 * phones have no large ones.
 */
export async function decodeByBrowser(container: Container, type: string): Promise<Pixels> {
  const bitmap = await open(container.bytes, type);
  const { width, height } = bitmap;
  const channels = container.isGray ? 1 : 3;
  const data = new Uint8Array(width * height * channels);
  const rows = Math.max(1, Math.min(height, Math.floor(BAND_PIXELS / width)));
  const canvas = new OffscreenCanvas(width, rows);
  const context = canvas.getContext("2d", { willReadFrequently: true, alpha: container.hasAlpha });
  if (!context) throw new Error("this browser gives no canvas to draw on.");
  for (let top = 0; top < height; top += rows) {
    const count = Math.min(rows, height - top);
    if (container.hasAlpha) {
      context.fillStyle = "white";
      context.fillRect(0, 0, width, rows);
    }
    context.drawImage(bitmap, 0, top, width, count, 0, 0, width, count);
    const rgba = context.getImageData(0, 0, width, count).data;
    for (let from = 0, to = top * width * channels; from < rgba.length; from += 4, to += channels) {
      for (let channel = 0; channel < channels; channel++) data[to + channel] = rgba[from + channel]!;
    }
  }
  bitmap.close();
  return { width, height, channels, data };
}

async function open(bytes: Uint8Array, type: string): Promise<ImageBitmap> {
  const blob = new Blob([bytes as Uint8Array<ArrayBuffer>], { type });
  try {
    return await createImageBitmap(blob, { colorSpaceConversion: "none" });
  } catch (error) {
    throw new Rejected("damaged", `the pixel data cannot be decoded (${(error as Error).message})`);
  }
}
