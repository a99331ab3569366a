import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { dissect } from "../../model/anatomy";
import { readBundle } from "../../model/bundle";
import { evidence, FLIPS, type StageMap } from "../../model/cam";
import { explainFile, mapsOf, open, predict } from "../../model/classifier";
import { possible } from "../../model/conformal";
import { openInsight } from "../../model/insight";
import { isOutOfDistribution, percentile } from "../../model/novelty";
import { rewired } from "../../model/rewire";
import { sha256, sha256Here } from "../../model/sha256";
import { bytesOf, digest, golden, noise, type Golden } from "./golden";

const dist = dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));
const wasm = new Uint8Array(readFileSync(join(dist, "ort-wasm-simd-threaded.wasm")));
const networks = golden("network").map((network, at) => ({ name: ["flipped", "averaged"][at]!, ...network }));

const opened = (network: Golden["network"][number]): ReturnType<typeof open> =>
  open({ wasm, manifest: network.manifest, model: bytesOf(network.model) });

test.each(networks)("answers are those of svertka predict: $name", async (network) => {
  const bundle = await opened(network);
  for (const { file, answer } of network.answers) {
    const found = await predict(bundle, bytesOf(file));
    expect({ ...found, ...rounded(found) }).toEqual({ ...answer, ...rounded(answer) });
    const values = Object.values(found.probabilities);
    Object.values(answer.probabilities).forEach((value, at) =>
      expect(Math.abs(values[at]! - value)).toBeLessThan(1e-6),
    );
  }
});

/** Numbers to what two engines agree on. */
function rounded(answer: Golden["network"][number]["answers"][number]["answer"]): object {
  const to = (value: number | null, digits: number): number | null => value && Number(value.toFixed(digits));
  return {
    probability: to(answer.probability, 5),
    probabilities: Object.fromEntries(
      Object.entries(answer.probabilities).map(([name, value]) => [name, to(value, 5)]),
    ),
    distance: to(answer.distance, 5),
    distance_percentile: to(answer.distance_percentile, 2),
  };
}

test.each(networks)("class activation maps are Python's: $name", async (network) => {
  const bundle = await opened(network);
  for (const { file, evidence: expected } of network.answers) {
    const { grid, evidence: found } = await explainFile(bundle, bytesOf(file), "pear");
    expect([grid, found.length, found[0]!.length]).toEqual([56, 56, 56]);
    expected.forEach((row, y) => row.forEach((value, x) => expect(found[7 * y]![7 * x]).toBeCloseTo(value, 3)));
  }
});

test.each(networks)("a graph is taken apart as in Python: $name", async (network) => {
  const model = bytesOf(network.model);
  const { stages, networks: count, temperature } = dissect(model);
  expect(stages).toEqual(network.stages);
  expect(count).toBe(network.networks);
  expect(temperature).toBe(network.temperature);
  expect(digest(rewired(model, ["features", ...stages.flat()]))).toBe(network.rewired);
  await opened(network);
  const { flips } = await openInsight(await readBundle(network.manifest, model));
  expect(flips).toEqual(network.flips.map((axes) => ({ rows: axes.includes(0), columns: axes.includes(1) })));
});

test("feature maps are those of the image as it is", async () => {
  const [network] = networks;
  const { side, square, stages } = await mapsOf(await opened(network!), bytesOf(network!.answers[0]!.file));
  expect([side, square.length]).toEqual([24, 3 * 24 * 24]);
  expect(stages.map(({ channels, height, width }) => [channels, height, width])).toEqual([
    [3, 12, 12],
    [4, 6, 6],
  ]);
  expect(stages.every(({ values, channels, height, width }) => values.length === channels * height * width)).toBe(true);
});

test.each(golden("cam"))(
  "evidence of given maps is Python's: $sizes",
  ({ head, sizes, seeds, label, evidence: expected }) => {
    const views = seeds.map((row) => row.map((seed, at) => mapOf(sizes[at]!, seed)));
    const arrays = { mean: floats(head.mean), weight: floats(head.weight), bias: floats(head.bias) };
    const found = evidence(arrays, views, FLIPS.slice(0, views.length), label);
    expected.forEach((row, y) => row.forEach((value, x) => expect(found[56 * 5 * y + 5 * x]).toBeCloseTo(value, 3)));
  },
);

function mapOf([channels, height, width]: [number, number, number], seed: number): StageMap {
  const values = Float32Array.from(noise(channels * height * width, seed), (value) => value - 128);
  return { channels, height, width, values };
}

function floats(values: number[]): Float32Array {
  return Float32Array.from(values);
}

test("possible classes and distances are judged as in Python", () => {
  const { logits, thresholds, possible: expected, novelty, distances } = golden("numbers");
  expect(logits.map((row) => possible(row, { target: 0.9, thresholds }))).toEqual(expected);
  for (const [distance, share, isFar] of distances) {
    expect(percentile(distance, novelty)).toBeCloseTo(share, 9);
    expect(isOutOfDistribution(distance, novelty)).toBe(isFar);
  }
});

test("SHA-256 is the same with and without the browser's help", async () => {
  for (const size of [0, 1, 55, 56, 63, 64, 65, 1000, 100_003]) {
    const bytes = noise(size, size + 1);
    expect(sha256Here(bytes)).toBe(digest(bytes));
    expect(await sha256(bytes)).toBe(digest(bytes));
  }
});

test.each<[string, (manifest: Record<string, any>) => void, RegExp]>([
  ["of a newer format", (manifest) => (manifest.format = 3), /format 3.*up to format 2/],
  ["without classes", (manifest) => (manifest.class_names = []), /class_names is \[\]; expected two or more/],
  [
    "of unknown resizing",
    (manifest) => (manifest.preprocess.resize = "warp"),
    /resize is "warp"; expected squash, crop or pad/,
  ],
  ["of another size", (manifest) => (manifest.files["model.onnx"].bytes = 9), /the manifest expects 9/],
  ["of another graph", (manifest) => (manifest.files["model.onnx"].sha256 = "00"), /SHA-256 differs/],
  [
    "with falling quantiles",
    (manifest) => (manifest.novelty.quantiles = [2, 1]),
    /quantiles is \[2,1\]; expected two or more rising/,
  ],
  ["with a threshold too few", (manifest) => manifest.conformal.thresholds.pop(), /expected 3 numbers/],
])("a bundle %s is refused in one line", async (_, damage, message) => {
  const { manifest, model } = networks[0]!;
  const changed = JSON.parse(manifest) as Record<string, any>;
  damage(changed);
  await expect(readBundle(JSON.stringify(changed), bytesOf(model))).rejects.toThrow(message);
});
