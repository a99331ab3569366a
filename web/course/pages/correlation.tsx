/** 3.1b: a kernel laid on as it is, or turned by 180 degrees. */
import { useState } from "preact/hooks";
import { choiceOf, matrixOf, placeOf, wholeOf, written } from "../address";
import { addition, factor, figure } from "../figures";
import { Chance } from "../maths/chance";
import { arithmetic, correlate, weightOn } from "../maths/convolution";
import { isSame, make, type Matrix, type Place, turned } from "../maths/matrix";
import type { CoursePage, PageProps } from "../page";
import { Choice } from "../parts/controls";
import { EditGrid, Grid } from "../parts/grid";
import { Rich } from "../parts/rich";
import { Spoken } from "../parts/spoken";
import { array, PYTHON_CONVOLUTION, shellMatrix } from "../python";
import { Products, spoken } from "./convolution";

type Kind = "correlation" | "convolution";
const KINDS = ["correlation", "convolution"] as const;

const DOT: Matrix = make(5, 5, (row, column) => Number(row === 2 && column === 2));
const COUNTING: Matrix = make(3, 3, (row, column) => 3 * row + column + 1);
const SOBEL: Matrix = [
  [-1, 0, 1],
  [-2, 0, 2],
  [-1, 0, 1],
];
const BLUR: Matrix = [
  [1, 2, 1],
  [2, 4, 2],
  [1, 2, 1],
];
const EDGE: Matrix = make(5, 5, (_, column) => (column < 2 ? 1 : 5));

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
  const output = correlate(image, weights);
  const found = arithmetic(image, weights, at);
  const [cell, selectCell] = useState<Place | null>(null);
  const [weight, selectWeight] = useState<Place | null>(null);
  const [hasTurned, turn] = useState(false);
  return (
    <>
      <p>
        <Rich tr={tr} name="site.correlation.how" />
      </p>
      <Choice
        tr={tr}
        label={tr.text("site.correlation.switch")}
        name="kind"
        value={kind}
        choices={KINDS}
        text={(each) => `site.correlation.${each}`}
        change={(next) => {
          turn(true);
          set({ kind: next });
        }}
      />
      <div class="equation">
        <EditGrid
          tr={tr}
          label={tr.text("site.grid.image")}
          values={image}
          at={cell}
          select={selectCell}
          mark={(row, column) => (weightOn(found, [row, column]) ? "seen" : "")}
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
          values={output}
          at={at}
          select={(place) => set({ at: place.join(",") })}
        />
      </div>
      <p class="note" role="note">
        <Rich tr={tr} name={`site.correlation.${difference(image, kernel)}`} />
      </p>
      <Products tr={tr} at={at} window={found.window} kernel={weights} products={found.products} total={found.total} />
      <Presets {...props} />
      <Spoken text={spoken(tr, at, found.window, weights, found.total)} />
    </>
  );
}

/** Whether it matters how the kernel is laid on. */
function difference(image: Matrix, kernel: Matrix): "symmetric" | "chance" | "different" {
  if (isSame(kernel, turned(kernel))) return "symmetric";
  return isSame(correlate(image, kernel), correlate(image, turned(kernel))) ? "chance" : "different";
}

const PRESETS = {
  dot: { image: DOT, kernel: COUNTING },
  sobel: { image: EDGE, kernel: SOBEL },
  blur: { image: EDGE, kernel: BLUR },
};

function Presets({ tr, set }: PageProps) {
  return (
    <div class="row presets">
      <span>{tr.text("site.presets")}</span>
      {Object.entries(PRESETS).map(([name, { image, kernel }]) => (
        <button key={name} type="button" onClick={() => set({ image: written(image), kernel: written(kernel) })}>
          {tr.text(`site.correlation.preset.${name}`)}
        </button>
      ))}
    </div>
  );
}

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

function Check({ tr, values, set, done }: PageProps) {
  const sheet = wholeOf(values.sheet, 0, 999, 0);
  const [right, setRight] = useState(0);
  const [at, next] = useState(0);
  const [told, tell] = useState("");
  const [chosen, choose] = useState<Answer | null>(null);
  const [look, setLook] = useState<Place | null>(null);
  const found = riddle(sheet * RIDDLES + at);
  const answer = (given: Answer) => {
    if (chosen) return;
    choose(given);
    const isRight = given === found.right;
    const count = right + Number(isRight);
    setRight(count);
    tell(`${tr.text(isRight ? "site.predict.right" : "site.predict.wrong")} ${because(found)}`);
    if (at === RIDDLES - 1 && count === RIDDLES) done();
  };
  const go = () => {
    const isEnd = at === RIDDLES - 1;
    if (isEnd) {
      set({ sheet: String((sheet % 999) + 1) });
      setRight(0);
    }
    next(isEnd ? 0 : at + 1);
    choose(null);
    tell("");
  };
  const because = ({ image, kernel, output, right }: Riddle) => {
    if (right === "both") return tr.text("site.correlation.because_both");
    const weights = laid(kernel, right);
    const { window, products } = arithmetic(image, weights, first(image, kernel));
    const sum = window.flatMap((line, k) =>
      line.map((value, l) => `${factor(tr, value)}·${factor(tr, weights[k]![l]!)}`),
    );
    const [row, column] = first(image, kernel);
    return tr.text(`site.correlation.because_${right}`, {
      row: row + 1,
      column: column + 1,
      sum: `${sum.join(" + ")} = ${addition(tr, products.flat())} = ${figure(tr, output[row]![column]!)}`,
    });
  };
  return (
    <>
      <p>
        <Rich tr={tr} name="site.correlation.check" values={{ place: at + 1, of: RIDDLES, right }} />
      </p>
      <div class="equation" key={`${sheet}-${at}`}>
        <Grid tr={tr} label={tr.text("site.grid.image")} values={found.image} at={look} select={setLook} />
        <Grid tr={tr} label={tr.text("site.grid.kernel")} values={found.kernel} at={null} select={() => undefined} />
        <Grid tr={tr} label={tr.text("site.grid.output")} values={found.output} at={null} select={() => undefined} />
      </div>
      <div class="row" role="group" aria-label={tr.text("site.check.answer")}>
        {ANSWERS.map((each) => (
          <button key={each} type="button" aria-pressed={chosen === each} onClick={() => answer(each)}>
            {tr.text(`site.correlation.answer_${each}`)}
          </button>
        ))}
      </div>
      <p role="status">
        {told}
        {chosen && at === RIDDLES - 1 && ` ${tr.text("site.correlation.result", { right, of: RIDDLES })}`}
      </p>
      {chosen && (
        <button type="button" class="main" onClick={go}>
          {tr.text(at === RIDDLES - 1 ? "site.check.another" : "site.correlation.next")}
        </button>
      )}
    </>
  );
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
  return `svertka lab conv "${shellMatrix(image)}" --kernel "${shellMatrix(kernel)}"${flip} --at ${at.join(",")}`;
}

export const correlation: CoursePage = {
  id: "correlation",
  Touch,
  Check,
  prediction: {
    answers: ["same", "turned", "middle"],
    right: "turned",
    shows: { image: written(DOT), kernel: written(COUNTING), kind: "correlation", at: "0,0" },
  },
  python,
  terminal,
};
