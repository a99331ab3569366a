/**
 * Samples deeper than 8 bits, scaled to 8: Python's `data.samples`.
 *
 * What becomes black and what white is a range that the bundle keeps for each mode; an image of a mode without one is
 * scaled by what it says of itself.
 */
import type { Preprocess } from "./api";
import { pasteOnWhite } from "./alpha";
import { roundHalfEven, type Pixels } from "./pixels";

export type DeepMode = "I;16" | "I" | "F" | "RGB;16";
export type DeepValues = Uint16Array | Int32Array | Uint32Array | Float32Array;
type Range = NonNullable<Preprocess["ranges"]>[number];

export interface Samples {
  mode: DeepMode;
  width: number;
  height: number;
  channels: 1 | 3;
  /** [height × width × channels]. */
  values: DeepValues;
  /** What the file says is black and white; not believed where its own samples leave that. */
  declared: [number, number] | null;
  whiteIsZero: boolean;
  /** Opacity [height × width]. */
  alpha: Uint8Array | null;
}

interface Span {
  low: number;
  high: number;
}

const INTEGER_RANGES: readonly [number, string][] = [
  [4095, "scaled_12bit"],
  [65535, "scaled_16bit"],
];
const FLOAT_RANGES: readonly [number, string][] = [
  [1, "scaled_unit_float"],
  [255, "scaled_8bit_float"],
  [65535, "scaled_16bit_float"],
];

/** The image in 8 bits, and notes on how it came to them. Throws where no sample is a finite number. */
export function scaled(samples: Samples, ranges: readonly Range[]): { pixels: Pixels; notes: string[] } {
  const { values, span, allFinite } = finite(samples.values);
  const notes = [...(allFinite ? [] : ["not_finite_replaced"]), ...(samples.alpha ? ["alpha_composited"] : [])];
  const known = ranges.find((range) => range.mode === samples.mode) ?? null;
  const [low, high, how] = known ? [known.low, known.high, null] : guess(samples, span);
  if (how) notes.push(how);
  notes.push(...doubts(span, known));
  return { pixels: toBytes({ ...samples, values }, low, high), notes };
}

/** NaN and -inf become the smallest finite value, inf the largest. */
function finite(values: DeepValues): { values: DeepValues; span: Span; allFinite: boolean } {
  let [low, high, allFinite] = [Infinity, -Infinity, true];
  for (const value of values) {
    if (!Number.isFinite(value)) allFinite = false;
    else {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low > high) throw new Error("no sample is a finite number");
  const span = { low, high };
  if (allFinite) return { values, span, allFinite };
  const replaced = values.map((value) => (Number.isFinite(value) ? value : value === Infinity ? high : low));
  return { values: replaced, span, allFinite };
}

/** What is wrong with scaling an image by a range: samples outside are cut off, or all become (nearly) one gray. */
function doubts({ low, high }: Span, known: Range | null): string[] {
  if (!known) return ["no_range"];
  const found = known.window || (known.low <= low && high <= known.high) ? [] : ["clipped_to_range"];
  const [darkest, brightest] = [low, high].map((value) => Math.min(Math.max(value, known.low), known.high)) as [
    number,
    number,
  ];
  if (low < high && 255 * (brightest - darkest) < 2 * (known.high - known.low)) found.push("lost_in_range");
  return found;
}

function guess({ mode, declared }: Samples, { low, high }: Span): [number, number, string] {
  if (declared && declared[0] <= low && high <= declared[1]) return [...declared, "scaled_declared"];
  if (mode === "RGB;16") return [0, 65535, "scaled_16bit"];
  if (low >= 0) {
    for (const [most, how] of mode === "F" ? FLOAT_RANGES : INTEGER_RANGES) if (high <= most) return [0, most, how];
  }
  return [low, high, "scaled_by_own_range"];
}

function toBytes(samples: Samples, low: number, high: number): Pixels {
  const { width, height, channels, values, whiteIsZero, alpha } = samples;
  const scale = high > low ? high - low : 1;
  const byte = (value: number): number => {
    const unit = (value - low) / scale;
    return roundHalfEven(255 * Math.min(1, Math.max(0, whiteIsZero ? 1 - unit : unit)));
  };
  const data = new Uint8Array(values.length);
  if (values instanceof Uint16Array) {
    const table = Uint8Array.from({ length: 1 << 16 }, (_, value) => byte(value));
    for (let at = 0; at < data.length; at++) data[at] = table[values[at]!]!;
  } else for (let at = 0; at < data.length; at++) data[at] = byte(values[at]!);
  if (alpha)
    for (let at = 0; at < data.length; at++) data[at] = pasteOnWhite(data[at]!, alpha[Math.floor(at / channels)]!);
  return { width, height, channels, data };
}
