/** Cases that Python wrote (`python -m svertka.page.golden web/test/golden`). */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Answer, Preprocess } from "../../model/api";
import type { Filter } from "../../model/resize";
import type { Pixels } from "../../model/pixels";

/** Width, height, channels and seed of an image of noise. */
type Size = [width: number, height: number, channels: 1 | 3, seed: number];

export interface Golden {
  resize: {
    size: Size;
    to: [number, number];
    filter: Filter;
    box: [number, number, number, number] | null;
    sha256: string;
  }[];
  preprocess: { preprocess: Preprocess; size: Size; sha256: string }[];
  files: {
    name: string;
    file: string;
    ranges: { mode: string; low: number; high: number; window: boolean }[];
    size: [number, number];
    mode: "L" | "RGB";
    pixels: string;
    notes: string[];
  }[];
  numbers: {
    on_white: string;
    pasted: string;
    halves: [number, number][];
    novelty: { threshold: number; quantiles: number[] };
    distances: [distance: number, percentile: number, isFar: boolean][];
    thresholds: number[];
    logits: number[][];
    possible: boolean[][];
  };
  cam: {
    head: { mean: number[]; weight: number[]; bias: number[] };
    sizes: [channels: number, height: number, width: number][];
    seeds: number[][];
    label: number;
    evidence: number[][];
  }[];
  network: {
    manifest: string;
    model: string;
    rewired: string;
    stages: string[][];
    networks: number;
    temperature: number;
    flips: number[][];
    answers: { file: string; answer: Answer; evidence: number[][] }[];
  }[];
}

export function golden<K extends keyof Golden>(name: K): Golden[K] {
  return JSON.parse(readFileSync(new URL(`../golden/${name}.json`, import.meta.url), "utf8")) as Golden[K];
}

export function bytesOf(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, "base64"));
}

export function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The bytes of Python's `golden.noise`. */
export function noise(count: number, seed: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

export function noiseImage([width, height, channels, seed]: Size): Pixels {
  return { width, height, channels, data: noise(width * height * channels, seed) };
}
