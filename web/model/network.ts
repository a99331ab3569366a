/** Runs a bundle's graph with ONNX Runtime, in this thread. */
import * as ort from "onnxruntime-web/wasm";
import type { Outputs } from "./answer";
import type { Bundle } from "./bundle";

const ROUNDING = 1e-3;

/** Makes ONNX Runtime take its WebAssembly from memory, so that it loads nothing. Call it before anything is opened. */
export function useWasm(wasm: Uint8Array): void {
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "fatal";
}

/** An open graph; which of its tensors it gives was decided when it was opened. */
export interface Network {
  session: ort.InferenceSession;
  side: number;
}

/** Opens a serialised graph for images of `side` × `side` pixels. */
export async function openNetwork(model: Uint8Array, side: number): Promise<Network> {
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
  });
  return { session, side };
}

/** Some outputs for one prepared image [side × side × 3], by name. */
export async function run(
  { session, side }: Network,
  square: Uint8Array,
  names: readonly string[],
): Promise<Map<string, ort.Tensor>> {
  const image = new ort.Tensor("uint8", square, [1, side, side, 3]);
  const found = await session.run({ image }, [...names]);
  return new Map(names.map((name) => [name, found[name]!]));
}

/** What the graph says of one prepared image, checked as Python's `inference.outputs` checks it. */
export async function judge(network: Network, bundle: Bundle, square: Uint8Array): Promise<Outputs> {
  const found = await run(network, square, bundle.outputs);
  const classes = bundle.classes.length;
  const logits = numbers(found, "logits", classes, -Infinity, Infinity);
  const probabilities = numbers(found, "probabilities", classes, 0, 1);
  const sum = probabilities.reduce((total, value) => total + value, 0);
  if (Math.abs(sum - 1) > ROUNDING) refuse("probabilities", `that sum to ${sum}`, "a sum of 1");
  const distance = bundle.novelty ? numbers(found, "distance", 1, 0, Infinity)[0]! : null;
  return { logits, probabilities, distance };
}

function numbers(found: Map<string, ort.Tensor>, name: string, count: number, low: number, high: number): Float32Array {
  const values = found.get(name)?.data;
  if (!(values instanceof Float32Array) || values.length !== count)
    refuse(name, "of another shape", `${count} numbers`);
  const wrong = values.find((value) => !Number.isFinite(value) || value < low - ROUNDING || value > high + ROUNDING);
  if (wrong !== undefined) refuse(name, String(wrong), `finite numbers from ${low} to ${high}`);
  return values.slice();
}

function refuse(name: string, value: string, expected: string): never {
  throw new Error(`The graph gives ${name} ${value}; expected ${expected}. Nothing that it says can be trusted.`);
}
