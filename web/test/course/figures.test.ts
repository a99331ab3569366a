import { expect, test } from "vitest";
import { matrixOf, placeOf, read, wholeOf, write, written } from "../../course/address";
import { addition, factor, figure, isRight, typed } from "../../course/figures";
import { riddle } from "../../course/pages/correlation";
import { correlate } from "../../course/maths/convolution";
import { isSame, turned } from "../../course/maths/matrix";
import { Translator } from "../../page/translator";

const en = new Translator("en", {});
const ru = new Translator("ru", {});

test.each([
  ["63", 63],
  ["-1,5", -1.5],
  ["\u22121.5", -1.5],
  [" 1 000,25 ", 1000.25],
  ["1/9", 1 / 9],
  ["−3/4", -0.75],
  [".5", 0.5],
  ["2.", 2],
  ["-0", 0],
])("%s is the number %d", (text, value) => expect(typed(text)).toBe(value));

test.each(["", "-", "1,2,3", "1.000,5", "x", "1e5", "NaN", "Infinity", "1/0", "99999", "0x10", "--1"])(
  "%s is no number",
  (text) => expect(typed(text)).toBeNull(),
);

test("an answer may be large", () => expect([typed("18 496"), typed("18 496", 1e9)]).toEqual([null, 18496]));

test("figures are written as the language writes them", () => {
  expect([figure(en, 3.75), figure(ru, 3.75), figure(ru, -12), figure(en, 5.250001)]).toEqual([
    "3.75",
    "3,75",
    "\u221212",
    "5.25",
  ]);
  expect([figure(en, -0.00001), figure(en, 100), figure(en, 0)]).toEqual(["0", "100", "0"]);
  expect([factor(ru, -0.5), factor(ru, 2)]).toEqual(["(\u22120,5)", "2"]);
  expect(addition(en, [1, 0, -3, 2.5])).toBe("1 + 0 \u2212 3 + 2.5");
});

test("an answer is right as far as it is written", () => {
  expect([isRight(0.33, 1 / 3), isRight(5.25, 5.25), isRight(5.2, 5.25), isRight(62, 63)]).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

test("an address is read as it is written", () => {
  const kernel = [
    [1, -0.5],
    [0, 1 / 3],
  ];
  const hash = write("ru", "convolution", { kernel: written(kernel), at: "1,2" });
  expect(hash).toBe("#ru/convolution?kernel=1,-0.5;0,0.333333&at=1,2");
  const found = read(hash);
  expect([found.language, found.page]).toEqual(["ru", "convolution"]);
  expect(matrixOf(found.values.kernel, 2, 2)).toEqual([
    [1, -0.5],
    [0, 0.333333],
  ]);
  expect(placeOf(found.values.at, 3, 3)).toEqual([1, 2]);
});

test.each(["", "#", "#/", "#%", "#ru/x?%zz", "#a/b/c?d=e=f", `#${"x".repeat(9999)}`, "#?__proto__=1"])(
  "an address such as %s does no harm",
  (hash) => {
    const { values } = read(hash);
    expect(matrixOf(values.kernel, 2, 2)).toBeNull();
  },
);

test.each(["1,2;3", "1,2;3,x", "1,2;3,4;5,6", "1,2;3,1e3", "1,2;3,", "1,2;3,99999", undefined])(
  "the matrix %s is refused",
  (text) => expect(matrixOf(text, 2, 2)).toBeNull(),
);

test("numbers beyond their limits are the usual ones", () => {
  expect(["7", "0", "-1", "x", "1.5", undefined].map((text) => wholeOf(text, 1, 10, 3))).toEqual([7, 3, 3, 3, 3, 3]);
});

test("riddles have one answer", () => {
  for (let number = 0; number < 400; number++) {
    const { image, kernel, output, right } = riddle(number);
    const [plain, flipped] = [correlate(image, kernel), correlate(image, turned(kernel))];
    expect(isSame(plain, flipped)).toBe(right === "both");
    expect(isSame(output, right === "convolution" ? flipped : plain)).toBe(true);
    if (right === "both") expect(isSame(kernel, turned(kernel))).toBe(true);
  }
});
