/** Markers of a JPEG (ITU-T T.81, annex B): its header, and whether all its coefficients are there. */
import { Rejected } from "./api";
import { cutOff, type Container } from "./containers";
import { startsWith } from "./kinds";
import { orientationOf } from "./orientation";
import { concat } from "./protobuf";

const [SOI_BYTES, APP1, SOS, EOI, TEM] = [2, 0xe1, 0xda, 0xd9, 0x01];
const XMP = "http://ns.adobe.com/xap/1.0/\0";
const COEFFICIENTS = 64;

interface Segment {
  marker: number;
  start: number;
  /** Of what follows the marker and the length. */
  body: Uint8Array;
  end: number;
}

/**
 * A JPEG's header.
 *
 * EXIF is taken out, since browsers turn by it whatever they are told (for `createImageBitmap`, Chromium takes
 * `imageOrientation: "none"` for "from-image"); pixels are turned here.
 */
export function readJpeg(bytes: Uint8Array): Container {
  const kept: Uint8Array[] = [bytes.subarray(0, SOI_BYTES)];
  const exif: Uint8Array[] = [];
  let xmp: Uint8Array | null = null;
  let frame: { width: number; height: number; components: number } | null = null;
  let coded = -1;
  for (const { marker, start, body, end } of segments(bytes)) {
    if (isFrame(marker) && body.length >= 6) {
      frame = { height: body[1]! * 256 + body[2]!, width: body[3]! * 256 + body[4]!, components: body[5]! };
    }
    const isExif = marker === APP1 && startsWith(body, "Exif\0\0", 0);
    if (isExif) exif.push(exif.length ? body.subarray(6) : body);
    else kept.push(bytes.subarray(start, end));
    if (marker === APP1 && startsWith(body, XMP, 0)) xmp = body.subarray(XMP.length);
    coded = end;
    if (marker === SOS) break;
  }
  if (coded < 0 || coded >= bytes.length) throw cutOff("JPEG");
  if (!frame) throw new Rejected("damaged", "its header cannot be decoded (no frame before the first scan)");
  const { components, width, height } = frame;
  return {
    width,
    height,
    orientation: orientationOf(exif.length ? concat(exif) : null, xmp),
    bytes: exif.length ? concat([...kept, bytes.subarray(coded)]) : bytes,
    isGray: components === 1,
    hasAlpha: false,
    notes: components === 4 ? ["cmyk_converted"] : components === 1 ? ["grayscale"] : [],
    endsEarly: () => !hasEnd(bytes),
  };
}

/**
 * The same file, ended in several ways, where it lacks nothing but its last marker; [] where it lacks more.
 *
 * What the file lacked would be read from the tail, so pixels that are the same with all of them are the file's own.
 */
export function ended(bytes: Uint8Array): Uint8Array[] {
  if (!isComplete(bytes)) return [];
  let length = bytes.length;
  while (length && bytes[length - 1] === 0xff) length--;
  const end = Uint8Array.of(0xff, EOI);
  return TAILS.map((tail) => concat([bytes.subarray(0, length), Uint8Array.from(tail), end]));
}

const repeated = (count: number, ...values: number[]): number[] => Array.from({ length: count }, () => values).flat();
const TAILS = [[], repeated(256, 0x55), repeated(256, 0xaa), repeated(256, 0xfe), repeated(128, 0x12, 0xe7)];

function hasEnd(bytes: Uint8Array): boolean {
  for (const { marker } of segments(bytes)) if (marker === EOI) return true;
  return false;
}

/** Whether every coefficient of every component was sent to its last bit. */
function isComplete(bytes: Uint8Array): boolean {
  let components = 0;
  let progressive = false;
  const unsent = new Map<number, Uint8Array>();
  for (const { marker, body } of segments(bytes)) {
    if (isFrame(marker) && body.length >= 6) [components, progressive] = [body[5]!, (marker & 3) === 2];
    if (marker !== SOS || body.length < 4 + 2 * (body[0] ?? 0)) continue;
    const count = body[0]!;
    const [first, last, low] = progressive
      ? [body[1 + 2 * count]!, body[2 + 2 * count]!, body[3 + 2 * count]! & 15]
      : [0, 63, 0];
    for (let at = 1; at < 1 + 2 * count; at += 2) {
      const bits = unsent.get(body[at]!) ?? new Uint8Array(COEFFICIENTS).fill(COEFFICIENTS);
      unsent.set(body[at]!, bits.fill(low, first, last + 1));
    }
  }
  return (
    components > 0 && unsent.size === components && [...unsent.values()].every((bits) => bits.every((bit) => bit === 0))
  );
}

function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

/** Markers and what follows their length, to the end of the image or of the file. */
function* segments(bytes: Uint8Array): Generator<Segment> {
  for (let at = SOI_BYTES; at + 1 < bytes.length && bytes[at] === 0xff;) {
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      at++; // a fill byte
      continue;
    }
    if (marker === EOI || marker === TEM || (marker >= 0xd0 && marker <= 0xd8)) {
      yield { marker, start: at, body: new Uint8Array(), end: at + 2 };
      if (marker === EOI) return;
      at += 2;
      continue;
    }
    const end = at + 4 <= bytes.length ? at + 2 + bytes[at + 2]! * 256 + bytes[at + 3]! : Infinity;
    if (end > bytes.length) return;
    yield { marker, start: at, body: bytes.subarray(at + 4, end), end };
    at = marker === SOS ? afterCodedData(bytes, end) : end;
  }
}

/** Where the next marker stands: in coded data a byte FF is stuffed with 00 or begins a restart marker. */
function afterCodedData(bytes: Uint8Array, start: number): number {
  for (let at = bytes.indexOf(0xff, start); at >= 0 && at + 1 < bytes.length; at = bytes.indexOf(0xff, at + 1)) {
    const next = bytes[at + 1]!;
    if (next !== 0 && next !== 0xff && (next < 0xd0 || next > 0xd7)) return at;
  }
  return bytes.length;
}
