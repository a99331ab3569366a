/** What Python wrote into the page; see `page/page_html.py`. */
import type { ModelFacts } from "../model/api";
import type { Texts } from "./translator";

export type Language = "en" | "ru";

export interface PageData {
  backend: "server" | "local";
  /** That the page opens in; "" means the reader's. */
  language: Language | "";
  /** Of the svertka that wrote the page. */
  version: string;
  models: ModelFacts[];
  texts: Record<Language, Texts>;
  samples: { name: string; data: string }[];
  /** Of the software in the page. */
  licences: string;
  /** What a file dialogue offers, where the server reads more than a browser. */
  accept?: string;
  /** The part of manifest.json that answers need, where the page holds the model. */
  manifest?: string;
}

const PIECE = 1 << 18; // characters, of which four are three bytes

export function readData(): PageData {
  return JSON.parse(taken("svertka")) as PageData;
}

/** The text of a block of data, which is then gone from the page: a model is large, and is needed once. */
function taken(id: string): string {
  const block = document.getElementById(id);
  if (!block) throw new Error(`${id} is missing; copy the page again`);
  block.remove();
  return (block.textContent ?? "").trim();
}

interface Base64 {
  fromBase64?: (text: string) => Uint8Array<ArrayBuffer>;
}

/** Decodes base64; where the browser can't by itself, piece by piece, so that no second copy of a long text is held. */
export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const { fromBase64 } = Uint8Array as Base64;
  return fromBase64 ? fromBase64.call(Uint8Array, base64) : bytesByPieces(base64);
}

export function bytesByPieces(base64: string): Uint8Array<ArrayBuffer> {
  const padding = base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((base64.length / 4) * 3 - padding);
  let end = 0;
  for (let at = 0; at < base64.length; at += PIECE) {
    const piece = atob(base64.slice(at, at + PIECE));
    for (let n = 0; n < piece.length; n++) bytes[end++] = piece.charCodeAt(n);
  }
  return bytes;
}

/** The bytes of a block that is gzip in base64. */
export async function unzipped(id: string): Promise<Uint8Array<ArrayBuffer>> {
  const text = taken(id);
  try {
    const packed = new Blob([bytesOf(text)]).stream();
    return new Uint8Array(await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
  } catch {
    throw new Error(`${id} is not whole; copy the page again`);
  }
}
