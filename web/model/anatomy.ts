/**
 * Takes a classifier's graph apart: the maps of its stages, and its head. Python's `explain.anatomy`.
 *
 * The classifier is linear on the means of the stages' maps, so the head's weights are all the gradients that a class
 * activation map needs.
 */
import { floats, readGraph, type Graph, type Node } from "./onnx_graph";

/** `logits = weight · (features - mean) + bias`, before temperature. */
export interface Head {
  /** [features]. */
  mean: Float32Array;
  /** [classes × features]. */
  weight: Float32Array;
  /** [classes]. */
  bias: Float32Array;
}

export interface Anatomy {
  /**
   * Names of the maps that features are means of: for each view of the image (one, or one a flip where the network
   * judges several), early to late; where networks are averaged, those of one after those of the other. Empty where
   * features are no means of maps.
   */
  stages: string[][];
  /** How many networks are averaged; each has as many stages. */
  networks: number;
  head: Head;
  temperature: number;
}

export const FEATURES = "features";

/** Operators that only reshape or join what is pooled already. */
const LAYOUT = new Set(["Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Concat"]);
const POOLS = new Set(["AveragePool", "GlobalAveragePool", "ReduceMean"]);
const MOST_MAPS = 1000; // a graph that joins its own joins over and over has no stages

type Producers = ReadonlyMap<string, Node>;

/**
 * Reads a classifier graph.
 *
 * @throws Error where it has no linear head on features, as svertka's bundles have.
 */
export function dissect(model: Uint8Array): Anatomy {
  const graph = readGraph(model);
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  if (!producers.has(FEATURES) || !graph.constants.has("head.weight")) {
    throw new Error(`The graph has no tensor "${FEATURES}" with a linear head; expected a bundle of svertka's.`);
  }
  const networks = networksOf(producers);
  return {
    stages: joined(networks.map((name) => views(producers, name))),
    networks: networks.length,
    head: {
      mean: constant(graph, "head.mean"),
      weight: constant(graph, "head.weight"),
      bias: constant(graph, "head.bias"),
    },
    temperature: constant(graph, "head.temperature")[0]!,
  };
}

function constant(graph: Graph, name: string): Float32Array {
  const found = graph.constants.get(name);
  if (!found?.length) throw new Error(`The graph has no tensor "${name}" of numbers; write the bundle again.`);
  return floats(found);
}

/** Names of the features of each network that is averaged. */
function networksOf(producers: Producers): string[] {
  const node = producers.get(FEATURES)!;
  const isJoin = node.op === "Concat" && node.inputs.every((name) => name.endsWith(`/${FEATURES}`));
  return isJoin ? node.inputs : [FEATURES];
}

/** Maps view by view, one network's after the other's; none where networks differ in views or stages. */
function joined(networks: string[][][]): string[][] {
  const first = networks[0]!;
  const alike = networks.every(
    (one) => one.length === first.length && one.every((view, at) => view.length === first[at]!.length),
  );
  return alike ? first.map((_, at) => networks.flatMap((one) => one[at]!)) : [];
}

/** Maps behind features, view by view; none where they aren't means of maps, or views differ in number. */
function views(producers: Producers, features: string): string[][] {
  const node = producers.get(features);
  let roots = [features];
  if (node?.op === "ReduceMean" && node.axes.length === 1 && node.axes[0] === 0) {
    const stack = producers.get(node.inputs[0]!); // the mean over stacked views
    if (stack?.op === "Concat") roots = stack.inputs;
  }
  const known = new Map<string, string[]>();
  const found = roots.map((root) => pooled(producers, root, known));
  return found.every((view) => view.length > 0 && view.length === found[0]!.length) ? found : [];
}

/** Names of the maps whose means are joined in a tensor; empty if it is anything else. */
function pooled(producers: Producers, name: string, known: Map<string, string[]>): string[] {
  let maps = known.get(name);
  if (!maps) known.set(name, (maps = mapsBehind(producers, name, known)));
  return maps.length <= MOST_MAPS ? maps : [];
}

function mapsBehind(producers: Producers, name: string, known: Map<string, string[]>): string[] {
  const node = producers.get(name);
  if (!node) return [];
  const [first] = node.inputs as [string];
  if (POOLS.has(node.op)) {
    const inner = producers.get(first); // a mean along the rows, then along the columns
    return [inner?.op === "AveragePool" && node.op === "AveragePool" ? inner.inputs[0]! : first];
  }
  if (node.op === "Concat") {
    const parts = node.inputs.map((part) => pooled(producers, part, known));
    return parts.every((part) => part.length) ? parts.flat() : [];
  }
  return LAYOUT.has(node.op) ? pooled(producers, first, known) : [];
}
