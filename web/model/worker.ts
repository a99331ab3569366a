/** The worker's side: one request after the other, so that the page stays responsive and memory bounded. */
import { Rejected } from "./api";
import { explainFile, mapsOf, open, predict, prepared, type OpenBundle } from "./classifier";
import type { Call, Reply, Request, Results } from "./messages";

let opened: OpenBundle | null = null;
let last: Promise<void> = Promise.resolve();

self.onmessage = ({ data }: MessageEvent<Call>): void => {
  last = last.then(() => handle(data));
};

async function handle({ id, request }: Call): Promise<void> {
  self.postMessage(
    await answer(request).then(
      (result) => ({ id, result }),
      (error: unknown) => failure(id, error),
    ),
  );
}

async function answer(request: Request): Promise<Results[keyof Results]> {
  if (request.kind === "open") {
    opened = await open(request.parts);
    return null;
  }
  if (!opened) throw new Error("no model is open.");
  const file = await contentOf(request.image);
  const { maxPixels } = request;
  if (request.kind === "predict") return predict(opened, file, maxPixels);
  if (request.kind === "explain") return explainFile(opened, file, request.label, maxPixels);
  if (request.kind === "prepared") return prepared(opened, file, maxPixels);
  return mapsOf(opened, file, maxPixels);
}

/** A file may be gone, or may no longer be read, since it was chosen. */
async function contentOf(file: Blob): Promise<Uint8Array> {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    throw new Rejected("unreadable", `the browser cannot read it (${(error as Error).message})`);
  }
}

function failure(id: number, error: unknown): Reply {
  if (error instanceof Rejected) {
    const { reason, detail, counted } = error;
    return { id, rejected: { reason, detail, counted } };
  }
  return { id, error: error instanceof Error ? error.message : String(error) };
}
