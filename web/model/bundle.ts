/** A bundle of svertka's: its manifest, checked, and its graph's bytes. Python's `bundle.manifest`, as far as needed. */
import type { Preprocess } from "./api";
import { sha256 } from "./sha256";

/** When to say "unsure"; see Python's `evaluate.conformal`. */
export interface Conformal {
  /** Share of each class's images whose set of possible classes holds the true one. */
  target: number;
  /** Of each class: the largest doubt at which it stays possible. */
  thresholds: number[];
}

/** From which distance on an image is unlike the training images. */
export interface Novelty {
  threshold: number;
  /** Of the validation images' distances, 0 to 100 %, in equal steps. */
  quantiles: number[];
}

export interface Bundle {
  /** Order of the probabilities. */
  classes: string[];
  preprocess: Preprocess;
  conformal: Conformal | null;
  novelty: Novelty | null;
  /** Names of what the graph gives. */
  outputs: ("logits" | "probabilities" | "distance")[];
  /** The serialised ONNX graph. */
  model: Uint8Array;
}

/** The newest layout of bundles that is understood. */
const FORMAT = 2;

type Fields = Record<string, unknown>;

/**
 * Reads a bundle.
 *
 * @param manifest content of manifest.json.
 * @param model content of model.onnx.
 * @throws Error in one clear line where the bundle is damaged, or newer than this code.
 */
export async function readBundle(manifest: string, model: Uint8Array): Promise<Bundle> {
  const found = parse(manifest);
  const { format } = found;
  if (typeof format === "number" && format > FORMAT) {
    fail(`is of format ${format}; this page reads up to format ${FORMAT}. Make the page with a newer svertka`);
  }
  need(format === 1 || format === 2, "format", `1 to ${FORMAT}`, format);
  const classes = found.class_names;
  need(isList(classes, "string") && classes.length >= 2, "class_names", "two or more names", classes);
  const novelty = found.novelty ? readNovelty(found.novelty) : null;
  await checkModel(found.files, model);
  return {
    classes,
    preprocess: readPreprocess(found.preprocess),
    conformal: found.conformal ? readConformal(found.conformal, classes.length) : null,
    novelty,
    outputs: novelty ? ["logits", "probabilities", "distance"] : ["logits", "probabilities"],
    model,
  };
}

function parse(manifest: string): Fields {
  let found: unknown;
  try {
    found = JSON.parse(manifest);
  } catch (error) {
    fail(`cannot be read as JSON (${(error as Error).message}). Write the bundle again`);
  }
  need(isObject(found), "its content", "a JSON object", found);
  return found;
}

function readPreprocess(found: unknown): Preprocess {
  need(isObject(found), "preprocess", "an object", found);
  const { size_px, resize, interpolation, crop_pct = 1, mean, std, ranges = [] } = found;
  need(isWhole(size_px) && size_px >= 16 && size_px <= 4096, "preprocess.size_px", "16 to 4096", size_px);
  need(
    resize === "squash" || resize === "crop" || resize === "pad",
    "preprocess.resize",
    "squash, crop or pad",
    resize,
  );
  const isFilter = interpolation === "bilinear" || interpolation === "bicubic";
  need(isFilter, "preprocess.interpolation", "bilinear or bicubic", interpolation);
  need(
    typeof crop_pct === "number" && crop_pct > 0 && crop_pct <= 1,
    "preprocess.crop_pct",
    "above 0, at most 1",
    crop_pct,
  );
  need(isTriple(mean) && isTriple(std), "preprocess.mean and std", "three numbers each", [mean, std]);
  need(Array.isArray(ranges) && ranges.every(isRange), "preprocess.ranges", "a list of intensity ranges", ranges);
  return { size_px, resize, interpolation, crop_pct, mean, std, ranges };
}

function readNovelty(found: unknown): Novelty {
  need(isObject(found), "novelty", "an object", found);
  const { threshold, quantiles } = found;
  need(typeof threshold === "number", "novelty.threshold", "a number", threshold);
  const isRising =
    isList(quantiles, "number") && quantiles.every((value, at) => at === 0 || value >= quantiles[at - 1]!);
  need(isRising && quantiles.length > 1, "novelty.quantiles", "two or more rising numbers", quantiles);
  return { threshold, quantiles };
}

function readConformal(found: unknown, classes: number): Conformal {
  need(isObject(found), "conformal", "an object", found);
  const { target, thresholds } = found;
  need(typeof target === "number" && target > 0 && target < 1, "conformal.target", "between 0 and 1", target);
  const fits = isList(thresholds, "number") && thresholds.length === classes;
  need(fits, "conformal.thresholds", `${classes} numbers`, thresholds);
  return { target, thresholds };
}

async function checkModel(files: unknown, model: Uint8Array): Promise<void> {
  const stated = isObject(files) ? files["model.onnx"] : null;
  need(isObject(stated), "files", "an object with model.onnx", files);
  if (stated.bytes !== model.length) {
    throw new Error(`model.onnx has ${model.length} bytes; the manifest expects ${stated.bytes}. Make the page again.`);
  }
  if (stated.sha256 !== (await sha256(model))) {
    throw new Error("model.onnx is not the file that was written (its SHA-256 differs). Make the page again.");
  }
}

function need(holds: boolean, name: string, expected: string, value: unknown): asserts holds {
  if (!holds)
    fail(`: ${name} is ${JSON.stringify(value)?.slice(0, 200)}; expected ${expected}. Write the bundle again`);
}

function fail(what: string): never {
  throw new Error(`manifest.json${what.startsWith(":") ? "" : " "}${what}.`);
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isWhole(value: unknown): value is number {
  return Number.isInteger(value);
}

function isList(value: unknown, type: "string"): value is string[];
function isList(value: unknown, type: "number"): value is number[];
function isList(value: unknown, type: string): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === type);
}

function isTriple(value: unknown): value is [number, number, number] {
  return isList(value, "number") && value.length === 3;
}

function isRange(value: unknown): boolean {
  return (
    isObject(value) && typeof value.mode === "string" && typeof value.low === "number" && typeof value.high === "number"
  );
}
