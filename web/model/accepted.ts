/** What a file dialogue offers: the kinds that are decoded in the browser, and no others. */
import type { Kind } from "./kinds";

// With the endings of what not every system knows by its type.
const TYPES: Record<Kind, string> = {
  JPEG: "image/jpeg",
  PNG: "image/png",
  GIF: "image/gif",
  WebP: "image/webp,.webp",
  AVIF: "image/avif,.avif",
  BMP: "image/bmp,.bmp",
  TIFF: "image/tiff,.tif,.tiff",
};

export const ACCEPTED = Object.values(TYPES).join();
