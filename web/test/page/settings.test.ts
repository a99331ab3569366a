import { expect, test } from "vitest";
import { firstLanguage } from "../../page/settings";

test.each([
  ["", ["de", "ru-RU", "en"], null, "ru"],
  ["", ["de-CH"], null, "en"],
  ["", ["EN-us"], null, "en"],
  ["ru", ["en"], null, "ru"],
  ["ru", ["ru"], "en", "en"],
  ["", ["ru"], "tlh", "ru"],
] as const)("written %s, preferred %s, last %s: %s", (written, preferred, last, expected) => {
  expect(firstLanguage(written, preferred, last)).toBe(expected);
});
