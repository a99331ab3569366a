/**
 * Reads and writes protocol-buffer messages field by field, without a schema: the encoding of ONNX files.
 *
 * Wire format: https://protobuf.dev/programming-guides/encoding.
 */

/** A field's number, and its value: a whole number, or the bytes of a number, of text or of another message. */
export type Field = [number: number, value: bigint | Uint8Array];

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** The fields of one message, in order. Throws where the bytes are no message. */
export function* fields(message: Uint8Array): Generator<Field> {
  let at = 0;
  while (at < message.length) {
    let key: bigint;
    [key, at] = varint(message, at);
    const number = Number(key >> 3n);
    const wireType = Number(key & 7n);
    if (number < 1 || number >= 2 ** 29) throw new Error(`a field has number ${number}`);
    if (wireType === VARINT) {
      let value: bigint;
      [value, at] = varint(message, at);
      yield [number, value];
      continue;
    }
    let size: number;
    [size, at] = sizeOf(message, at, wireType);
    if (at + size > message.length) throw new Error(`a field of ${size} bytes at byte ${at} reaches past the end`);
    yield [number, message.subarray(at, at + size)];
    at += size;
  }
}

function sizeOf(message: Uint8Array, at: number, wireType: number): [size: number, next: number] {
  if (wireType === FIXED32 || wireType === FIXED64) return [wireType === FIXED32 ? 4 : 8, at];
  if (wireType !== BYTES) throw new Error(`wire type ${wireType} at byte ${at}`);
  const [size, next] = varint(message, at);
  return [Number(size), next];
}

/** A whole number of seven bits a byte, lowest first, and where the next field begins. */
export function varint(message: Uint8Array, at: number): [value: bigint, next: number] {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    if (at >= message.length) throw new Error("it ends within a field");
    const byte = message[at++]!;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) {
      if (value >> 64n) throw new Error(`an integer at byte ${at} is larger than 64 bits hold`);
      return [value, at];
    }
  }
  throw new Error(`an integer at byte ${at} is longer than ten bytes`);
}

/** One field as bytes: a whole number, or bytes behind their length. */
export function encodeField(number: number, value: bigint | Uint8Array): Uint8Array {
  if (typeof value === "bigint") return concat([encodeVarint(BigInt(number) << 3n), encodeVarint(value)]);
  return concat([encodeVarint((BigInt(number) << 3n) | BigInt(BYTES)), encodeVarint(BigInt(value.length)), value]);
}

function encodeVarint(value: bigint): Uint8Array {
  const found: number[] = [];
  for (; value >= 0x80n; value >>= 7n) found.push(Number(value & 0x7fn) | 0x80);
  found.push(Number(value));
  return Uint8Array.from(found);
}

/** Pieces of bytes behind each other. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export function asText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
