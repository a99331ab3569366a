/**
 * Class activation maps (Grad-CAM), exact, from the weights of the linear head. Python's `explain.cam`.
 *
 * A logit is linear in the means of the stages' maps, so the gradient of a logit by one of their numbers is the head's
 * weight divided by the number of places: Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391) needs no backward pass.
 */
import type { Head } from "./anatomy";
import { resizeFloats } from "./resize";

/** Side of a joint map. */
export const GRID = 56;

/** What a stage of the network gives for one image: [channels × height × width]. */
export interface StageMap {
  channels: number;
  height: number;
  width: number;
  values: Float32Array;
}

/** Which axes of the image a view flips. */
export interface Flip {
  rows: boolean;
  columns: boolean;
}

export const FLIPS: readonly Flip[] = [
  { rows: false, columns: false },
  { rows: false, columns: true },
  { rows: true, columns: false },
  { rows: true, columns: true },
];

/**
 * The maps of all stages as one, row by row: above 0 where a place speaks for the class, below 0 where against.
 *
 * Its mean is the logit, less the mean logit of all classes; what no image changes is spread evenly.
 *
 * @param head on the features.
 * @param views for each view of the image the maps of its stages.
 * @param flips of each view.
 * @param label the class, by its number.
 */
export function evidence(
  head: Head,
  views: readonly StageMap[][],
  flips: readonly Flip[],
  label: number,
): Float32Array {
  const row = rowOf(head, label);
  const joint = new Float32Array(GRID * GRID).fill(constantPart(head, row, label));
  let start = 0;
  for (const [stage, map] of views[0]!.entries()) {
    const weights = row.subarray(start, (start += map.channels));
    const planes = views.map((view, at) => flipped(weighted(view[stage]!, weights), map, flips[at]!));
    addDensity(joint, mean(planes), map);
  }
  return joint;
}

function addDensity(joint: Float32Array, density: Float32Array, { width, height }: StageMap): void {
  const filter = Math.min(width, height) > GRID ? "box" : "bilinear";
  const scaled = resizeFloats(density, width, height, GRID, GRID, filter);
  const lost = average(density) - average(scaled);
  for (let at = 0; at < joint.length; at++) joint[at]! += scaled[at]! + lost;
}

/** A class's weights, less the mean of all classes', which softmax doesn't see. */
function rowOf({ mean: { length: features }, weight, bias }: Head, label: number): Float32Array {
  return Float32Array.from({ length: features }, (_, feature) => {
    let sum = 0;
    for (let k = 0; k < bias.length; k++) sum += weight[k * features + feature]!;
    return weight[label * features + feature]! - sum / bias.length;
  });
}

/** The part of a logit that no image changes. */
function constantPart({ mean, bias }: Head, row: Float32Array, label: number): number {
  const offset = mean.reduce((sum, value, at) => sum + value * row[at]!, 0);
  return bias[label]! - average(bias) - offset;
}

function weighted({ channels, width, height, values }: StageMap, weights: Float32Array): Float64Array {
  const places = width * height;
  const plane = new Float64Array(places);
  for (let channel = 0; channel < channels; channel++) {
    const weight = weights[channel]!;
    for (let at = 0; at < places; at++) plane[at]! += weight * values[channel * places + at]!;
  }
  return plane;
}

function flipped(plane: Float64Array, { width, height }: StageMap, { rows, columns }: Flip): Float64Array {
  if (!rows && !columns) return plane;
  return plane.map((_, at) => {
    const [y, x] = [Math.floor(at / width), at % width];
    return plane[(rows ? height - 1 - y : y) * width + (columns ? width - 1 - x : x)]!;
  });
}

function mean(planes: Float64Array[]): Float32Array {
  return Float32Array.from(planes[0]!, (_, at) => planes.reduce((sum, plane) => sum + plane[at]!, 0) / planes.length);
}

function average(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
