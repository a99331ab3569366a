/** What page and worker say to each other. */
import type { Answer, Explanation, PixelCount, Prepared } from "./api";
import type { StageMap } from "./cam";

/** What a classifier is made of. */
export interface Parts {
  /** ONNX Runtime's WebAssembly. */
  wasm: Uint8Array;
  /** Content of manifest.json. */
  manifest: string;
  /** Content of model.onnx. */
  model: Uint8Array;
}

export type Request =
  | { kind: "open"; parts: Parts }
  | { kind: "predict"; image: Blob; maxPixels: number }
  | { kind: "explain"; image: Blob; maxPixels: number; label: string }
  | { kind: "prepared"; image: Blob; maxPixels: number }
  | { kind: "maps"; image: Blob; maxPixels: number };

/** What the network saw of an image, and what its stages made of that. */
export interface Maps extends Prepared {
  /** Early to late; of several views those of the first, which is the image as it is. */
  stages: StageMap[];
}

export interface Results {
  open: null;
  predict: Answer;
  explain: Explanation;
  prepared: Prepared;
  maps: Maps;
}

export type Call = { id: number; request: Request };

export type Reply =
  | { id: number; result: Results[keyof Results] }
  | { id: number; rejected: { reason: string; detail: string; counted: PixelCount | null } }
  | { id: number; error: string };
