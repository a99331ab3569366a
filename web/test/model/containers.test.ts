import { expect, test } from "vitest";
import { decode } from "../../model/decode";

function box(name: string, ...content: number[]): number[] {
  return [0, 0, 0, 8 + content.length, ...[...name].map((letter) => letter.charCodeAt(0)), ...content];
}

const letters = (text: string) => [...text].map((letter) => letter.charCodeAt(0));

test.each([[0], [1], [15]])("a box of AVIF that says it has %i bytes ends the reading", async (size) => {
  const start = [
    ...box("ftyp", ...letters("avif"), 0, 0, 0, 0),
    ...box("meta", ...box("ispe", 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1)),
  ];
  const long = [0, 0, 0, 1, ...letters("free"), 0, 0, 0, 0, 0, 0, 0, size, ...new Array<number>(40).fill(0)];
  await expect(decode(Uint8Array.from([...start, ...long]))).rejects.toMatchObject({ reason: "damaged" });
});
