/** An image becomes the network's square of pixels: Python's `data.preprocess`, byte for byte. */
import type { Preprocess } from "./api";
import { asRgb, roundHalfEven, type Pixels } from "./pixels";
import { resize, type Box } from "./resize";

/** [size_px × size_px × 3] pixels, as the network takes them. */
export function prepare(preprocess: Preprocess, image: Pixels): Uint8Array {
  return asRgb(SHAPERS[preprocess.resize](preprocess, image)).data;
}

const SHAPERS: Record<Preprocess["resize"], (preprocess: Preprocess, image: Pixels) => Pixels> = { squash, crop, pad };

function squash({ size_px, interpolation }: Preprocess, image: Pixels): Pixels {
  return resize(image, size_px, size_px, interpolation);
}

/** Resampling straight from the centre never builds the scaled whole, so a strip of 10,000 × 10 is cheap. */
function crop(preprocess: Preprocess, image: Pixels): Pixels {
  const { size_px, interpolation } = preprocess;
  return resize(image, size_px, size_px, interpolation, croppedBox(preprocess, image.width, image.height));
}

/** The part of an image that `crop` shows to the network. */
export function croppedBox({ size_px, crop_pct = 1 }: Preprocess, width: number, height: number): Box {
  const shorter = Math.min(width, height);
  if (crop_pct === 1) {
    const left = (width - shorter) / 2;
    const top = (height - shorter) / 2;
    return [left, top, left + shorter, top + shorter];
  }
  const scaledShorter = Math.floor(size_px / crop_pct);
  const [left, right] = centralPart(width, shorter, scaledShorter, size_px);
  const [top, bottom] = centralPart(height, shorter, scaledShorter, size_px);
  return [left, top, right, bottom];
}

/**
 * Where the centre of one side begins and ends in the image: whole pixels of the scaled image, rounded as in timm.
 *
 * @param length of this side, in pixels.
 * @param shorter the image's shorter side.
 * @param scaledShorter what that is scaled to.
 * @param side what is cut out of the scaled image.
 */
function centralPart(length: number, shorter: number, scaledShorter: number, side: number): [number, number] {
  const scaled = Math.trunc((scaledShorter * length) / shorter);
  const start = roundHalfEven((scaled - side) / 2);
  return [(start * length) / scaled, Math.min(length, ((start + side) * length) / scaled)];
}

function pad(preprocess: Preprocess, image: Pixels): Pixels {
  const { size_px, interpolation, mean } = preprocess;
  const [left, top, right, bottom] = paddedBox(preprocess, image.width, image.height);
  const [width, height] = [right - left, bottom - top];
  const scaled = asRgb(resize(image, width, height, interpolation));
  const fill = mean.map((value) => roundHalfEven(255 * value));
  const data = new Uint8Array(3 * size_px * size_px);
  for (let at = 0; at < data.length; at++) data[at] = fill[at % 3]!;
  for (let y = 0; y < height; y++) {
    data.set(scaled.data.subarray(3 * y * width, 3 * (y + 1) * width), 3 * ((top + y) * size_px + left));
  }
  return { width: size_px, height: size_px, channels: 3, data };
}

/** The part of the network's square that shows the image, if it is padded: its longer side fills the square. */
export function paddedBox({ size_px }: Preprocess, width: number, height: number): Box {
  const longer = Math.max(width, height);
  const [across, down] = [width, height].map((length) => Math.max(1, roundHalfEven((length * size_px) / longer))) as [
    number,
    number,
  ];
  const left = Math.floor((size_px - across) / 2);
  const top = Math.floor((size_px - down) / 2);
  return [left, top, left + across, top + down];
}
