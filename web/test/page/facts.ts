import type { Answer, ModelFacts, Preprocess } from "../../model/api";

export function facts(changes: Partial<ModelFacts> = {}): ModelFacts {
  return {
    name: "cells",
    classes: ["cat", "dog"],
    positive: "",
    preprocess: preprocess({}),
    coverage: 0.9,
    remembers: true,
    explains: true,
    parity_n: 3,
    metrics: {},
    sources: [],
    format: 2,
    svertka: "0.1.0",
    sha256: "0".repeat(64),
    ...changes,
  };
}

export function preprocess(changes: Partial<Preprocess>): Preprocess {
  return {
    size_px: 224,
    resize: "squash",
    interpolation: "bicubic",
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
    ...changes,
  };
}

export function answer(changes: Partial<Answer> = {}): Answer {
  return {
    label: "cat",
    probability: 0.75,
    probabilities: { cat: 0.75, dog: 0.25 },
    answer: "answered",
    possible: ["cat"],
    distance: 0.1,
    distance_percentile: 12.34,
    out_of_distribution: false,
    notes: [],
    ...changes,
  };
}
