import { useMemo, useState } from "preact/hooks";
import type { Translator } from "../../page/translator";
import { matrixOf, written } from "../address";
import { figure } from "../figures";
import { filtered, kernelOf } from "../filtering";
import { largest, type Matrix } from "../maths/matrix";
import type { PageProps } from "../page";
import { smaller } from "../paint";
import { Paint } from "../parts/paint";
import { Rich } from "../parts/rich";
import type { Photograph } from "../photograph";
import { handIn } from "../hand_in";

const FIVE = 5;
const PICTURE_PX = 256;

/** Kernels that were kept, from the address. */
export function keptOf(text: string | undefined): Matrix[] {
  const found = (text ?? "").split("|").map((each) => matrixOf(each, 3, 3));
  return found.filter((each) => each !== null).slice(0, FIVE);
}

/** Whether one is the other times a number above 0: their pictures are the same, as the task's check has it. */
export function isAlike(a: Matrix, b: Matrix): boolean {
  const [high, low] = [largest(a), largest(b)];
  return a.every((line, k) => line.every((value, l) => Math.abs(value / high - b[k]![l]! / low) < 1e-5));
}

/** Five kernels of one's own, kept in the address, and a page to hand in. */
export function FiveFilters(props: PageProps) {
  const { tr, values, set, photograph } = props;
  const kept = keptOf(values.five);
  const kernel = kernelOf(props.values);
  const small = smaller(photograph, PICTURE_PX);
  const [tried, setTried] = useState("");
  const isZero = largest(kernel) === 0;
  const twinOf = () => kept.findIndex((each) => isAlike(each, kernel));
  const keep = () => {
    if (twinOf() >= 0) setTried(written(kernel));
    else set({ five: [...kept, kernel].map(written).join("|") });
  };
  const twin = !isZero && tried === written(kernel) ? twinOf() : -1;
  const drop = (number: number) =>
    set({
      five: kept
        .filter((_, at) => at !== number)
        .map(written)
        .join("|"),
    });
  return (
    <div class="five">
      <h3>{tr.text("site.filters.five")}</h3>
      <p>
        <Rich tr={tr} name="site.filters.five_how" />
      </p>
      <ol class="gallery">
        {kept.map((each, number) => (
          <Kept key={written(each)} tr={tr} number={number + 1} small={small} kernel={each} drop={() => drop(number)} />
        ))}
      </ol>
      <div class="row">
        {kept.length < FIVE && (
          <button type="button" disabled={isZero} onClick={keep}>
            {tr.text("site.filters.keep")}
          </button>
        )}
        {kept.length === FIVE && (
          <button type="button" class="main" onClick={() => handIn(tr, small, kept)}>
            {tr.text("site.filters.hand_in")}
          </button>
        )}
      </div>
      <p role="status">{said(tr, kept.length, isZero, twin)}</p>
    </div>
  );
}

function said(tr: Translator, n: number, isZero: boolean, twin: number): string {
  if (isZero) return tr.text("site.filters.zeros");
  return twin >= 0 ? tr.text("site.filters.twin", { number: twin + 1 }) : tr.text("site.filters.kept", { n, of: FIVE });
}

interface KeptProps {
  tr: Translator;
  number: number;
  small: Photograph;
  kernel: Matrix;
  drop: () => void;
}

function Kept({ tr, number, small, kernel, drop }: KeptProps) {
  const pixels = useMemo(() => filtered(small, kernel), [small, written(kernel)]);
  const label = tr.text("site.filters.own", { number });
  return (
    <li>
      <div class="kept">
        <Paint width={small.width} height={small.height} pixels={pixels} label={label} />
        <code>{kernel.map((line) => line.map((value) => figure(tr, value, 3)).join("  ")).join("\n")}</code>
        <button type="button" class="plain" onClick={drop}>
          {tr.text("site.filters.drop", { number })}
        </button>
      </div>
    </li>
  );
}
