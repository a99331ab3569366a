/** The images of the page and what became of each; a few at a time are shown to the model. */
import { type Answer, type Classifier, type PixelCount, Rejected } from "../model/api";
import { Failure, messageOf } from "./failure";

export interface Item {
  readonly id: number;
  readonly name: string;
  readonly image: Blob;
  /** For `<img>`. */
  readonly url: string;
  readonly outcome: Outcome;
}

export interface Rejection {
  readonly state: "rejected";
  readonly reason: string;
  readonly detail: string;
  readonly counted: PixelCount | null;
}

export type Outcome =
  | { readonly state: "waiting" }
  | { readonly state: "computing" }
  | { readonly state: "done"; readonly answer: Answer }
  | Rejection
  | { readonly state: "failed"; readonly failure: Failure };

const WAITING: Outcome = { state: "waiting" };
const BETWEEN_MS = 100; // changes that come closer together are told as one

export class Queue {
  items: readonly Item[] = [];
  /** Nothing more is begun, until `go`. */
  cancelled = false;
  private classifier: (Classifier & { parallel?: number }) | null = null;
  private round = 0;
  private running = 0;
  private telling: ReturnType<typeof setTimeout> | undefined;
  private told = -Infinity;
  private nextId = 1;

  /** @param tell is called soon after something has changed. */
  constructor(private readonly tell: () => void) {}

  get waiting(): number {
    return this.count("waiting");
  }

  /** How many are being looked at, or will be. */
  get pending(): number {
    return this.count("computing") + (this.cancelled ? 0 : this.waiting);
  }

  /** How many have an answer. */
  get answered(): number {
    return this.count("done");
  }

  /** How many are through, whatever became of them. */
  get settled(): number {
    return this.items.length - this.count("computing") - this.waiting;
  }

  /** Gives the images to another model; all are looked at anew. */
  use(classifier: Classifier | null): void {
    this.round++;
    this.running = 0;
    this.classifier = classifier;
    this.items = this.items.map((item) => ({ ...item, outcome: WAITING }));
    this.go();
  }

  /** Adds images behind the others; returns the first of them. */
  add(files: readonly { name: string; image: Blob }[]): Item | undefined {
    const added = files.map(({ name, image }) => ({
      id: this.nextId++,
      name,
      image,
      url: URL.createObjectURL(image),
      outcome: WAITING,
    }));
    this.items = [...this.items, ...added];
    this.go();
    return added[0];
  }

  clear(): void {
    for (const item of this.items) URL.revokeObjectURL(item.url);
    this.items = [];
    this.round++;
    this.running = 0;
    this.changed();
  }

  cancel(): void {
    this.cancelled = true;
    this.round++; // what is under way is let go
    this.running = 0;
    this.items = this.items.map((item) => (item.outcome.state === "computing" ? { ...item, outcome: WAITING } : item));
    this.changed();
  }

  /** Begins, or goes on. */
  go(): void {
    this.cancelled = false;
    this.begin();
    this.changed();
  }

  again(item: Item): void {
    this.settle(item.id, WAITING);
    this.go();
  }

  private begin(): void {
    while (this.classifier && !this.cancelled && this.running < (this.classifier.parallel ?? 2)) {
      const next = this.items.find((item) => item.outcome.state === "waiting");
      if (!next) return;
      this.running++;
      this.settle(next.id, { state: "computing" });
      void this.look(this.classifier, next, this.round);
    }
  }

  private async look(classifier: Classifier, item: Item, round: number): Promise<void> {
    const outcome = await outcomeOf(classifier, item.image);
    if (round !== this.round) return;
    this.running--;
    this.settle(item.id, outcome);
    this.begin();
  }

  private settle(id: number, outcome: Outcome): void {
    this.items = this.items.map((item) => (item.id === id ? { ...item, outcome } : item));
    this.changed();
  }

  private changed(): void {
    const wait = Math.max(0, this.told + BETWEEN_MS - performance.now());
    this.telling ??= setTimeout(() => {
      this.telling = undefined;
      this.told = performance.now();
      this.tell();
    }, wait);
  }

  private count(state: Outcome["state"]): number {
    return this.items.reduce((n, item) => n + Number(item.outcome.state === state), 0);
  }
}

async function outcomeOf(classifier: Classifier, image: Blob): Promise<Outcome> {
  try {
    return { state: "done", answer: await classifier.predict(image) };
  } catch (error) {
    if (error instanceof Rejected) return rejection(error);
    if (await isReadable(image)) return { state: "failed", failure: failureOf(error) };
    return rejection(new Rejected("unreadable", "the browser cannot read it"));
  }
}

function rejection({ reason, detail, counted }: Rejected): Rejection {
  return { state: "rejected", reason, detail, counted };
}

/** Whether a file is still there, and as it was when it was chosen. */
async function isReadable(image: Blob): Promise<boolean> {
  try {
    await image.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error;
  return new Failure("network", messageOf(error));
}
