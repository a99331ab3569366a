/** A model behind `svertka serve`. */
import {
  type Answer,
  type Classifier,
  type Explanation,
  type ModelFacts,
  type PixelCount,
  Rejected,
} from "../model/api";
import { Failure, type FailureKind } from "./failure";

const MOST_TRIES = 6;
const MOST_WAIT_S = 10;

/** Statuses with a sentence of their own. */
const KINDS: Record<number, FailureKind> = { 401: "token", 413: "too_large", 429: "busy", 503: "busy" };

/** Why an image is refused. */
interface Refusal extends Partial<PixelCount> {
  reason: string;
  detail: string;
}

interface Problem extends Partial<Refusal> {
  most_bytes?: number;
}

type Item = Answer & { error?: Refusal };

export class ServerClassifier implements Classifier {
  readonly parallel = 3;

  /**
   * @param language in which the server shall say what is wrong.
   * @param wait between tries, in milliseconds.
   */
  constructor(
    readonly facts: ModelFacts,
    private readonly language: () => string,
    private readonly ask: typeof fetch = (...request) => fetch(...request),
    private readonly wait = (ms: number) => new Promise<unknown>((resolve) => setTimeout(resolve, ms)),
  ) {}

  async predict(image: Blob): Promise<Answer> {
    const form = new FormData(); // of a form, a file that is refused is an answer like others
    form.append("image", image);
    const { predictions } = (await this.post("v1/predict", {}, form)) as { predictions: Item[] };
    const [found] = predictions;
    if (!found) throw new Failure("status", "200");
    if (found.error) throw rejected(found.error);
    return found;
  }

  async explain(image: Blob, label: string): Promise<Explanation> {
    return (await this.post("v1/explain", { label }, image)) as Explanation;
  }

  /** The JSON of an answer; a server that is busy is asked again when it says so. */
  private async post(path: string, query: Record<string, string>, body: Blob | FormData): Promise<unknown> {
    const address = `${path}?${new URLSearchParams({ model: this.facts.name, ...query })}`;
    for (let tries = 1; ; tries++) {
      const response = await this.send(address, body);
      if (response.ok) return this.ofThisModel(await response.json());
      const kind = KINDS[response.status] ?? "status";
      if (kind === "busy" && tries < MOST_TRIES) {
        const seconds = Number(response.headers.get("retry-after") ?? 1) || 1;
        await this.wait(1000 * Math.min(seconds, MOST_WAIT_S));
        continue;
      }
      const problem = await problemOf(response);
      const { reason, detail, most_bytes: mostBytes } = problem;
      if (reason) throw rejected({ ...problem, reason, detail: detail ?? "" });
      throw new Failure(kind, detail ?? (kind === "status" ? String(response.status) : ""), response.status, mostBytes);
    }
  }

  /** What the page says of the model, its classes and figures, holds for the bundle that it was loaded with alone. */
  private ofThisModel(found: { model?: { sha256: string } }): unknown {
    if (found.model?.sha256 !== this.facts.sha256) throw new Failure("exchanged");
    return found;
  }

  private async send(address: string, body: Blob | FormData): Promise<Response> {
    const headers = { Accept: "application/json", "Accept-Language": this.language() };
    try {
      return await this.ask(address, { method: "POST", body, headers });
    } catch {
      throw new Failure("unreachable");
    }
  }
}

/** The detail begins with the reason in words, which the page has of its own. */
function rejected({ reason, detail, pixels = 0, most_pixels = 0 }: Refusal): Rejected {
  return new Rejected(reason, detail.replace(/^[^:]*: /, ""), most_pixels ? { pixels, most_pixels } : null);
}

async function problemOf(response: Response): Promise<Problem> {
  const isProblem = response.headers.get("content-type")?.startsWith("application/problem+json");
  try {
    return isProblem ? ((await response.json()) as Problem) : {};
  } catch {
    return {};
  }
}
