/** A network opened for looking inside: features, the maps behind them, and what they say for a class. */
import { dissect, FEATURES, type Anatomy } from "./anatomy";
import type { Bundle } from "./bundle";
import { evidence, FLIPS, GRID, type Flip, type StageMap } from "./cam";
import { Chance } from "./chance";
import { openNetwork, run, type Network } from "./network";
import { rewired } from "./rewire";

const EXACT = 1e-3; // features and the means of their maps: float32 in another order, relative to the largest
const ALIKE = 1e-4; // maps of an image and of its mirror image

export interface Insight {
  network: Network;
  anatomy: Anatomy;
  /** Of each view; empty where the network has no stages that can be looked at. */
  flips: readonly Flip[];
}

/** What each view's stages give for one prepared image. */
export interface Look {
  features: Float32Array;
  views: StageMap[][];
}

/** Opens a bundle's graph once more, with the maps of its stages among its outputs. */
export async function openInsight(bundle: Bundle): Promise<Insight> {
  const anatomy = dissect(bundle.model);
  const names = [FEATURES, ...new Set(anatomy.stages.flat())];
  const side = bundle.preprocess.size_px;
  const network = await openNetwork(rewired(bundle.model, names), side);
  const found: Insight = { network, anatomy, flips: [] };
  return { ...found, flips: await findFlips(found) };
}

export async function look({ network, anatomy: { stages } }: Insight, square: Uint8Array): Promise<Look> {
  const names = [...new Set(stages.flat())];
  const found = await run(network, square, [FEATURES, ...names]);
  const map = (name: string): StageMap => {
    const { dims, data } = found.get(name)!;
    const [, channels = 0, height = 0, width = 0] = dims;
    return { channels, height, width, values: data as Float32Array };
  };
  return { features: found.get(FEATURES)!.data as Float32Array, views: stages.map((view) => view.map(map)) };
}

/**
 * The class activation map [GRID][GRID] of a class for one prepared image.
 *
 * @throws Error where features are no means of maps.
 */
export async function explain(insight: Insight, square: Uint8Array, label: number): Promise<number[][]> {
  if (!insight.flips.length) {
    throw new Error("this network's features are no means of feature maps, so it has no class activation map.");
  }
  const { views } = await look(insight, square);
  const joint = evidence(insight.anatomy.head, views, insight.flips, label);
  return Array.from({ length: GRID }, (_, row) => [...joint.subarray(row * GRID, (row + 1) * GRID)]);
}

/** Which axes each view flips, found by flipping an image; none where the network isn't what `anatomy` believes. */
async function findFlips(insight: Insight): Promise<readonly Flip[]> {
  const { stages } = insight.anatomy;
  if (!stages.length) return [];
  const { side } = insight.network;
  const image = noise(3 * side * side);
  const seen = await look(insight, image);
  if (!isMeanOf(seen)) return [];
  if (stages.length === 1) return FLIPS.slice(0, 1);
  const plain = [seen.views[0]![0]!]; // of the image, and of its mirror images
  for (const flip of FLIPS.slice(1)) plain.push((await look(insight, mirrored(image, side, flip))).views[0]![0]!);
  const found = seen.views.map((view) => FLIPS[plain.findIndex((map) => areAlike(map, view[0]!))]);
  return found.every((flip) => flip !== undefined) ? found : [];
}

/** Whether features are the means of the maps over space, and over views. */
function isMeanOf({ features, views }: Look): boolean {
  const means = views.map((view) => view.flatMap(channelMeans));
  if (means.some((one) => one.length !== features.length)) return false;
  const largest = features.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
  return features.every((value, at) => {
    const mean = means.reduce((sum, one) => sum + one[at]!, 0) / means.length;
    return Math.abs(mean - value) <= EXACT * largest;
  });
}

function channelMeans({ channels, width, height, values }: StageMap): number[] {
  const places = width * height;
  return Array.from({ length: channels }, (_, channel) => {
    const plane = values.subarray(channel * places, (channel + 1) * places);
    return plane.reduce((sum, value) => sum + value, 0) / places;
  });
}

function areAlike(one: StageMap, other: StageMap): boolean {
  return one.values.every((value, at) => Math.abs(value - other.values[at]!) <= ALIKE + 1e-5 * Math.abs(value));
}

function mirrored(image: Uint8Array, side: number, { rows, columns }: Flip): Uint8Array {
  const found = new Uint8Array(image.length);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const from = 3 * ((rows ? side - 1 - y : y) * side + (columns ? side - 1 - x : x));
      found.set(image.subarray(from, from + 3), 3 * (y * side + x));
    }
  }
  return found;
}

/** The same bytes every time. */
function noise(length: number): Uint8Array {
  const chance = new Chance(1);
  return Uint8Array.from({ length }, () => chance.byte());
}
