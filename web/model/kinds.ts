/** What kind of file some bytes are, by their content and never by a name: Python's `data.formats`, for a browser. */
import { Rejected } from "./api";

/** Kinds that are decoded here. */
export type Kind = "JPEG" | "PNG" | "GIF" | "WebP" | "AVIF" | "BMP" | "TIFF";

interface Signature {
  offset: number;
  bytes: string;
  name: string;
  /** False for videos, documents and archives. */
  isImage: boolean;
}

const KINDS: readonly [offset: number, bytes: string, kind: Kind][] = [
  [0, "\xff\xd8\xff", "JPEG"],
  [0, "\x89PNG", "PNG"],
  [0, "GIF87a", "GIF"],
  [0, "GIF89a", "GIF"],
  [0, "II*\0", "TIFF"],
  [0, "MM\0*", "TIFF"],
];

/** Images that only other programs read. */
const UNSUPPORTED = signatures(true, [
  [0, "II+\0", "BigTIFF"],
  [0, "MM\0+", "BigTIFF"],
  [8, "CR\x02\0", "a camera's raw file"],
  [0, "\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"],
  [0, "\xff\x4f\xff\x51", "JPEG 2000"],
  [0, "8BPS", "PSD"],
  [0, "DDS ", "DDS"],
  [0, "qoif", "QOI"],
  [0, "icns", "ICNS"],
  [0, "SIMPLE  =", "FITS"],
  [0, "/* XPM */", "XPM"],
  [0, "%!PS", "EPS"],
  [0, "\xc5\xd0\xd3\xc6", "EPS"],
  [0, "gimp xcf", "XCF, GIMP's own format"],
  [0, "\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"],
  [0, "\xff\x0a", "JPEG XL"],
  [0, "II\xbc\x01", "JPEG XR"],
  [0, "\x76\x2f\x31\x01", "OpenEXR"],
  [0, "#?RADIANCE", "Radiance HDR"],
  [0, "#?RGBE", "Radiance HDR"],
  [128, "DICM", "DICOM"],
  [0, "NRRD000", "NRRD"],
  [344, "n+1\0", "NIfTI"],
  [0, "AT&TFORM", "DjVu"],
  [0, "FUJIFILMCCD-RAW", "a camera's raw file"],
  [0, "IIRO", "a camera's raw file"],
  [0, "IIU\0", "a camera's raw file"],
  [0, "\x89HDF\r\n\x1a\n", "HDF5"],
]);

const NO_IMAGES = signatures(false, [
  [0, "%PDF", "a PDF document"],
  [0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an OLE document (Office, FlashPix …)"],
  [0, "\0\0\x01\xba", "a video (MPEG)"],
  [0, "\0\0\x01\xb3", "a video (MPEG)"],
  [0, "\x1a\x45\xdf\xa3", "a video (Matroska or WebM)"],
  [0, "FLV\x01", "a video (FLV)"],
  [0, "OggS", "a sound file (Ogg)"],
  [0, "fLaC", "a sound file (FLAC)"],
  [0, "ID3", "a sound file (MP3)"],
  [0, "PK\x03\x04", "an archive (ZIP, or what is packed so: Office, Krita …)"],
  [0, "\x1f\x8b\x08", "an archive (gzip)"],
  [0, "BZh", "an archive (bzip2)"],
  [0, "\xfd7zXZ\0", "an archive (xz)"],
  [0, "7z\xbc\xaf\x27\x1c", "an archive (7-Zip)"],
  [0, "Rar!\x1a\x07", "an archive (RAR)"],
  [257, "ustar", "an archive (tar)"],
  [0, "SQLite format 3\0", "an SQLite database"],
  [0, "\x7fELF", "a program"],
  [1, "NUMPY", "a NumPy array"],
]);

const HEIF_BRANDS = new Set(["heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "msf1"]);
const DIB_SIZES = new Set([12, 40, 52, 56, 64, 108, 124]);
const ADVICE = "save it as PNG, TIFF or JPEG";

/**
 * The kind of a file.
 *
 * @throws Rejected where it is none that is read here.
 */
export function identify(bytes: Uint8Array): Kind {
  if (!bytes.length) throw new Rejected("empty", "the file has zero bytes");
  for (const [offset, magic, kind] of KINDS) if (startsWith(bytes, magic, offset)) return kind;
  for (const { offset, bytes: magic, name, isImage } of [...UNSUPPORTED, ...NO_IMAGES]) {
    if (startsWith(bytes, magic, offset))
      throw isImage ? unsupported(name) : new Rejected("not_an_image", `it is ${name}`);
  }
  if (startsWith(bytes, "RIFF", 0)) {
    if (startsWith(bytes, "WEBP", 8)) return "WebP";
    if (startsWith(bytes, "AVI ", 8)) throw new Rejected("not_an_image", "it is a video (AVI)");
    if (startsWith(bytes, "WAVE", 8)) throw new Rejected("not_an_image", "it is a sound file (WAV)");
  }
  if (startsWith(bytes, "ftyp", 4)) return isoMedia(bytes);
  if (isBmp(bytes)) return "BMP";
  throw unknown(bytes);
}

/** What a browser cannot read, and what to do with it. */
export function unsupported(name: string): Rejected {
  return new Rejected("unsupported", `${name}; ${ADVICE}`);
}

export function startsWith(bytes: Uint8Array, magic: string, offset: number): boolean {
  for (let at = 0; at < magic.length; at++) if (bytes[offset + at] !== magic.charCodeAt(at)) return false;
  return true;
}

function signatures(isImage: boolean, rows: [offset: number, bytes: string, name: string][]): Signature[] {
  return rows.map(([offset, bytes, name]) => ({ offset, bytes, name, isImage }));
}

/** By the brands of ISO/IEC 14496-12: one container for AVIF, HEIC, raw files of Canon, and videos. */
function isoMedia(bytes: Uint8Array): Kind {
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  const brands = new Set([latin(bytes.subarray(8, 12))]);
  for (let at = 16; at + 4 <= Math.min(size, bytes.length); at += 4) brands.add(latin(bytes.subarray(at, at + 4)));
  if (brands.has("avif") || brands.has("avis")) return "AVIF";
  if ([...brands].some((brand) => HEIF_BRANDS.has(brand)))
    throw new Rejected("unsupported", "HEIC/HEIF; save it as JPEG or PNG");
  if (brands.has("crx ")) throw unsupported("a camera's raw file");
  throw new Rejected("not_an_image", "it is a video (MP4, MOV or 3GP)");
}

/** Besides two letters: a known size of what follows, or four zeros and a possible place of the pixels. */
function isBmp(bytes: Uint8Array): boolean {
  if (!startsWith(bytes, "BM", 0) || bytes.length < 18) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const start = view.getUint32(10, true);
  return (view.getUint32(6, true) === 0 && start > 14 && start < 65536) || DIB_SIZES.has(view.getUint32(14, true));
}

function unknown(bytes: Uint8Array): Rejected {
  const head = bytes.subarray(0, 1024);
  if (/^P[1-6fF]\s+(#[^\n]*\n\s*)*\d+\s/.test(latin(head))) return unsupported("PNM");
  if (startsWith(bytes, "\0\0\x01\0", 0) && bytes.length > 22 && bytes[4]) return unsupported("ICO");
  if (/^\s*(<\?[^]*?>|<!--[^]*?-->|<![^]*?>|\s)*<svg/i.test(latin(bytes.subarray(0, 4096)))) {
    return new Rejected("unsupported", "SVG, a drawing without pixels; export it as PNG");
  }
  if (!head.includes(0)) {
    const text = new TextDecoder().decode(head.subarray(0, 40)).trim();
    return new Rejected("not_an_image", `text: ${JSON.stringify(text)}`);
  }
  const first = [...head.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return new Rejected("not_an_image", `no known image format; starts with bytes ${first}`);
}

/** Bytes as characters, one each. */
export function latin(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += PIECE) text += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  return text;
}

const PIECE = 4096; // a call takes only so many arguments
