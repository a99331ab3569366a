import { expect, test } from "vitest";
import { filtered, isAboutDifferences, kernelOf } from "../../course/filtering";
import { page } from "../../course/hand_in";
import { channelMap, FILTERS, parameters } from "../../course/maths/channels";
import { nudged, pass, step } from "../../course/maths/learning";
import { make, type Matrix } from "../../course/maths/matrix";
import { magnitude, signed, smaller } from "../../course/paint";
import { exercise as channelsExercise } from "../../course/pages/channels";
import { riddle } from "../../course/pages/filter_riddles";
import { isAlike, keptOf } from "../../course/pages/five_filters";
import { exercise } from "../../course/pages/learning";
import { type Photograph, scene } from "../../course/photograph";
import { Translator } from "../../page/translator";

const drawn = scene();

test("the drawn scene is the same everywhere", () => {
  expect([drawn.width, drawn.height]).toEqual([384, 256]);
  const total = drawn.planes.map((plane) => plane.reduce((sum, value) => sum + value, 0));
  const other = scene().planes.map((plane) => plane.reduce((sum, value) => sum + value, 0));
  expect(total).toEqual(other);
  expect(Math.min(...total)).toBeGreaterThan(1e6);
});

function even(value: number): Photograph {
  const plane = () => new Uint8ClampedArray(64).fill(value);
  return { name: "", width: 8, height: 8, planes: [plane(), plane(), plane()] };
}

test("a kernel that sums to 0 shows an even surface as white, one that sums to 1 as it is", () => {
  const laplace = kernelOf({ kernel: "0,1,0;1,-4,1;0,1,0" });
  expect(isAboutDifferences(laplace)).toBe(true);
  const inner = 4 * (3 * 8 + 3);
  expect([...filtered(even(90), laplace).slice(inner, inner + 4)]).toEqual([255, 255, 255, 255]);
  const sharpen = kernelOf({ kernel: "0,-1,0;-1,5,-1;0,-1,0" });
  expect([...filtered(even(90), sharpen).slice(inner, inner + 4)]).toEqual([90, 90, 90, 255]);
});

test("colours tell the sign, and few bright pixels don't make the rest pale", () => {
  const pixels = signed([0, 5, -5, 50], 5);
  const [zero, above, below, far] = [0, 1, 2, 3].map((at) => [...pixels.slice(4 * at, 4 * at + 3)]);
  expect(zero).toEqual([255, 255, 255]);
  expect(above![0]).toBeGreaterThan(above![2]!);
  expect(below![2]).toBeGreaterThan(below![0]!);
  expect(far).toEqual(above);
  expect(magnitude([...Array.from({ length: 199 }, () => -1), 900])).toBe(1);
});

test.each([
  [10, 8],
  [384, 96],
  [3, 1000],
])("a photograph %i wide is made at most %i wide, its mean kept", (width, most) => {
  const plane = () => new Uint8ClampedArray(width * 2).fill(77);
  const found = smaller({ name: "", width, height: 2, planes: [plane(), plane(), plane()] }, most);
  expect(Math.max(found.width, found.height)).toBeLessThanOrEqual(Math.max(most, 1));
  expect([...new Set(found.planes[0])]).toEqual([77]);
  expect(found.planes[0].length).toBe(found.width * found.height);
});

test("32 filters, all different, each with a kernel a channel", () => {
  expect(FILTERS.length).toBe(32);
  expect(new Set(FILTERS.map(({ kernels }) => JSON.stringify(kernels))).size).toBe(32);
  expect(parameters(32, 3, 3)).toBe(896);
  expect(parameters(64, 32, 3)).toBe(18_496);
});

test("a map of red against green is zero where there is no colour", () => {
  const gray = even(100);
  const found = channelMap(gray.planes, 8, 8, FILTERS[8]!.kernels);
  expect(new Set(found)).toEqual(new Set([0]));
});

test("riddles offer four filters, the right one among them, and all occur", () => {
  const seen = new Set<string>();
  for (let number = 0; number < 400; number++) {
    const { right, offered } = riddle(number);
    expect(new Set(offered).size).toBe(4);
    expect(offered).toContain(right);
    seen.add(right);
  }
  expect(seen.size).toBe(7);
});

test("kept kernels are read from the address, and those that are alike are known", () => {
  expect(keptOf("1,0,0;0,0,0;0,0,0|x|0,0,0;0,1,0;0,0,0").length).toBe(2);
  expect(keptOf(undefined)).toEqual([]);
  expect(keptOf(Array.from({ length: 9 }, () => "1,0,0;0,0,0;0,0,0").join("|")).length).toBe(5);
  const [one, other] = [make(3, 3, (r, c) => r - c), make(3, 3, (r, c) => c - r)];
  expect(isAlike(one, one.map((line) => line.map((value) => 2.5 * value)))).toBe(true); // prettier-ignore
  expect(isAlike(one, other)).toBe(false);
});

test("the page to hand in holds all kernels, and a hostile name acts on nothing", () => {
  const texts = {
    "site.filters.five": "Five <filters>",
    "site.filters.own": "Filter {number}",
    "site.image.drawn": "d",
  };
  const own = [1, 2].map((value) => ({ kernel: make(3, 3, () => value / 2), address: "data:image/png;base64,AA==" }));
  const html = page(new Translator("ru", texts), "data:image/png;base64,AA==", "<img src=x onerror=alert(1)>.png", own);
  expect(html.match(/<td>0,5<\/td>/g)?.length).toBe(9);
  expect(html).toContain("Filter 2");
  expect(html).not.toContain("<img src=x");
  expect(html).not.toContain("<filters>");
  expect(html).not.toMatch(/https?:/);
});

test("learning with a fair rate finds the hidden kernel, and one that is too high runs away", () => {
  const image: Matrix = [
    [1, 0, 2, 1],
    [0, 2, 1, 0],
    [1, 1, 0, 2],
    [2, 0, 1, 1],
  ];
  const hidden: Matrix = [
    [1, -1],
    [2, 0],
  ];
  const target = pass(
    image,
    hidden,
    make(3, 3, () => 0),
  ).output;
  const learn = (rate: number, times: number) => {
    let kernel: Matrix = make(2, 2, () => 0);
    for (let time = 0; time < times; time++) kernel = step(kernel, pass(image, kernel, target).kernelGradient, rate);
    return kernel;
  };
  learn(0.1, 300).flat().forEach((value, at) => expect(value).toBeCloseTo(hidden.flat()[at]!, 2)); // prettier-ignore
  expect(Math.max(...learn(0.5, 40).flat().map(Math.abs))).toBeGreaterThan(1000);
  const start = pass(
    image,
    make(2, 2, () => 0),
    target,
  ).kernelGradient;
  expect(start[1]![0]).toBeLessThan(0); // as the page's prediction says
});

test("exercises on gradients have a gradient that differences give", () => {
  let zeros = 0;
  for (let number = 0; number < 200; number++) {
    const { above, below, gradient } = exercise(number);
    expect((above - below) / 0.02).toBeCloseTo(gradient, 8);
    zeros += Number(Math.abs(gradient) < 0.02);
  }
  expect(zeros).toBeLessThan(20);
  expect(nudged([[1, 0], [0, 1]], [[2]], [[0, 0], [0, 0]], [0, 0], 0.1).map((loss) => loss.toFixed(4))).toEqual(["2.2050", "1.8050"]); // prettier-ignore
});

test("exercises on channels have whole answers", () => {
  for (let number = 0; number < 50; number++) expect(Number.isInteger(channelsExercise(number).total)).toBe(true);
});
