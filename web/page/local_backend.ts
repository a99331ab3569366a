/** The model that the page itself holds. */
import type { Classifier, ModelFacts } from "../model/api";
import { LocalClassifier } from "../model/local";
import { type PageData, unzipped } from "./data";

/** A module of WebAssembly with one SIMD instruction: a browser that refuses it cannot run the network. */
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

/** What this browser lacks; "" if nothing. */
export function lacking(): string {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(SIMD)) return "WebAssembly SIMD";
  return typeof DecompressionStream === "function" ? "" : "DecompressionStream";
}

/** Unpacks the page's blocks, which stand behind the script, and opens the model in a worker. */
export async function openLocal(facts: ModelFacts, data: PageData): Promise<Classifier> {
  await parsed();
  const [worker, wasm, model] = await Promise.all(["svertka-worker", "svertka-wasm", "svertka-model"].map(unzipped));
  const parts = { wasm: wasm!, model: model!, manifest: data.manifest ?? "" };
  const classifier = new LocalClassifier(facts, new TextDecoder().decode(worker), parts);
  await classifier.ready;
  return classifier;
}

/** When the whole page is there. */
function parsed(): Promise<void> {
  if (document.readyState !== "loading") return Promise.resolve();
  return new Promise((resolve) => document.addEventListener("DOMContentLoaded", () => resolve(), { once: true }));
}
