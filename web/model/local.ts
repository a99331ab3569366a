/** A classifier that runs in this browser: the page's side of a worker. Nothing is loaded, nothing is sent. */
import { Rejected, type Answer, type Classifier, type Explanation, type ModelFacts, type Prepared } from "./api";
import { DEFAULT_MAX_PIXELS } from "./limits";
import type { Call, Maps, Parts, Reply, Request, Results } from "./messages";

interface Waiting {
  resolve: (result: never) => void;
  reject: (error: Error) => void;
}

export class LocalClassifier implements Classifier {
  /** Settles when the model is open; rejects where it cannot be opened. Questions may be asked before. */
  readonly ready: Promise<void>;
  private readonly worker: Worker;
  private readonly waiting = new Map<number, Waiting>();
  private asked = 0;

  /**
   * Opens a bundle in a worker of its own.
   *
   * @param facts what the bundle says of itself.
   * @param script the text of `worker.js`.
   * @param parts WebAssembly and bundle; the memory of their bytes goes over to the worker.
   * @param maxPixels larger images are refused by their header.
   */
  constructor(
    readonly facts: ModelFacts,
    script: string,
    parts: Parts,
    private readonly maxPixels = DEFAULT_MAX_PIXELS,
  ) {
    const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
    this.worker = new Worker(address);
    this.worker.onmessage = ({ data }: MessageEvent<Reply>) => this.settle(data);
    this.worker.onerror = (event) => this.fail(event.message || "the worker cannot be started.");
    const moved = { ...parts, wasm: whole(parts.wasm), model: whole(parts.model) };
    this.ready = this.ask({ kind: "open", parts: moved }, [moved.wasm.buffer, moved.model.buffer]).then(() =>
      URL.revokeObjectURL(address),
    );
    this.ready.catch(() => {}); // whoever asks is told
  }

  async predict(image: Blob): Promise<Answer> {
    await this.ready;
    return this.ask({ kind: "predict", image, maxPixels: this.maxPixels });
  }

  async explain(image: Blob, label: string): Promise<Explanation> {
    await this.ready;
    return this.ask({ kind: "explain", image, label, maxPixels: this.maxPixels });
  }

  async prepared(image: Blob): Promise<Prepared> {
    await this.ready;
    return this.ask({ kind: "prepared", image, maxPixels: this.maxPixels });
  }

  /** What the network sees of an image, and the feature maps of its stages. */
  async maps(image: Blob): Promise<Maps> {
    await this.ready;
    return this.ask({ kind: "maps", image, maxPixels: this.maxPixels });
  }

  /** Ends the worker and gives its memory back. */
  close(): void {
    this.worker.terminate();
    this.fail("the model was closed.");
  }

  private ask<R extends Request>(request: R, transfer: Transferable[] = []): Promise<Results[R["kind"]]> {
    const call: Call = { id: this.asked++, request };
    return new Promise((resolve, reject) => {
      this.waiting.set(call.id, { resolve, reject });
      this.worker.postMessage(call, transfer);
    });
  }

  private settle(reply: Reply): void {
    const waiting = this.waiting.get(reply.id);
    this.waiting.delete(reply.id);
    if ("result" in reply) waiting?.resolve(reply.result as never);
    else if ("rejected" in reply) {
      const { reason, detail, counted } = reply.rejected;
      waiting?.reject(new Rejected(reason, detail, counted));
    } else waiting?.reject(new Error(reply.error));
  }

  private fail(message: string): void {
    for (const { reject } of this.waiting.values()) reject(new Error(message));
    this.waiting.clear();
  }
}

/** Bytes in memory of their own, which alone can be handed over. */
function whole(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const owns = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer;
  return owns ? (bytes as Uint8Array<ArrayBuffer>) : bytes.slice();
}
