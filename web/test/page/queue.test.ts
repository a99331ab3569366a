import { beforeEach, expect, test, vi } from "vitest";
import { type Answer, type Classifier, Rejected } from "../../model/api";
import { Failure } from "../../page/failure";
import { Queue } from "../../page/queue";
import { answer, facts } from "./facts";

/** A classifier whose answers the test gives. */
class Asked implements Classifier {
  readonly facts = facts();
  readonly waiting: { resolve: (found: Answer) => void; reject: (error: Error) => void }[] = [];

  constructor(readonly parallel = 1) {}

  predict(): Promise<Answer> {
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  explain(): Promise<never> {
    return Promise.reject(new Error("not asked for"));
  }
}

const files = (...names: string[]) => names.map((name) => ({ name, image: new Blob([name]) }));
const states = (queue: Queue) => queue.items.map(({ outcome }) => outcome.state);
const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

let queue: Queue;
let told: ReturnType<typeof vi.fn<() => void>>;
beforeEach(() => {
  told = vi.fn<() => void>();
  queue = new Queue(told);
});

test("images wait for the model, then go one after the other", async () => {
  queue.add(files("a", "b"));
  expect(states(queue)).toEqual(["waiting", "waiting"]);
  const classifier = new Asked();
  queue.use(classifier);
  expect(states(queue)).toEqual(["computing", "waiting"]);
  classifier.waiting[0]!.resolve(answer());
  await settled();
  expect(states(queue)).toEqual(["done", "computing"]);
  expect([queue.pending, queue.settled]).toEqual([1, 1]);
});

test("a server is asked for several at once", () => {
  queue.use(new Asked(3));
  queue.add(files("a", "b", "c", "d"));
  expect(states(queue)).toEqual(["computing", "computing", "computing", "waiting"]);
});

test("a bad file is told apart from a failure, and the rest goes on", async () => {
  const classifier = new Asked();
  queue.use(classifier);
  queue.add(files("a", "b", "c"));
  classifier.waiting[0]!.reject(new Rejected("empty", "the file has zero bytes"));
  await settled();
  classifier.waiting[1]!.reject(new Failure("busy"));
  await settled();
  classifier.waiting[2]!.reject(new Error("out of memory"));
  await settled();
  expect(queue.items.map(({ outcome }) => outcome)).toEqual([
    { state: "rejected", reason: "empty", detail: "the file has zero bytes", counted: null },
    { state: "failed", failure: new Failure("busy") },
    { state: "failed", failure: new Failure("network", "out of memory") },
  ]);
  expect([queue.settled, queue.answered]).toEqual([3, 0]);
});

test("a file that is gone is no failure of the model", async () => {
  const classifier = new Asked();
  queue.use(classifier);
  const gone = new Blob(["a"]);
  gone.slice = () => ({ arrayBuffer: () => Promise.reject(new Error("NotReadableError")) }) as unknown as Blob;
  queue.add([{ name: "a", image: gone }]);
  classifier.waiting[0]!.reject(new Failure("unreachable"));
  await settled();
  expect(queue.items[0]!.outcome).toMatchObject({ state: "rejected", reason: "unreadable" });
});

test("what is cancelled waits, and a late answer is not believed", async () => {
  const classifier = new Asked();
  queue.use(classifier);
  queue.add(files("a", "b"));
  queue.cancel();
  expect([states(queue), queue.pending]).toEqual([["waiting", "waiting"], 0]);
  classifier.waiting[0]!.resolve(answer({ label: "late" }));
  await settled();
  expect(states(queue)).toEqual(["waiting", "waiting"]);
  queue.go();
  expect(states(queue)).toEqual(["computing", "waiting"]);
});

test("another model looks at everything anew", async () => {
  const first = new Asked();
  queue.use(first);
  queue.add(files("a"));
  const second = new Asked();
  queue.use(second);
  first.waiting[0]!.resolve(answer({ label: "of the first" }));
  second.waiting[0]!.resolve(answer({ label: "of the second" }));
  await settled();
  expect(queue.items[0]!.outcome).toMatchObject({ state: "done", answer: { label: "of the second" } });
});

test("cleared images are gone, and their answers with them", async () => {
  const classifier = new Asked();
  queue.use(classifier);
  queue.add(files("a"));
  queue.clear();
  classifier.waiting[0]!.resolve(answer());
  await settled();
  expect(queue.items).toEqual([]);
  queue.add(files("b"));
  expect(states(queue)).toEqual(["computing"]);
});

test("changes that come close together are told once", async () => {
  queue.add(files("a", "b", "c"));
  queue.use(new Asked());
  await vi.waitFor(() => expect(told).toHaveBeenCalledTimes(1));
  queue.add(files("d"));
  queue.add(files("e"));
  expect(told).toHaveBeenCalledTimes(1);
  await vi.waitFor(() => expect(told).toHaveBeenCalledTimes(2));
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(told).toHaveBeenCalledTimes(2);
});
