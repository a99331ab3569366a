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
  /** The part of manifest.json that answers need, where the page holds the model. */
  manifest?: string;
}

export function readData(): PageData {
  return JSON.parse(textOf("svertka")) as PageData;
}

/** The text of a block of data. */
export function textOf(id: string): string {
  const block = document.getElementById(id);
  if (!block) throw new Error(`${id} is missing; copy the page again`);
  return block.textContent ?? "";
}

export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** The bytes of a block that is gzip in base64. */
export async function unzipped(id: string): Promise<Uint8Array<ArrayBuffer>> {
  const text = textOf(id).trim();
  try {
    const packed = new Blob([bytesOf(text)]).stream();
    return new Uint8Array(await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
  } catch {
    throw new Error(`${id} is not whole; copy the page again`);
  }
}
