import { expect, test } from "vitest";
import { shortened, shown } from "../../page/shown";

test("marks that reorder text are written out", () => {
  expect(shown("a\u202egnp.exe")).toBe("a\\u202egnp.exe");
  expect(shown("\u001b[2J\n\u200b")).toBe("\\u001b[2J\\u000a\\u200b");
  expect(shown("\ud800x")).toBe("\\ud800x");
});

test("what reads from right to left, and pictures, stay", () => {
  expect(shown("שלום 🌻 кот")).toBe("שלום 🌻 кот");
});

test("nobody reads 5,000 letters", () => {
  expect(shortened("x".repeat(5000))).toBe(`${"x".repeat(100)}…${"x".repeat(50)}`);
  expect(shortened("word ".repeat(200))).toBe("word ".repeat(200));
});
