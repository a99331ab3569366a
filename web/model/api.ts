/** What the page asks of a classifier, whether it runs here or behind `svertka serve`. The JSON is the API's. */

export interface Estimate {
  value: number;
  low: number | null;
  high: number | null;
  n: number;
}

/** What a bundle says of itself; written by Python's `page.model_facts`. */
export interface ModelFacts {
  name: string;
  classes: string[];
  /** Of two classes the one to be found; "" where nobody said. */
  positive: string;
  preprocess: Preprocess;
  /** Share of each class's images whose set of possible classes holds the true one; null where there are no sets. */
  coverage: number | null;
  /** Whether it tells how far an image is from the training images. */
  remembers: boolean;
  /** Whether it has class activation maps. */
  explains: boolean;
  /** Test images on which ONNX Runtime and the trained network were compared. */
  parity_n: number;
  metrics: Record<string, Estimate>;
  sources: { name: string; origin: string; licence: string }[];
  format: number;
  svertka: string;
  /** Of model.onnx. */
  sha256: string;
}

export interface Preprocess {
  size_px: number;
  resize: "squash" | "crop" | "pad";
  interpolation: "bilinear" | "bicubic";
  crop_pct?: number;
  mean: [number, number, number];
  std: [number, number, number];
  ranges?: { mode: string; low: number; high: number; window?: boolean }[];
}

/** What the model says of one image. */
export interface Answer {
  label: string;
  probability: number;
  /** Calibrated, in the order of the classes. */
  probabilities: Record<string, number>;
  /** "unsure": something else than the label alone is possible; null where there are no sets. */
  answer: "answered" | "unsure" | null;
  possible: string[] | null;
  distance: number | null;
  /** Share of the validation images that are nearer to the training images, 0 to 100. */
  distance_percentile: number | null;
  out_of_distribution: boolean | null;
  /** How the file was read, as codes of Python's `data.decode`. */
  notes: string[];
}

/** The class activation map of one class: its mean is the logit, less the mean logit of all classes. */
export interface Explanation {
  label: string;
  /** Rows and columns of the map. */
  grid: number;
  /** [grid][grid]; above 0 where a place speaks for the class, below 0 where against. */
  evidence: number[][];
}

/** An image as the network takes it. */
export interface Prepared {
  side: number;
  /** [side × side × 3]. */
  square: Uint8Array;
}

/** How many pixels an image has, where these are too many, and how many it may have. */
export interface PixelCount {
  pixels: number;
  most_pixels: number;
}

/** A file that cannot be used; the reasons are those of Python's `data.decode`. */
export class Rejected extends Error {
  constructor(
    readonly reason: string,
    readonly detail: string,
    readonly counted: PixelCount | null = null,
  ) {
    super(`${reason}: ${detail}`);
  }
}

export interface Classifier {
  readonly facts: ModelFacts;
  /** Rejects with `Rejected` where the file cannot be used. */
  predict(image: Blob): Promise<Answer>;
  explain(image: Blob, label: string): Promise<Explanation>;
  /** What the network sees; for files that a browser cannot show. */
  prepared?(image: Blob): Promise<Prepared>;
}
