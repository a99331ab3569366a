/** 3.1e: the largest number of each window, or the mean. */
import { useState } from "preact/hooks";
import { Chance } from "../../model/chance";
import type { Translator } from "../../page/translator";
import { choiceOf, matrixOf, placeOf, wholeOf, written } from "../address";
import { addition, factor, figure } from "../figures";
import { covers, outputSize } from "../maths/convolution";
import { make, type Matrix, type Place } from "../maths/matrix";
import { pool, type Pooled, pooled, type Pooling } from "../maths/pooling";
import type { CoursePage, PageProps } from "../page";
import { Choice, Slider } from "../parts/controls";
import { Another, sheetOf, useSolved } from "../parts/exercises";
import { FillGrid } from "../parts/fill_grid";
import { EditGrid, Grid, Operator } from "../parts/grid";
import { Rich } from "../parts/rich";
import { Spoken } from "../parts/spoken";
import { WalkThrough } from "../parts/walk_through";
import { array } from "../python";

const KINDS = ["max", "mean"] as const;
const SIDE = 6;
/** A bright corner that moves by a cell changes little in the output. */
const SPOT: Matrix = [
  [1, 1, 0, 0, 2, 1],
  [1, 9, 8, 0, 1, 2],
  [0, 8, 7, 1, 0, 0],
  [0, 0, 1, 1, 3, 3],
  [2, 1, 0, 3, 6, 3],
  [1, 2, 0, 3, 3, 3],
];
/** The course's own. */
const COURSE: Matrix = [
  [1, 3, 2, 4],
  [5, 6, 7, 8],
  [1, 2, 3, 4],
  [5, 6, 7, 8],
];

function state({ values }: Pick<PageProps, "values">) {
  const image = matrixOf(values.image, SIDE, SIDE) ?? SPOT;
  const kind: Pooling = choiceOf(values.kind, KINDS);
  const side = wholeOf(values.window, 1, SIDE, 2);
  const stride = wholeOf(values.stride, 1, SIDE, side);
  const outputs = outputSize(SIDE, side, { stride, padding: 0 });
  return { image, kind, side, stride, at: placeOf(values.at, outputs, outputs) };
}

function Touch(props: PageProps) {
  const { tr, set } = props;
  const { image, kind, side, stride, at } = state(props);
  const output = pool(image, kind, side, stride);
  const found = pooled(image, kind, side, stride, at);
  const [cell, selectCell] = useState<Place | null>(null);
  const choose = (place: Place) => set({ at: place.join(",") });
  const mark = (row: number, column: number) => {
    const won = found.winner?.[0] === row && found.winner[1] === column ? "won" : "";
    return `${covers(found, [row, column]) ? "seen" : ""} ${won}`;
  };
  const goes = (row: number, column: number) =>
    cell && covers(pooled(image, kind, side, stride, [row, column]), cell) ? "goes" : "";
  return (
    <>
      <p>
        <Rich tr={tr} name="site.pooling.how" />
      </p>
      <Knobs {...props} />
      <div class="equation">
        <EditGrid
          tr={tr}
          label={tr.text("site.pooling.map")}
          values={image}
          at={cell}
          select={selectCell}
          mark={mark}
          change={(next) => set({ image: written(next) })}
        />
        <Operator sign="→" />
        <Grid
          tr={tr}
          label={tr.text("site.grid.output")}
          values={output}
          at={at}
          select={choose}
          mark={goes}
          digits={2}
        />
      </div>
      <WalkThrough tr={tr} rows={output.length} columns={output.length} choose={choose} />
      <Worked tr={tr} {...{ at, kind, found, side, stride }} />
      <Spoken
        text={tr.text("site.grid.spoken", {
          row: at[0] + 1,
          column: at[1] + 1,
          sum: worked(tr, kind, found),
          total: figure(tr, found.value),
        })}
      />
    </>
  );
}

/** Kind, window and stride. */
function Knobs(props: PageProps) {
  const { tr, set } = props;
  const { kind, side, stride } = state(props);
  return (
    <>
      <Choice
        label={tr.text("site.pooling.kind")}
        name="kind"
        value={kind}
        choices={KINDS}
        text={(each) => tr.text(`site.pooling.${each}`)}
        change={(next) => set({ kind: next })}
      />
      <div class="sliders">
        <Slider
          label={tr.text("site.pooling.window")}
          value={side}
          low={1}
          high={SIDE}
          change={(next) => set({ window: String(next), stride: "" })}
        />
        <Slider
          label={tr.text("site.sizes.stride")}
          value={stride}
          low={1}
          high={SIDE}
          change={(next) => set({ stride: String(next) })}
        />
      </div>
    </>
  );
}

interface WorkedProps {
  tr: Translator;
  at: Place;
  kind: Pooling;
  found: Pooled;
  side: number;
  stride: number;
}

/** How one output comes about. */
function Worked({ tr, at, kind, found, side, stride }: WorkedProps) {
  return (
    <div class="worked">
      <h3>{tr.text("site.convolution.comes", { row: at[0] + 1, column: at[1] + 1 })}</h3>
      <p class="sum">
        {worked(tr, kind, found)} = <b id="total">{figure(tr, found.value)}</b>
      </p>
      <p>{told(tr, kind, found, side * side)}</p>
      {stride < side && <p>{tr.text("site.pooling.overlap")}</p>}
      {stride > side && <p>{tr.text("site.pooling.gaps")}</p>}
    </div>
  );
}

/** `max(1; 3; 5; 6)`, or `(1 + 3 + 5 + 6) / 4`. */
function worked(tr: Translator, kind: Pooling, { window }: Pooled): string {
  const numbers = window.flat();
  if (kind === "max") return `max(${numbers.map((value) => figure(tr, value)).join("; ")})`;
  return numbers.length === 1 ? factor(tr, numbers[0]!) : `(${addition(tr, numbers)}) / ${numbers.length}`;
}

function told(tr: Translator, kind: Pooling, { winner, ties }: Pooled, n: number): string {
  if (!winner) return tr.text("site.pooling.shared", { n });
  const place = { row: winner[0] + 1, column: winner[1] + 1 };
  return tr.text(ties > 1 ? "site.pooling.tied" : `site.pooling.won_${kind}`, { ...place, n: ties });
}

function Check({ tr, values, set, done }: PageProps) {
  const sheet = sheetOf(values);
  const image = sheet === 0 ? COURSE : exercise(sheet);
  const { note, forget } = useSolved(KINDS.length, done);
  const [look, setLook] = useState<Place | null>(null);
  const because = (kind: Pooling) => (at: Place) => {
    const found = pooled(image, kind, 2, 2, at);
    return `${worked(tr, kind, found)} = ${figure(tr, found.value)}`;
  };
  return (
    <>
      <p>
        <Rich tr={tr} name="site.pooling.check" />
      </p>
      <div class="equation" key={sheet}>
        <Grid tr={tr} label={tr.text("site.pooling.map")} values={image} at={look} select={setLook} />
        {KINDS.map((kind) => (
          <FillGrid
            key={kind}
            tr={tr}
            label={tr.text(`site.pooling.${kind}`)}
            right={pool(image, kind, 2, 2)}
            because={because(kind)}
            solved={() => note(kind)}
          />
        ))}
      </div>
      <Another {...{ tr, values, set }} onNext={forget} />
    </>
  );
}

function exercise(number: number): Matrix {
  const chance = new Chance(number);
  return make(4, 4, () => chance.whole(0, 9));
}

function python(props: PageProps): string {
  const { image, kind, side, stride } = state(props);
  return `import numpy as np

image = ${array(image)}


def pooling2d(image, window, stride, reduce):
    rows = (image.shape[0] - window) // stride + 1
    columns = (image.shape[1] - window) // stride + 1
    output = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            output[i, j] = reduce(image[top : top + window, left : left + window])
    return output


print(pooling2d(image, ${side}, ${stride}, np.${kind}))`;
}

function terminal(props: PageProps): string {
  const { image, kind, side, stride, at } = state(props);
  const mean = kind === "mean" ? " --kind mean" : "";
  return `svertka lab pool "${written(image)}" --window ${side} --stride ${stride}${mean} --at ${at.join(",")}`;
}

export const pooling: CoursePage = {
  id: "pooling",
  chapter: "convolution",
  Touch,
  Check,
  prediction: {
    answers: ["gone", "same", "half"],
    right: "same",
    shows: { image: shifted(), kind: "max", window: "", stride: "", at: "0,0" },
  },
  python,
  terminal,
};

/** A single bright cell, moved by one within its window. */
function shifted(): string {
  return written(make(SIDE, SIDE, (row, column) => (row === 1 && column === 1 ? 9 : 0)));
}
