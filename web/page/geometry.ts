/** Where in an image the network looks: the inverse of `data/preprocess.py`. */
import type { Preprocess } from "../model/api";

/** Left, top, width and height as shares of what the rectangle lies in. */
export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

const WHOLE: Box = { left: 0, top: 0, width: 1, height: 1 };

/** The part of the network's square that shows the image, and the part of the image that it shows. */
export interface View {
  ofSquare: Box;
  ofImage: Box;
}

/** The square itself is what is seen. */
export const WHOLE_VIEW: View = { ofSquare: WHOLE, ofImage: WHOLE };

/**
 * @param width of the image in pixels, as it is seen (after its orientation).
 * @param height likewise.
 */
export function viewOf(preprocess: Preprocess, width: number, height: number): View {
  switch (preprocess.resize) {
    case "squash":
      return WHOLE_VIEW;
    case "pad":
      return { ofSquare: padded(preprocess.size_px, width, height), ofImage: WHOLE };
    case "crop":
      return { ofSquare: WHOLE, ofImage: cropped(preprocess, width, height) };
  }
}

/** The longer side fills the square; the rest of it shows no image. */
function padded(side: number, width: number, height: number): Box {
  const longer = Math.max(width, height);
  const [w, h] = [width, height].map((length) => Math.max(1, halfEven((length * side) / longer))) as [number, number];
  return {
    left: Math.floor((side - w) / 2) / side,
    top: Math.floor((side - h) / 2) / side,
    width: w / side,
    height: h / side,
  };
}

function cropped(preprocess: Preprocess, width: number, height: number): Box {
  const shorter = Math.min(width, height);
  const [left, right] = centre(preprocess, width, shorter);
  const [top, bottom] = centre(preprocess, height, shorter);
  return { left, top, width: right - left, height: bottom - top };
}

/** Where the centre of one side begins and ends, as shares of it. */
function centre(preprocess: Preprocess, length: number, shorter: number): [number, number] {
  const share = preprocess.crop_pct ?? 1;
  if (share === 1) return [(length - shorter) / 2 / length, (length + shorter) / 2 / length];
  const scaled = Math.trunc((Math.floor(preprocess.size_px / share) * length) / shorter);
  const start = halfEven((scaled - preprocess.size_px) / 2);
  return [start / scaled, Math.min(1, (start + preprocess.size_px) / scaled)];
}

/** Rounds as Python does. */
function halfEven(value: number): number {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + (below % 2) : Math.round(value);
}

export function isWhole(box: Box): boolean {
  return box.width >= 1 && box.height >= 1;
}
