import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Rejected, type Answer, type ModelFacts } from "../../model/api";
import { LocalClassifier } from "../../model/local";
import type { Call, Reply } from "../../model/messages";

/** Stands for a browser's worker: remembers what it is asked, and replies when it is told to. */
class FakeWorker {
  static last: FakeWorker;
  onmessage: ((event: { data: Reply }) => void) | null = null;
  onerror: ((event: { message: string }) => void) | null = null;
  calls: Call[] = [];
  moved: Transferable[] = [];
  isEnded = false;

  constructor() {
    FakeWorker.last = this;
  }

  postMessage(call: Call, transfer: Transferable[]): void {
    this.calls.push(call);
    this.moved.push(...transfer);
  }

  terminate(): void {
    this.isEnded = true;
  }

  reply(data: Reply): void {
    this.onmessage!({ data });
  }
}

beforeEach(() => void vi.stubGlobal("Worker", FakeWorker));
afterEach(() => void vi.unstubAllGlobals());

const image = new Blob(["an image"]);
const answer = { label: "a" } as Answer;
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

function opened(): { classifier: LocalClassifier; worker: FakeWorker } {
  const parts = { wasm: new Uint8Array(3), model: new Uint8Array(9).subarray(2, 5), manifest: "{}" };
  return { classifier: new LocalClassifier({} as ModelFacts, "script", parts, 77), worker: FakeWorker.last };
}

test("the bundle's bytes are handed over, alone and not what lies beside them", () => {
  const { worker } = opened();
  expect(worker.calls.map(({ request }) => request.kind)).toEqual(["open"]);
  expect(worker.moved.map((bytes) => (bytes as ArrayBuffer).byteLength)).toEqual([3, 3]);
});

test("questions wait for the model; each gets its own answer, in whatever order they come", async () => {
  const { classifier, worker } = opened();
  const [first, second] = [classifier.predict(image), classifier.explain(image, "a")];
  await settled();
  expect(worker.calls).toHaveLength(1);
  worker.reply({ id: 0, result: null });
  await settled();
  expect(worker.calls.slice(1).map(({ id, request }) => [id, request])).toEqual([
    [1, { kind: "predict", image, maxPixels: 77 }],
    [2, { kind: "explain", image, label: "a", maxPixels: 77 }],
  ]);
  worker.reply({ id: 2, result: { label: "a", grid: 1, evidence: [[1]] } });
  worker.reply({ id: 1, result: answer });
  expect(await first).toBe(answer);
  expect(await second).toEqual({ label: "a", grid: 1, evidence: [[1]] });
});

test("a refused file, an error and the worker's end reject what waits for them", async () => {
  const { classifier, worker } = opened();
  worker.reply({ id: 0, result: null });
  const counted = { pixels: 3e6, most_pixels: 2e6 };
  const questions = [classifier.predict(image), classifier.predict(image), classifier.predict(image)];
  const outcomes = Promise.allSettled(questions);
  await settled();
  worker.reply({ id: 1, rejected: { reason: "too_large", detail: "many", counted } });
  worker.reply({ id: 2, error: "no memory" });
  worker.onerror!({ message: "it has crashed" });
  const reasons = (await outcomes).map((outcome) => (outcome as PromiseRejectedResult).reason as Error);
  expect(reasons[0]).toBeInstanceOf(Rejected);
  expect(reasons[0]).toMatchObject({ reason: "too_large", detail: "many", counted });
  expect(reasons.slice(1).map(({ message }) => message)).toEqual(["no memory", "it has crashed"]);
});

test("a model that cannot be opened rejects all questions; closing ends the worker", async () => {
  const { classifier, worker } = opened();
  const question = expect(classifier.predict(image)).rejects.toThrow("SHA-256 differs");
  worker.reply({ id: 0, error: "SHA-256 differs" });
  await question;
  await expect(classifier.ready).rejects.toThrow("SHA-256 differs");
  classifier.close();
  expect(worker.isEnded).toBe(true);
});
