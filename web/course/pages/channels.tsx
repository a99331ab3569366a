/** 3.1d: a picture of three channels, a filter with a kernel for each, and a map for each filter. */
import type { TargetedFocusEvent } from "preact";
import { useMemo, useState } from "preact/hooks";
import { Chance } from "../../model/chance";
import type { Translator } from "../../page/translator";
import { matrixOf, placeOf, wholeOf, written } from "../address";
import { addition, factor, figure } from "../figures";
import { channelMap, channelSum, COLUMNS, FILTERS, parameters, type Three } from "../maths/channels";
import { make, type Matrix, type Place } from "../maths/matrix";
import type { CoursePage, PageProps } from "../page";
import { inColour, inGray, magnitude, signed, smaller } from "../paint";
import { AskNumber } from "../parts/ask_number";
import { Slider } from "../parts/controls";
import { Another, sheetOf, useSolved } from "../parts/exercises";
import { EditGrid, Frame, Grid, Operator } from "../parts/grid";
import { OwnImage } from "../parts/own_image";
import { Marked, Paint } from "../parts/paint";
import { Rich } from "../parts/rich";
import { Spoken } from "../parts/spoken";
import type { Photograph } from "../photograph";

const NAMES = ["red", "green", "blue"] as const;
/** Of the longer side: 32 maps are computed at every change. */
const MOST_PX = 96;
const ROWS = FILTERS.length / COLUMNS;

function state({ values, photograph }: Pick<PageProps, "values" | "photograph">) {
  const chosen = wholeOf(values.filter, 0, FILTERS.length - 1, 2);
  const own = matrixOf(values.kernel, 9, 3);
  const kernels = own ? ([own.slice(0, 3), own.slice(3, 6), own.slice(6)] as const) : FILTERS[chosen]!.kernels;
  const small = smaller(photograph, MOST_PX);
  const middle = `${Math.floor(small.height * 0.55)},${Math.floor(small.width * 0.22)}`;
  const at = placeOf(values.at ?? middle, small.height, small.width);
  const windows = small.planes.map((plane) => windowAt(plane, small, at)) as unknown as Three<Matrix>;
  return { chosen, kernels, small, at, windows };
}

/** The 3 × 3 numbers around a pixel; zeros beyond the border. */
function windowAt(plane: ArrayLike<number>, { width, height }: Photograph, [row, column]: Place): Matrix {
  return make(3, 3, (k, l) => {
    const [y, x] = [row + k - 1, column + l - 1];
    return y >= 0 && x >= 0 && y < height && x < width ? plane[y * width + x]! : 0;
  });
}

function Touch(props: PageProps) {
  const { tr, set, photograph, take } = props;
  const { chosen, kernels, small, at, windows } = useMemo(() => state(props), [photograph, props.values]);
  const { width, height } = small;
  const sums = windows.map((window, channel) => channelSum(window, kernels[channel]!));
  const total = sums.reduce((a, b) => a + b, 0);
  const choose = (place: Place) => set({ at: place.join(",") });
  return (
    <>
      <p>
        <Rich tr={tr} name="site.channels.how" />
      </p>
      <Pictures tr={tr} small={small} kernels={kernels} at={at} choose={choose} />
      <div class="sliders">
        <Slider
          label={tr.text("site.channels.row")}
          value={at[0] + 1}
          low={1}
          high={height}
          change={(row) => choose([row - 1, at[1]])}
        />
        <Slider
          label={tr.text("site.channels.column")}
          value={at[1] + 1}
          low={1}
          high={width}
          change={(column) => choose([at[0], column - 1])}
        />
      </div>
      <Channels tr={tr} windows={windows} kernels={kernels} sums={sums} set={set} />
      <p class="formula">
        {tr.text("site.channels.sum")} {addition(tr, sums)} = <b id="total">{figure(tr, total)}</b>
      </p>
      <Maps {...props} small={small} chosen={props.values.kernel ? -1 : chosen} />
      <p class="formula">
        {tr.text("site.channels.shape", { height, width, n: FILTERS.length })}
        <br />
        {tr.text("site.channels.parameters", { n: FILTERS.length, total: parameters(FILTERS.length, 3, 3) })}
      </p>
      <OwnImage tr={tr} photograph={photograph} take={take} />
      <Spoken
        text={tr.text("site.grid.spoken", {
          row: at[0] + 1,
          column: at[1] + 1,
          sum: sums.map((value) => factor(tr, value)).join(" + "),
          total: figure(tr, total),
        })}
      />
    </>
  );
}

interface PicturesProps {
  tr: Translator;
  small: Photograph;
  kernels: Three<Matrix>;
  at: Place;
  choose: (place: Place) => void;
}

/** The picture, its channels, and the map of the filter; a window is chosen on any of them. */
function Pictures({ tr, small, kernels, at, choose }: PicturesProps) {
  const { width, height, planes } = small;
  const given = useMemo(() => [inColour(planes), ...planes.map(inGray)], [planes]);
  const found = useMemo(() => {
    const map = channelMap(planes, width, height, kernels);
    return signed(map, magnitude(map));
  }, [planes, written(kernels.flat())]);
  return (
    <div class="channels">
      {["picture", ...NAMES, "map"].map((name, number) => (
        <figure key={name}>
          <Marked
            {...{ width, height, at, choose }}
            pixels={given[number] ?? found}
            label={tr.text(`site.channels.${name}`)}
          />
          <figcaption>{tr.text(`site.channels.${name}`)}</figcaption>
        </figure>
      ))}
    </div>
  );
}

interface ChannelsProps {
  tr: Translator;
  windows: Three<Matrix>;
  kernels: Three<Matrix>;
  sums: readonly number[];
  set: PageProps["set"];
}

/** Each channel's window times its kernel. */
function Channels({ tr, windows, kernels, sums, set }: ChannelsProps) {
  const [looked, look] = useState<Place | null>(null);
  const [weight, selectWeight] = useState<Place | null>(null);
  const change = (channel: number, next: Matrix) =>
    set({ kernel: written(kernels.flatMap((each, at) => (at === channel ? next : each))) });
  return (
    <div class="three">
      {NAMES.map((name, channel) => (
        <div class={`equation ${name}`} key={name}>
          <Grid
            tr={tr}
            label={tr.text(`site.channels.${name}`)}
            values={windows[channel]!}
            scale={255}
            at={looked}
            select={look}
          />
          <Operator sign="×" />
          <EditGrid
            tr={tr}
            label={tr.text(`site.channels.kernel_${name}`)}
            values={kernels[channel]!}
            at={weight}
            select={selectWeight}
            change={(next) => change(channel, next)}
          />
          <span class="operator">= {figure(tr, sums[channel]!)}</span>
        </div>
      ))}
    </div>
  );
}

/** All maps, one to be chosen. */
function Maps({ tr, set, small, chosen }: PageProps & { small: Photograph; chosen: number }) {
  const { width, height, planes } = small;
  const maps = useMemo(
    () =>
      FILTERS.map(({ kernels }) => {
        const found = channelMap(planes, width, height, kernels);
        return signed(found, magnitude(found));
      }),
    [planes],
  );
  const [at, select] = useState<Place | null>(null);
  const name = (row: number, column: number) =>
    `${tr.text(`site.channels.colour_${row}`)}, ${tr.text(`site.channels.pattern_${column}`)}`;
  const take = (number: number) => set({ filter: String(number), kernel: "" });
  const place: Place = at ?? [Math.floor(Math.max(0, chosen) / COLUMNS), Math.max(0, chosen) % COLUMNS];
  return (
    <Frame
      label={tr.text("site.channels.maps", { n: FILTERS.length })}
      rows={ROWS}
      columns={COLUMNS}
      class="maps"
      at={place}
      select={select}
      below={
        <figcaption>
          {chosen >= 0 ? name(Math.floor(chosen / COLUMNS), chosen % COLUMNS) : tr.text("site.channels.own")}
        </figcaption>
      }
    >
      {(row, column, seat) => {
        const number = row * COLUMNS + column;
        return (
          <div
            role="gridcell"
            key={column}
            data-cell
            class={`map-cell ${number === chosen ? "at" : ""}`}
            aria-selected={number === chosen}
            aria-label={name(row, column)}
            title={name(row, column)}
            {...seat}
            onClick={() => take(number)}
            onFocus={(event) => {
              seat.onFocus();
              // whoever only passes by keeps the weights that were changed
              if (isWithinGrid(event)) take(number);
            }}
          >
            <Paint width={width} height={height} pixels={maps[number]!} label="" />
          </div>
        );
      }}
    </Frame>
  );
}

/** Whether the focus comes from another cell. */
function isWithinGrid({ currentTarget, relatedTarget }: TargetedFocusEvent<HTMLElement>): boolean {
  return !!currentTarget.closest("[role=grid]")?.contains(relatedTarget as Node | null);
}

/** Three windows and three kernels of 2 × 2, by number. */
export function exercise(number: number): { windows: Three<Matrix>; kernels: Three<Matrix>; total: number } {
  const chance = new Chance(number + 1);
  const draw = (low: number, high: number) => [0, 1, 2].map(() => make(2, 2, () => chance.whole(low, high)));
  const windows = draw(0, 4) as unknown as Three<Matrix>;
  const kernels = draw(-2, 2) as unknown as Three<Matrix>;
  const total = windows.reduce((found, window, channel) => found + channelSum(window, kernels[channel]!), 0);
  return { windows, kernels, total };
}

const LAYER = { filters: 64, channels: 32, side: 3 };

function Check({ tr, values, set, done }: PageProps) {
  const sheet = sheetOf(values);
  const { windows, kernels, total } = exercise(sheet);
  const { note } = useSolved(2, done);
  const [at, select] = useState<Place | null>(null);
  const sums = windows.map((window, channel) => channelSum(window, kernels[channel]!));
  const layer = parameters(LAYER.filters, LAYER.channels, LAYER.side);
  const weights = LAYER.filters * LAYER.channels * LAYER.side ** 2;
  return (
    <>
      <div class="three small" key={sheet}>
        {NAMES.map((name, channel) => (
          <div class={`equation ${name}`} key={name}>
            <Grid tr={tr} label={tr.text(`site.channels.${name}`)} values={windows[channel]!} at={at} select={select} />
            <Operator sign="×" />
            <Grid
              tr={tr}
              label={tr.text(`site.channels.kernel_${name}`)}
              values={kernels[channel]!}
              at={null}
              select={select}
            />
          </div>
        ))}
      </div>
      <AskNumber
        key={`sum-${sheet}`}
        tr={tr}
        id="channel-sum"
        judge={([answer]) => (answer === total ? "" : tr.text("site.channels.slip", { sum: addition(tr, sums) }))}
        praise={`${addition(tr, sums)} = ${figure(tr, total)}`}
        solved={() => note("sum")}
      >
        {tr.text("site.channels.ask")}
      </AskNumber>
      <Another {...{ tr, values, set }} />
      <AskNumber
        tr={tr}
        id="channel-parameters"
        judge={([answer]) => {
          if (answer === layer) return "";
          return tr.text(answer === weights ? "site.channels.slip_bias" : "site.channels.slip_count");
        }}
        praise={tr.text("site.channels.counted", { n: layer })}
        solved={() => note("parameters")}
      >
        {tr.text("site.channels.count", LAYER)}
      </AskNumber>
    </>
  );
}

function python(props: PageProps): string {
  const { windows, kernels } = state(props);
  const block = (planes: Three<Matrix>) =>
    planes.map((plane) => `    [${plane.map((line) => `[${line.map(String).join(", ")}]`).join(", ")}],\n`).join("");
  return `import numpy as np

# channel, row, column
window = np.array([
${block(windows)}])
kernel = np.array([
${block(kernels)}])

print(np.sum(window * kernel, axis=(1, 2)))
print(np.sum(window * kernel))`;
}

export const channels: CoursePage = {
  id: "channels",
  chapter: "convolution",
  Touch,
  Check,
  prediction: { answers: ["few", "weights", "all"], right: "all", shows: { filter: "2", kernel: "" } },
  python,
};
