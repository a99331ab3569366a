/** 3.1a: a kernel laid on an image by hand. */
import { useState } from "preact/hooks";
import type { Translator } from "../../page/translator";
import { matrixOf, placeOf, wholeOf, written } from "../address";
import { addition, factor, figure } from "../figures";
import { Chance } from "../maths/chance";
import { arithmetic, correlate, weightOn } from "../maths/convolution";
import { make, type Matrix, type Place } from "../maths/matrix";
import type { CoursePage, PageProps } from "../page";
import { FillGrid } from "../parts/fill_grid";
import { EditGrid, Grid } from "../parts/grid";
import { Rich } from "../parts/rich";
import { Spoken } from "../parts/spoken";
import { array, PYTHON_CONVOLUTION, shellMatrix } from "../python";

export const CHECKERBOARD: Matrix = make(5, 5, (row, column) => (row + column + 1) % 2);
export const VERTICAL: Matrix = [
  [1, 0, -1],
  [1, 0, -1],
  [1, 0, -1],
];
/** An edge runs through it: dark at the left, light at the right. */
const EDGE: Matrix = make(5, 5, (_, column) => (column < 2 ? 1 : 5));

function state({ values }: Pick<PageProps, "values">) {
  const image = matrixOf(values.image, 5, 5) ?? EDGE;
  const kernel = matrixOf(values.kernel, 3, 3) ?? VERTICAL;
  return { image, kernel, at: placeOf(values.at, 3, 3) };
}

function Touch(props: PageProps) {
  const { tr, set } = props;
  const { image, kernel, at } = state(props);
  const output = correlate(image, kernel);
  const found = arithmetic(image, kernel, at);
  const [cell, selectCell] = useState<Place | null>(null);
  const [weight, selectWeight] = useState<Place>([0, 0]);
  const seen = (row: number, column: number) => (weightOn(found, [row, column]) ? "seen" : "");
  const goes = (row: number, column: number) =>
    cell && weightOn(arithmetic(image, kernel, [row, column]), cell) ? "goes" : "";
  return (
    <>
      <p>
        <Rich tr={tr} name="site.convolution.how" />
      </p>
      <div class="equation">
        <EditGrid
          tr={tr}
          label={tr.text("site.grid.image")}
          values={image}
          at={cell}
          select={selectCell}
          mark={seen}
          change={(next) => set({ image: written(next) })}
        />
        <span class="operator" aria-hidden="true">
          ∗
        </span>
        <EditGrid
          tr={tr}
          label={tr.text("site.grid.kernel")}
          values={kernel}
          at={weight}
          select={selectWeight}
          change={(next) => set({ kernel: written(next) })}
        />
        <span class="operator" aria-hidden="true">
          =
        </span>
        <Grid
          tr={tr}
          label={tr.text("site.grid.output")}
          values={output}
          at={at}
          select={(place) => set({ at: place.join(",") })}
          mark={goes}
        />
      </div>
      <Products tr={tr} at={at} window={found.window} kernel={kernel} products={found.products} total={found.total} />
      <Presets {...props} />
      <Spoken text={spoken(tr, at, found.window, kernel, found.total)} />
    </>
  );
}

interface ProductsProps {
  tr: Translator;
  at: Place;
  window: Matrix;
  kernel: Matrix;
  products: Matrix;
  total: number;
}

/** The window, the weights, their products and the sum: where one output comes from. */
export function Products({ tr, at, window, kernel, products, total }: ProductsProps) {
  return (
    <div class="worked">
      <h3>{tr.text("site.convolution.comes", { row: at[0] + 1, column: at[1] + 1 })}</h3>
      <div class="terms" style={{ "--columns": String(kernel[0]!.length) }}>
        {window.flatMap((line, k) =>
          line.map((value, l) => (
            <span key={`${k},${l}`} class={products[k]![l] === 0 ? "nothing" : ""}>
              {factor(tr, value)}·{factor(tr, kernel[k]![l]!)} = <b>{figure(tr, products[k]![l]!)}</b>
            </span>
          )),
        )}
      </div>
      <p class="sum">
        {addition(tr, products.flat())} = <b id="total">{figure(tr, total)}</b>
      </p>
    </div>
  );
}

/** `1·1 + 0·0 + …`, as it is said. */
export function spoken(tr: Translator, at: Place, window: Matrix, kernel: Matrix, total: number): string {
  const products = window.flatMap((line, k) =>
    line.map((value, l) => `${factor(tr, value)} × ${factor(tr, kernel[k]![l]!)}`),
  );
  const sum = products.join(" + ");
  return tr.text("site.grid.spoken", { row: at[0] + 1, column: at[1] + 1, sum, total: figure(tr, total) });
}

const PRESETS = {
  edge: { image: EDGE, kernel: VERTICAL },
  board: { image: CHECKERBOARD, kernel: VERTICAL },
  mean: { image: EDGE, kernel: make(3, 3, () => 1) },
  same: { image: CHECKERBOARD, kernel: make(3, 3, (row, column) => Number(row === 1 && column === 1)) },
};

function Presets({ tr, set }: PageProps) {
  return (
    <div class="row presets">
      <span>{tr.text("site.presets")}</span>
      {Object.entries(PRESETS).map(([name, { image, kernel }]) => (
        <button key={name} type="button" onClick={() => set({ image: written(image), kernel: written(kernel) })}>
          {tr.text(`site.convolution.preset.${name}`)}
        </button>
      ))}
    </div>
  );
}

/** A sheet of small numbers; number 0 is the course's own example. */
export function exercise(number: number): { image: Matrix; kernel: Matrix } {
  if (number === 0) return { image: CHECKERBOARD, kernel: VERTICAL };
  const chance = new Chance(number);
  const image = make(4, 4, () => chance.whole(0, 4));
  const kernel = make(3, 3, () => chance.whole(-1, 2));
  return { image, kernel };
}

const SHEETS = 999;

function Check({ tr, values, set, done }: PageProps) {
  const number = wholeOf(values.sheet, 0, SHEETS, 0);
  const { image, kernel } = exercise(number);
  const [looked, look] = useState<Place | null>(null);
  const [weighed, weigh] = useState<Place | null>(null);
  const because = (at: Place) => {
    const { window, products } = arithmetic(image, kernel, at);
    const sum = window.flatMap((line, k) =>
      line.map((value, l) => `${factor(tr, value)}·${factor(tr, kernel[k]![l]!)}`),
    );
    return `${sum.join(" + ")} = ${addition(tr, products.flat())}`;
  };
  return (
    <>
      <p>
        <Rich tr={tr} name={number === 0 ? "site.convolution.check_first" : "site.convolution.check_more"} />
      </p>
      <div class="equation" key={number}>
        <Grid tr={tr} label={tr.text("site.grid.image")} values={image} at={looked} select={look} />
        <span class="operator" aria-hidden="true">
          ∗
        </span>
        <Grid tr={tr} label={tr.text("site.grid.kernel")} values={kernel} at={weighed} select={weigh} />
        <span class="operator" aria-hidden="true">
          =
        </span>
        <FillGrid
          tr={tr}
          label={tr.text("site.check.yours")}
          right={correlate(image, kernel)}
          because={because}
          solved={done}
        />
      </div>
      <button type="button" class="plain" onClick={() => set({ sheet: String((number % SHEETS) + 1) })}>
        {tr.text("site.check.another")}
      </button>
    </>
  );
}

function python(props: PageProps): string {
  const { image, kernel } = state(props);
  return `import numpy as np

image = ${array(image)}
kernel = ${array(kernel)}

${PYTHON_CONVOLUTION}

print(convolution2d(image, kernel))`;
}

function terminal(props: PageProps): string {
  const { image, kernel, at } = state(props);
  return `svertka lab conv "${shellMatrix(image)}" --kernel "${shellMatrix(kernel)}" --at ${at.join(",")}`;
}

export const convolution: CoursePage = {
  id: "convolution",
  Touch,
  Check,
  prediction: {
    answers: ["lines", "zeros", "board"],
    right: "zeros",
    shows: { image: written(CHECKERBOARD), kernel: written(VERTICAL), at: "0,0" },
  },
  python,
  terminal,
};
