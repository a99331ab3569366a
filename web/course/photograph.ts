/** A picture to compute with: the learner's own, or one that is drawn here. */
import { Chance } from "../model/chance";

export interface Photograph {
  /** Of the learner's file; "" for the drawn one. */
  name: string;
  width: number;
  height: number;
  /** Red, green and blue, each [height × width], 0 to 255. */
  planes: readonly [Uint8ClampedArray, Uint8ClampedArray, Uint8ClampedArray];
}

/** Of the longer side; larger pictures are made smaller. */
const MOST_PX = 512;
/** Half of the width of what is drawn. */
const SCENE = { width: 384, height: 256 };

/** Decodes a file by the browser, at most `MOST_PX` wide or high; rejects if it is no picture. */
export async function open(name: string, file: Blob): Promise<Photograph> {
  const whole = await createImageBitmap(file);
  const scale = Math.min(1, MOST_PX / Math.max(whole.width, whole.height));
  const width = Math.max(1, Math.round(whole.width * scale));
  const height = Math.max(1, Math.round(whole.height * scale));
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.fillStyle = "#fff"; // what is transparent lies on white
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, 0, 0, width, height);
  whole.close();
  return { name, width, height, planes: apart(context.getImageData(0, 0, width, height).data) };
}

function apart(rgba: Uint8ClampedArray): Photograph["planes"] {
  const plane = (channel: number) => {
    const found = new Uint8ClampedArray(rgba.length / 4);
    for (let at = 0; at < found.length; at++) found[at] = rgba[4 * at + channel]!;
    return found;
  };
  return [plane(0), plane(1), plane(2)];
}

type Colour = readonly [number, number, number];

/** A house by the sea: edges of all directions, a fence of stripes, a round sun, soft sky, grain in the grass. */
export function scene(): Photograph {
  const { width, height } = SCENE;
  const planes: Photograph["planes"] = [0, 1, 2].map(() => new Uint8ClampedArray(width * height)) as never;
  const chance = new Chance(7);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const grain = (chance.byte() - 128) / 128;
      const colour = colourAt(x, y, grain);
      for (const channel of [0, 1, 2] as const) planes[channel][y * width + x] = colour[channel];
    }
  }
  return { name: "", width, height, planes };
}

const HORIZON = 142;
const SHORE = 176;

function colourAt(x: number, y: number, grain: number): Colour {
  return fence(x, y) ?? house(x, y) ?? tree(x, y, grain) ?? ground(x, y, grain) ?? sun(x, y) ?? sky(x, y);
}

function sky(x: number, y: number): Colour {
  const low = y / HORIZON;
  const cloud = Math.max(0, Math.sin(x / 31 + Math.sin(y / 9)) * Math.sin(y / 13 + 0.8) - 0.35) * 70;
  return [116 + 100 * low + cloud, 170 + 34 * low + cloud, 226 - 40 * low + cloud / 2];
}

function sun(x: number, y: number): Colour | null {
  const far = Math.hypot(x - 300, y - 56);
  if (far < 25) return [255, 224, 120];
  if (far < 44 && Math.abs(Math.sin(Math.atan2(y - 56, x - 300) * 6)) > 0.93 && far > 29) return [255, 216, 130];
  return null;
}

function ground(x: number, y: number, grain: number): Colour | null {
  if (y < HORIZON) return null;
  if (y < SHORE + 5 * Math.sin(x / 40)) {
    const wave = 16 * Math.sin(y * 1.25 + 2 * Math.sin(x / 17));
    return [40 + wave, 104 + wave, 150 + wave];
  }
  return [92 + 26 * grain, 142 + 30 * grain, 68 + 20 * grain];
}

function house(x: number, y: number): Colour | null {
  const roof = y >= 62 && y < 112 && Math.abs(x - 122) < (y - 62) * 1.36 + 3;
  if (roof) return (y - 62) % 8 < 2 ? [120, 44, 38] : [172, 66, 52];
  if (x < 68 || x >= 176 || y < 112 || y >= 196) return null;
  if (x >= 138 && x < 162 && y >= 146) return x < 141 || x >= 159 || y < 149 ? [240, 236, 226] : [76, 58, 46];
  if (x >= 84 && x < 122 && y >= 128 && y < 164) return window(x, y);
  return y % 10 < 1 || (x + (Math.floor(y / 10) % 2) * 9) % 18 < 1 ? [196, 178, 150] : [226, 208, 178];
}

function window(x: number, y: number): Colour {
  const isFrame = x < 87 || x >= 119 || y < 131 || y >= 161 || Math.abs(x - 102.5) < 2 || Math.abs(y - 145.5) < 2;
  return isFrame ? [248, 246, 240] : [68, 96, 122];
}

function tree(x: number, y: number, grain: number): Colour | null {
  const far = Math.hypot(x - 238, (y - 122) * 1.05) + 5 * Math.sin(x / 4) * Math.sin(y / 5);
  if (far < 40) return [52 + 34 * grain, 104 + 38 * grain, 58 + 26 * grain];
  return Math.abs(x - 238) < 6 && y >= 150 && y < 206 ? [98, 70, 48] : null;
}

function fence(x: number, y: number): Colour | null {
  if (y < 204 || y >= 244) return null;
  const post = x % 16 < 7 && y >= 204 + Math.abs((x % 16) - 3);
  if (post || (y >= 213 && y < 217) || (y >= 230 && y < 234)) return [244, 242, 236];
  return null;
}
