/** A bundle that answers, in whatever thread this runs. */
import type { Answer, Explanation, Prepared } from "./api";
import { answerOf } from "./answer";
import { readBundle, type Bundle } from "./bundle";
import { GRID } from "./cam";
import { load } from "./decode";
import { explain, look, openInsight, type Insight } from "./insight";
import type { Maps, Parts } from "./messages";
import { judge, openNetwork, useWasm, type Network } from "./network";

export interface OpenBundle {
  bundle: Bundle;
  network: Network;
  /** Opened when it is first asked for: most who want an answer want no more. */
  insight: Promise<Insight> | null;
}

export async function open({ wasm, manifest, model }: Parts): Promise<OpenBundle> {
  useWasm(wasm);
  const bundle = await readBundle(manifest, model);
  return { bundle, network: await openNetwork(model, bundle.preprocess.size_px), insight: null };
}

/** What the model says of one file. Rejects with `Rejected` where the file cannot be used. */
export async function predict({ bundle, network }: OpenBundle, file: Uint8Array, maxPixels?: number): Promise<Answer> {
  const { square, notes } = await load(file, bundle.preprocess, maxPixels);
  return answerOf(bundle, await judge(network, bundle, square), notes);
}

/** The image as the network takes it. */
export async function prepared({ bundle }: OpenBundle, file: Uint8Array, maxPixels?: number): Promise<Prepared> {
  const { square } = await load(file, bundle.preprocess, maxPixels);
  return { side: bundle.preprocess.size_px, square };
}

/** Where in the image the evidence for a class lies. */
export async function explainFile(
  opened: OpenBundle,
  file: Uint8Array,
  label: string,
  maxPixels?: number,
): Promise<Explanation> {
  const at = opened.bundle.classes.indexOf(label);
  if (at < 0) throw new Error(`label is "${label}"; expected one of ${opened.bundle.classes.join(", ")}.`);
  const { square } = await load(file, opened.bundle.preprocess, maxPixels);
  return { label, grid: GRID, evidence: await explain(await insightOf(opened), square, at) };
}

/** What the stages of the network make of a file. */
export async function mapsOf(opened: OpenBundle, file: Uint8Array, maxPixels?: number): Promise<Maps> {
  const { square } = await load(file, opened.bundle.preprocess, maxPixels);
  const { views } = await look(await insightOf(opened), square);
  return { side: opened.bundle.preprocess.size_px, square, stages: views[0] ?? [] };
}

function insightOf(opened: OpenBundle): Promise<Insight> {
  opened.insight ??= openInsight(opened.bundle);
  return opened.insight;
}
