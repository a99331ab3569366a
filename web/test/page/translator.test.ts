import { expect, test } from "vitest";
import { pluralForm, Translator } from "../../page/translator";

const TEXTS = {
  "names.and": "{first} and {last}",
  "names.more": "{first} and {n} more",
  done: { one: "{n} image", other: "{n} images" },
  готово: { one: "{n} снимок", few: "{n} снимка", many: "{n} снимков" },
  known: "tells {names} apart; {name}",
  "interval.perfect": "no mistakes seen",
  "interval.same": "the same",
  "interval.ranked": "ranked",
  "interval.nothing": "no hits",
};
const EN = new Translator("en", TEXTS);
const RU = new Translator("ru", TEXTS);

// Expected: Python's messages.translator.
test("counts are grouped as the language does it", () => {
  expect([EN.count(1672), EN.count(12_500), EN.count(999)]).toEqual(["1,672", "12,500", "999"]);
  expect([RU.count(1672), RU.count(12_500)]).toEqual(["1672", "12\u202f500"]);
});

test("decimals have the language's sign", () => {
  expect([EN.decimal(-0.5, 2), RU.decimal(-0.5, 2), EN.decimal(NaN)]).toEqual(["\u22120.50", "\u22120,50", "–"]);
  expect([EN.percent(0.123), RU.percent(0.123)]).toEqual(["12.3\u202f%", "12,3\u202f%"]);
});

test("a probability is never 0 or 1", () => {
  const told = [0, 1e-7, 0.0005, 0.9994, 0.9995, 1].map((p) => EN.probability(p).replaceAll("\u202f", " "));
  expect(told).toEqual(["< 0.1 %", "< 0.1 %", "0.1 %", "99.9 %", "> 99.9 %", "> 99.9 %"]);
  expect([RU.probability(0), RU.probability(1)]).toEqual(["<\u202f0,1\u202f%", ">\u202f99,9\u202f%"]);
});

test("short numbers end where they say nothing more", () => {
  expect([25, 2.5, 100, 0.1, 0.001].map((value) => EN.short(value))).toEqual(["25", "2.5", "100", "0.1", "0.001"]);
  expect(RU.short(19.44)).toBe("19,4");
});

test("plural forms", () => {
  expect([0, 1, 2].map((n) => EN.text("done", { n }))).toEqual(["0 images", "1 image", "2 images"]);
  expect([1, 3, 11, 22, 111].map((n) => RU.text("готово", { n }))).toEqual([
    "1 снимок",
    "3 снимка",
    "11 снимков",
    "22 снимка",
    "111 снимков",
  ]);
  expect([21, 104, 112, 25].map((n) => pluralForm(n, "ru"))).toEqual(["one", "few", "many", "many"]);
});

test("lists are quoted, joined and cut", () => {
  expect(EN.listing(["a", "b", "c"])).toBe("“a”, “b” and “c”");
  expect(EN.listing([..."abcdef"])).toBe("“a”, “b”, “c”, “d”, “e” and “f”");
  expect(EN.listing([..."abcdefg"])).toBe("“a”, “b”, “c”, “d”, “e” and 2 more");
  expect(RU.listing(["a"])).toBe("«a»");
});

test("values are never read as templates or patterns", () => {
  expect(EN.text("known", { names: ["{name}", "$&"], name: "{names}" })).toBe("tells “{name}” and “$&” apart; {names}");
});

test("intervals, and why there is none", () => {
  const n = 40;
  expect(EN.interval("accuracy", { value: 0.9, low: 0.801, high: 0.95, n })).toBe("80.1–95.0\u202f%");
  expect(RU.interval("roc_auc", { value: 0.9, low: 0.8, high: 0.95, n })).toBe("0,800–0,950");
  expect(EN.interval("accuracy", { value: 1, low: 1, high: 1, n })).toBe("no mistakes seen");
  expect(EN.interval("roc_auc", { value: 1, low: 1, high: 1, n })).toBe("ranked");
  expect(EN.interval("macro_f1", { value: 0, low: 0, high: 0, n })).toBe("no hits");
  expect(EN.interval("log_loss", { value: 1, low: null, high: null, n })).toBe("–");
});

test("a message that isn't there is an error", () => {
  expect(() => EN.text("nothing")).toThrow("no message nothing");
});
