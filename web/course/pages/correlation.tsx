/** 3.1b: a kernel laid on as it is, or turned by 180 degrees. */
import { useState } from "preact/hooks";
import { Chance } from "../../model/chance";
import type { Translator } from "../../page/translator";
import { choiceOf, matrixOf, placeOf, written } from "../address";
import { addition, figure } from "../figures";
import { SOBEL } from "../filtering";
import { arithmetic, correlate, covers } from "../maths/convolution";
import { isSame, make, type Matrix, type Place, turned } from "../maths/matrix";
import type { CoursePage, PageProps } from "../page";
import { Choice, Presets } from "../parts/controls";
import { AfterAnswer, useSeries } from "../parts/exercises";
import { EditGrid, Grid } from "../parts/grid";
import { multiplied, Products, spoken } from "../parts/products";
import { Rich } from "../parts/rich";
import { Spoken } from "../parts/spoken";
import { array, PYTHON_CONVOLUTION } from "../python";
import { EDGE, shows } from "./convolution";

type Kind = "correlation" | "convolution";
const KINDS = ["correlation", "convolution"] as const;

const DOT: Matrix = make(5, 5, (row, column) => Number(row === 2 && column === 2));
const COUNTING: Matrix = make(3, 3, (row, column) => 3 * row + column + 1);
const BLUR: Matrix = [
  [1, 2, 1],
  [2, 4, 2],
  [1, 2, 1],
];

function state({ values }: Pick<PageProps, "values">) {
  const image = matrixOf(values.image, 5, 5) ?? DOT;
  const kernel = matrixOf(values.kernel, 3, 3) ?? COUNTING;
  const kind: Kind = choiceOf(values.kind, KINDS);
  return { image, kernel, kind, at: placeOf(values.at, 3, 3) };
}

/** The kernel as it lies on the image. */
function laid(kernel: Matrix, kind: Kind): Matrix {
  return kind === "convolution" ? turned(kernel) : kernel;
}

function Touch(props: PageProps) {
  const { tr, set } = props;
  const { image, kernel, kind, at } = state(props);
  const weights = laid(kernel, kind);
  const found = arithmetic(image, weights, at);
  const [hasTurned, turn] = useState(false);
  return (
    <>
      <p>
        <Rich tr={tr} name="site.correlation.how" />
      </p>
      <Choice
        label={tr.text("site.correlation.switch")}
        name="kind"
        value={kind}
        choices={KINDS}
        text={(each) => tr.text(`site.correlation.${each}`)}
        change={(next) => {
          turn(true);
          set({ kind: next });
        }}
      />
      <Grids {...props} hasTurned={hasTurned} />
      <p class="note" role="note">
        <Rich tr={tr} name={`site.correlation.${difference(image, kernel)}`} />
      </p>
      <Products tr={tr} at={at} window={found.window} kernel={weights} products={found.products} total={found.total} />
      <Presets tr={tr} set={set} text={(name) => `site.correlation.preset.${name}`} presets={PRESETS} />
      <Spoken text={spoken(tr, at, found.window, weights, found.total)} />
    </>
  );
}

/** Image, kernel, the kernel as it lies on the image, output. */
function Grids(props: PageProps & { hasTurned: boolean }) {
  const { tr, set, hasTurned } = props;
  const { image, kernel, kind, at } = state(props);
  const weights = laid(kernel, kind);
  const found = arithmetic(image, weights, at);
  const [cell, selectCell] = useState<Place | null>(null);
  const [weight, selectWeight] = useState<Place | null>(null);
  return (
    <div class="equation">
      <EditGrid
        tr={tr}
        label={tr.text("site.grid.image")}
        values={image}
        at={cell}
        select={selectCell}
        mark={(row, column) => (covers(found, [row, column]) ? "seen" : "")}
        change={(next) => set({ image: written(next) })}
      />
      <EditGrid
        tr={tr}
        label={tr.text("site.grid.kernel")}
        values={kernel}
        at={weight}
        select={selectWeight}
        change={(next) => set({ kernel: written(next) })}
      />
      <div key={kind} class={hasTurned ? "turning" : ""}>
        <Grid tr={tr} label={tr.text("site.correlation.laid")} values={weights} at={null} select={() => undefined} />
      </div>
      <Grid
        tr={tr}
        label={tr.text("site.grid.output")}
        values={correlate(image, weights)}
        at={at}
        select={(place) => set({ at: place.join(",") })}
      />
    </div>
  );
}

/** Whether it matters how the kernel is laid on. */
function difference(image: Matrix, kernel: Matrix): "symmetric" | "chance" | "different" {
  if (isSame(kernel, turned(kernel))) return "symmetric";
  return isSame(correlate(image, kernel), correlate(image, turned(kernel))) ? "chance" : "different";
}

const PRESETS = { dot: shows(DOT, COUNTING), sobel: shows(EDGE, SOBEL), blur: shows(EDGE, BLUR) };

const ANSWERS = ["correlation", "convolution", "both"] as const;
type Answer = (typeof ANSWERS)[number];

interface Riddle {
  image: Matrix;
  kernel: Matrix;
  output: Matrix;
  right: Answer;
}

/** An output, and what made it: where the two differ one of them, else both. */
export function riddle(number: number): Riddle {
  const chance = new Chance(number);
  const right = chance.of(ANSWERS);
  for (;;) {
    const image = make(3, 3, () => chance.whole(0, 3));
    const free = make(2, 2, () => chance.whole(-1, 2));
    const [a, b] = free[0] as [number, number];
    const kernel = right === "both" ? [[a, b], [b, a]] : free; // prettier-ignore
    const [plain, flipped] = [correlate(image, kernel), correlate(image, turned(kernel))];
    if (isSame(plain, flipped) !== (right === "both") || isSame(kernel, [[0, 0], [0, 0]])) continue; // prettier-ignore
    return { image, kernel, output: right === "convolution" ? flipped : plain, right };
  }
}

const RIDDLES = 4;

function Check(props: PageProps) {
  const { tr } = props;
  const series = useSeries(RIDDLES, props);
  const { at, right, chosen, number } = series;
  const [look, setLook] = useState<Place | null>(null);
  const found = riddle(number);
  const verdict = tr.text(chosen === found.right ? "site.predict.right" : "site.predict.wrong");
  return (
    <>
      <p>
        <Rich tr={tr} name="site.correlation.check" values={{ place: at + 1, of: RIDDLES, right }} />
      </p>
      <div class="equation" key={number}>
        <Grid tr={tr} label={tr.text("site.grid.image")} values={found.image} at={look} select={setLook} />
        <Grid tr={tr} label={tr.text("site.grid.kernel")} values={found.kernel} at={null} select={() => undefined} />
        <Grid tr={tr} label={tr.text("site.grid.output")} values={found.output} at={null} select={() => undefined} />
      </div>
      <div class="row" role="group" aria-label={tr.text("site.check.answer")}>
        {ANSWERS.map((each) => (
          <button
            key={each}
            type="button"
            aria-pressed={chosen === each}
            onClick={() => series.answer(each, each === found.right)}
          >
            {tr.text(`site.correlation.answer_${each}`)}
          </button>
        ))}
      </div>
      <AfterAnswer tr={tr} series={series} length={RIDDLES} told={`${verdict} ${because(tr, found)}`} />
    </>
  );
}

/** The arithmetic of an output on which the two ways differ. */
function because(tr: Translator, { image, kernel, output, right }: Riddle): string {
  if (right === "both") return tr.text("site.correlation.because_both");
  const [row, column] = first(image, kernel);
  const weights = laid(kernel, right);
  const { window, products } = arithmetic(image, weights, [row, column]);
  return tr.text(`site.correlation.because_${right}`, {
    row: row + 1,
    column: column + 1,
    sum: `${multiplied(tr, window, weights)} = ${addition(tr, products.flat())} = ${figure(tr, output[row]![column]!)}`,
  });
}

/** The first output on which the two differ. */
function first(image: Matrix, kernel: Matrix): Place {
  const [plain, flipped] = [correlate(image, kernel), correlate(image, turned(kernel))];
  const at = plain.flat().findIndex((value, number) => value !== flipped.flat()[number]);
  return at < 0 ? [0, 0] : [Math.floor(at / plain[0]!.length), at % plain[0]!.length];
}

function python(props: PageProps): string {
  const { image, kernel, kind } = state(props);
  const weights = kind === "convolution" ? "kernel[::-1, ::-1]" : "kernel";
  return `import numpy as np

image = ${array(image)}
kernel = ${array(kernel)}

${PYTHON_CONVOLUTION}

print(convolution2d(image, ${weights}))`;
}

function terminal(props: PageProps): string {
  const { image, kernel, kind, at } = state(props);
  const flip = kind === "convolution" ? " --flip" : "";
  return `svertka lab conv "${written(image)}" --kernel "${written(kernel)}"${flip} --at ${at.join(",")}`;
}

export const correlation: CoursePage = {
  id: "correlation",
  chapter: "convolution",
  Touch,
  Check,
  prediction: {
    answers: ["same", "turned", "middle"],
    right: "turned",
    shows: { ...shows(DOT, COUNTING), kind: "correlation", at: "0,0" },
  },
  python,
  terminal,
};
