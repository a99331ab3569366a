/** 3.1g: one convolution, one loss, one step. */
import { useState } from "preact/hooks";
import { Chance } from "../../model/chance";
import type { Translator } from "../../page/translator";
import { choiceOf, LARGEST, matrixOf, placeOf, written } from "../address";
import { factor, figure } from "../figures";
import { correlate } from "../maths/convolution";
import { nudged, pass, type Pass, step } from "../maths/learning";
import { make, map, type Matrix, type Place } from "../maths/matrix";
import type { CoursePage, PageProps } from "../page";
import { AskNumber } from "../parts/ask_number";
import { Choice } from "../parts/controls";
import { Another, sheetOf, useSolved } from "../parts/exercises";
import { EditGrid, Grid } from "../parts/grid";
import { LossLine } from "../parts/loss_line";
import { Rich } from "../parts/rich";
import { Spoken } from "../parts/spoken";
import { array } from "../python";

const IMAGE: Matrix = [
  [1, 0, 2, 1],
  [0, 2, 1, 0],
  [1, 1, 0, 2],
  [2, 0, 1, 1],
];
/** That the target was made with. */
const HIDDEN: Matrix = [
  [1, -1],
  [2, 0],
];
const ZEROS = make(2, 2, () => 0);
const RATES = ["0.1", "0.02", "0.5"] as const;
const NUDGE = 0.01;
/** A weight beyond it has run away. */
const FAR = 1000;

function state({ values }: Pick<PageProps, "values">) {
  const image = matrixOf(values.image, 4, 4) ?? IMAGE;
  const target = matrixOf(values.target, 3, 3) ?? correlate(IMAGE, HIDDEN);
  const kernel = matrixOf(values.kernel, 2, 2) ?? ZEROS;
  return { image, target, kernel, rate: Number(choiceOf(values.rate, RATES)), at: placeOf(values.at, 2, 2) };
}

function Touch(props: PageProps) {
  const { tr, set, values } = props;
  const { image, target, kernel, rate, at } = state(props);
  const found = pass(image, kernel, target);
  const [history, setHistory] = useState<readonly number[]>([]);
  const losses = [...history, found.loss];
  const hasRunAway = kernel.flat().some((weight) => Math.abs(weight) > FAR);
  const learn = (times: number) => {
    let [next, past] = [kernel, [...losses]];
    for (let time = 0; time < times && next.flat().every((weight) => Math.abs(weight) <= FAR); time++) {
      next = step(next, pass(image, next, target).kernelGradient, rate);
      past.push(pass(image, next, target).loss);
    }
    setHistory(past.slice(0, -1));
    set({ kernel: written(map(next, (weight) => Math.max(-LARGEST, Math.min(LARGEST, weight)))) });
  };
  const restart = (changed: Record<string, string>) => {
    setHistory([]);
    set(changed);
  };
  return (
    <>
      <p>
        <Rich tr={tr} name="site.learning.how" />
      </p>
      <Forward tr={tr} {...{ image, kernel, target, found, at }} restart={restart} set={set} />
      <p class="formula">
        {tr.text("site.learning.loss")} = (
        {found.error
          .flat()
          .map((value) => `${factor(tr, value, 2)}²`)
          .join(" + ")}
        ) / {found.error.flat().length} = <b id="loss">{figure(tr, found.loss)}</b>
      </p>
      <Backward tr={tr} {...{ image, kernel, target, found, at, rate }} set={set} />
      <Steps
        tr={tr}
        values={values}
        set={set}
        hasRunAway={hasRunAway}
        learn={learn}
        again={() => restart({ kernel: "" })}
      />
      {hasRunAway && (
        <p class="note warn" role="alert">
          {tr.text("site.learning.away")}
        </p>
      )}
      {history.length > 0 && <LossLine tr={tr} losses={losses} />}
      <Spoken
        text={tr.text("site.learning.spoken", {
          steps: history.length,
          loss: figure(tr, found.loss),
          gradient: figure(tr, found.kernelGradient[at[0]]![at[1]]!),
        })}
      />
    </>
  );
}

interface StepsProps extends Pick<PageProps, "tr" | "values" | "set"> {
  hasRunAway: boolean;
  learn: (times: number) => void;
  again: () => void;
}

function Steps({ tr, values, set, hasRunAway, learn, again }: StepsProps) {
  return (
    <>
      <Choice
        label={tr.text("site.learning.rate")}
        name="rate"
        value={choiceOf(values.rate, RATES)}
        choices={RATES}
        text={(each) => figure(tr, Number(each))}
        change={(next) => set({ rate: next })}
      />
      <div class="row steps-of">
        <button type="button" class="main" disabled={hasRunAway} onClick={() => learn(1)}>
          {tr.text("site.learning.step")}
        </button>
        <button type="button" disabled={hasRunAway} onClick={() => learn(10)}>
          {tr.text("site.learning.ten")}
        </button>
        <button type="button" onClick={again}>
          {tr.text("site.learning.again")}
        </button>
      </div>
    </>
  );
}

interface Parts {
  tr: Translator;
  image: Matrix;
  kernel: Matrix;
  target: Matrix;
  found: Pass;
  /** The chosen weight. */
  at: Place;
  set: PageProps["set"];
}

/** From the image to the error. */
function Forward({ tr, image, kernel, target, found, at, set, restart }: Parts & { restart: PageProps["set"] }) {
  const [cell, selectCell] = useState<Place | null>(null);
  const [goal, selectGoal] = useState<Place | null>(null);
  const [looked, look] = useState<Place | null>(null);
  return (
    <div class="equation">
      <EditGrid
        tr={tr}
        label={tr.text("site.grid.image")}
        values={image}
        at={cell}
        select={selectCell}
        mark={(row, column) => (isMet([row, column], at) ? "seen" : "")}
        change={(next) => restart({ image: written(next) })}
      />
      <EditGrid
        tr={tr}
        label={tr.text("site.grid.kernel")}
        values={kernel}
        at={at}
        select={(place) => set({ at: place.join(",") })}
        mark={(row, column) => (row === at[0] && column === at[1] ? "seen" : "")}
        change={(next) => restart({ kernel: written(next) })}
      />
      <Grid tr={tr} label={tr.text("site.grid.output")} values={found.output} at={looked} select={look} digits={2} />
      <EditGrid
        tr={tr}
        label={tr.text("site.learning.target")}
        values={target}
        at={goal}
        select={selectGoal}
        change={(next) => restart({ target: written(next) })}
      />
      <Grid tr={tr} label={tr.text("site.learning.error")} values={found.error} at={looked} select={look} digits={2} />
    </div>
  );
}

/** Cells of the image that a weight is multiplied with, one for each output. */
function isMet([row, column]: Place, [k, l]: Place): boolean {
  return row >= k && row < k + 3 && column >= l && column < l + 3;
}

/** From the error to the gradient of each weight, and to the step. */
function Backward({ tr, image, kernel, target, found, at, rate, set }: Parts & { rate: number }) {
  const [looked, look] = useState<Place | null>(null);
  const [k, l] = at;
  const gradient = found.kernelGradient[k]![l]!;
  const products = map(found.outputGradient, (value, p, q) => value * image[p + k]![q + l]!);
  const short = (value: number) => figure(tr, value, 3);
  return (
    <div class="worked">
      <h3>{tr.text("site.learning.backward", { row: k + 1, column: l + 1 })}</h3>
      <div class="equation">
        <Grid
          tr={tr}
          label={tr.text("site.learning.output_gradient")}
          values={found.outputGradient}
          at={looked}
          select={look}
          digits={2}
        />
        <Grid
          tr={tr}
          label={tr.text("site.learning.kernel_gradient")}
          values={found.kernelGradient}
          at={at}
          select={(place) => set({ at: place.join(",") })}
          digits={2}
        />
      </div>
      <div class="terms" style={{ "--columns": "3" }}>
        {products.flatMap((line, p) =>
          line.map((product, q) => (
            <span key={`${p},${q}`} class={product === 0 ? "nothing" : ""}>
              {factor(tr, found.outputGradient[p]![q]!, 3)}·{factor(tr, image[p + k]![q + l]!)} ={" "}
              <b>{short(product)}</b>
            </span>
          )),
        )}
      </div>
      <p class="sum">
        {tr.text("site.learning.sum")} = <b id="gradient">{figure(tr, gradient)}</b>
      </p>
      <Sentences tr={tr} {...{ image, kernel, target, at, rate, gradient }} />
    </div>
  );
}

type SentencesProps = Omit<Parts, "found" | "set"> & { rate: number; gradient: number };

/** The same gradient by finite differences, and what the step makes of the weight. */
function Sentences({ tr, image, kernel, target, at, rate, gradient }: SentencesProps) {
  const [above, below] = nudged(image, kernel, target, at, NUDGE);
  const weight = kernel[at[0]]![at[1]]!;
  return (
    <>
      <p>
        {tr.text("site.learning.differences", {
          above: figure(tr, above, 5),
          below: figure(tr, below, 5),
          width: figure(tr, 2 * NUDGE),
          found: figure(tr, (above - below) / (2 * NUDGE)),
        })}
      </p>
      <p>
        {tr.text("site.learning.next", {
          weight: figure(tr, weight),
          rate: figure(tr, rate),
          gradient: factor(tr, gradient),
          found: figure(tr, weight - rate * gradient),
        })}
      </p>
    </>
  );
}

/** Losses a little beside a weight, of a small problem. */
export function exercise(number: number) {
  const chance = new Chance(number + 1);
  const image = make(3, 3, () => chance.whole(0, 3));
  const kernel = make(2, 2, () => chance.whole(-1, 2));
  const target = make(2, 2, () => chance.whole(-2, 4));
  const [above, below] = nudged(image, kernel, target, [0, 0], NUDGE);
  const gradient = pass(image, kernel, target).kernelGradient[0]![0]!;
  return { above, below, gradient, weight: kernel[0]![0]! };
}

function Check({ tr, values, set, done }: PageProps) {
  const sheet = sheetOf(values);
  const { above, below, gradient, weight } = exercise(sheet);
  const { note, forget } = useSolved(2, done);
  const isNear = (answer: number, right: number) => Math.abs(answer - right) <= 0.011;
  const after = weight - 0.1 * gradient;
  return (
    <>
      <AskNumber
        key={`gradient-${sheet}`}
        tr={tr}
        id="gradient-check"
        judge={([answer]) => (isNear(answer!, gradient) ? "" : slip(tr, answer!, above, below))}
        praise={`(${figure(tr, above, 5)} − ${figure(tr, below, 5)}) / ${figure(tr, 2 * NUDGE)} = ${figure(tr, gradient)}`}
        solved={() => note("gradient")}
      >
        {tr.text("site.learning.ask", {
          weight: figure(tr, weight),
          high: figure(tr, weight + NUDGE),
          low: figure(tr, weight - NUDGE),
          above: figure(tr, above, 5),
          below: figure(tr, below, 5),
        })}
      </AskNumber>
      <AskNumber
        key={`step-${sheet}`}
        tr={tr}
        id="step-check"
        judge={([answer]) => {
          if (isNear(answer!, after)) return "";
          return tr.text(
            isNear(answer!, weight + 0.1 * gradient) ? "site.learning.slip_up" : "site.learning.slip_step",
          );
        }}
        praise={`${figure(tr, weight)} − ${figure(tr, 0.1)}·${factor(tr, gradient)} = ${figure(tr, after)}`}
        solved={() => note("step")}
      >
        {tr.text("site.learning.ask_step", { weight: figure(tr, weight), rate: figure(tr, 0.1) })}
      </AskNumber>
      <Another {...{ tr, values, set }} onNext={forget} />
    </>
  );
}

/** A slip that explains a wrong gradient. */
function slip(tr: Translator, answer: number, above: number, below: number): string {
  const half = (above - below) / NUDGE;
  if (Math.abs(answer - half) < 0.011) return tr.text("site.learning.slip_width");
  if (Math.abs(answer + half / 2) < 0.011) return tr.text("site.learning.slip_sign");
  return tr.text("site.learning.slip");
}

function python(props: PageProps): string {
  const { image, kernel, target, rate } = state(props);
  return `import numpy as np

image = ${array(image)}
kernel = ${array(kernel)}
target = ${array(target)}


def convolution2d(image, kernel):
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.sum(windows * kernel, axis=(2, 3))


error = convolution2d(image, kernel) - target
output_gradient = 2 * error / error.size
gradient = convolution2d(image, output_gradient)
print(np.mean(error**2))
print(gradient)
print(kernel - ${rate} * gradient)`;
}

export const learning: CoursePage = {
  id: "learning",
  chapter: "convolution",
  Touch,
  Check,
  prediction: { answers: ["up", "down", "zero"], right: "up", shows: { kernel: "", at: "1,0", image: "", target: "" } },
  python,
};
