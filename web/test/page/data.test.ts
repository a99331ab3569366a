import { expect, test } from "vitest";
import { bytesByPieces, bytesOf } from "../../page/data";

test.each([0, 1, 2, 3, 4, 196_607, 196_608, 196_609, 600_001])("base64 of %i bytes", (length) => {
  const bytes = Uint8Array.from({ length }, (_, at) => (at * 7) % 256);
  for (const read of [bytesOf, bytesByPieces])
    expect(Buffer.compare(read(Buffer.from(bytes).toString("base64")), bytes)).toBe(0);
});

test("what is no base64 is an error", () => {
  for (const read of [bytesOf, bytesByPieces]) for (const text of ["ab!d", "abcde"]) expect(() => read(text)).toThrow();
});
