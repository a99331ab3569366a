/** 3.1a: a kernel laid on an image by hand. */
import { useState } from "preact/hooks";
import { Chance } from "../../model/chance";
import { matrixOf, placeOf, type Values, written } from "../address";
import { addition } from "../figures";
import { arithmetic, correlate, covers } from "../maths/convolution";
import { make, type Matrix, type Place } from "../maths/matrix";
import type { CoursePage, PageProps } from "../page";
import { Presets } from "../parts/controls";
import { Another, sheetOf } from "../parts/exercises";
import { FillGrid } from "../parts/fill_grid";
import { EditGrid, Grid, Operator } from "../parts/grid";
import { multiplied, Products, spoken } from "../parts/products";
import { Rich } from "../parts/rich";
import { Spoken } from "../parts/spoken";
import { WalkThrough } from "../parts/walk_through";
import { array, PYTHON_CONVOLUTION } from "../python";

const CHECKERBOARD: Matrix = make(5, 5, (row, column) => (row + column + 1) % 2);
const VERTICAL: Matrix = [
  [1, 0, -1],
  [1, 0, -1],
  [1, 0, -1],
];
/** An edge runs through it: dark at the left, light at the right. */
export const EDGE: Matrix = make(5, 5, (_, column) => (column < 2 ? 1 : 5));

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
  const choose = (place: Place) => set({ at: place.join(",") });
  const seen = (row: number, column: number) => (covers(found, [row, column]) ? "seen" : "");
  const goes = (row: number, column: number) =>
    cell && covers(arithmetic(image, kernel, [row, column]), cell) ? "goes" : "";
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
        <Operator sign="∗" />
        <EditGrid
          tr={tr}
          label={tr.text("site.grid.kernel")}
          values={kernel}
          at={weight}
          select={selectWeight}
          change={(next) => set({ kernel: written(next) })}
        />
        <Operator sign="=" />
        <Grid tr={tr} label={tr.text("site.grid.output")} values={output} at={at} select={choose} mark={goes} />
      </div>
      <WalkThrough tr={tr} rows={3} columns={3} choose={choose} />
      <Products tr={tr} at={at} window={found.window} kernel={kernel} products={found.products} total={found.total} />
      <Presets tr={tr} set={set} text={(name) => `site.convolution.preset.${name}`} presets={PRESETS} />
      <Spoken text={spoken(tr, at, found.window, kernel, found.total)} />
    </>
  );
}

const PRESETS = {
  edge: shows(EDGE, VERTICAL),
  board: shows(CHECKERBOARD, VERTICAL),
  mean: shows(
    EDGE,
    make(3, 3, () => 1),
  ),
  same: shows(
    CHECKERBOARD,
    make(3, 3, (row, column) => Number(row === 1 && column === 1)),
  ),
};

/** Values of the address that put these numbers into a page. */
export function shows(image: Matrix, kernel: Matrix): Values {
  return { image: written(image), kernel: written(kernel) };
}

/** A sheet of small numbers; number 0 is the course's own example. */
function exercise(number: number): { image: Matrix; kernel: Matrix } {
  if (number === 0) return { image: CHECKERBOARD, kernel: VERTICAL };
  const chance = new Chance(number);
  const image = make(4, 4, () => chance.whole(0, 4));
  const kernel = make(3, 3, () => chance.whole(-1, 2));
  return { image, kernel };
}

function Check({ tr, values, set, done }: PageProps) {
  const number = sheetOf(values);
  const { image, kernel } = exercise(number);
  const [looked, look] = useState<Place | null>(null);
  const [weighed, weigh] = useState<Place | null>(null);
  const because = (at: Place) => {
    const { window, products } = arithmetic(image, kernel, at);
    return `${multiplied(tr, window, kernel)} = ${addition(tr, products.flat())}`;
  };
  return (
    <>
      <p>
        <Rich tr={tr} name={number === 0 ? "site.convolution.check_first" : "site.convolution.check_more"} />
      </p>
      <div class="equation" key={number}>
        <Grid tr={tr} label={tr.text("site.grid.image")} values={image} at={looked} select={look} />
        <Operator sign="∗" />
        <Grid tr={tr} label={tr.text("site.grid.kernel")} values={kernel} at={weighed} select={weigh} />
        <Operator sign="=" />
        <FillGrid
          tr={tr}
          label={tr.text("site.check.yours")}
          right={correlate(image, kernel)}
          because={because}
          solved={done}
        />
      </div>
      <Another {...{ tr, values, set }} />
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
  return `svertka lab conv "${written(image)}" --kernel "${written(kernel)}" --at ${at.join(",")}`;
}

export const convolution: CoursePage = {
  id: "convolution",
  chapter: "convolution",
  Touch,
  Check,
  prediction: {
    answers: ["lines", "zeros", "board"],
    right: "zeros",
    shows: { ...shows(CHECKERBOARD, VERTICAL), at: "0,0" },
  },
  python,
  terminal,
};
