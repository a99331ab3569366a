/** Where in an image the network looks: the inverse of `model/preprocess.ts`. */
import type { Preprocess } from "../model/api";
import { croppedBox, paddedBox } from "../model/preprocess";
import type { Box as Part } from "../model/resize";

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
  const side = preprocess.size_px;
  switch (preprocess.resize) {
    case "squash":
      return WHOLE_VIEW;
    case "pad":
      return { ofSquare: shares(paddedBox(preprocess, width, height), side, side), ofImage: WHOLE };
    case "crop":
      return { ofSquare: WHOLE, ofImage: shares(croppedBox(preprocess, width, height), width, height) };
  }
}

/** A part in pixels as shares of the whole. */
function shares([left, top, right, bottom]: Part, width: number, height: number): Box {
  return {
    left: left / width,
    top: top / height,
    width: (right - left) / width,
    height: (bottom - top) / height,
  };
}

export function isWhole(box: Box): boolean {
  return box.width >= 1 && box.height >= 1;
}
