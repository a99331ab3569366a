/** What self-checks have in common: sheets of exercises by number, several to solve, questions in a row. */
import { useState } from "preact/hooks";
import type { Translator } from "../../page/translator";
import { type Values, wholeOf } from "../address";
import type { PageProps } from "../page";

const SHEETS = 999;

/** The number of the sheet, from the address. */
export function sheetOf(values: Values): number {
  return wholeOf(values.sheet, 0, SHEETS, 0);
}

function after(sheet: number): Values {
  return { sheet: String((sheet % SHEETS) + 1) };
}

/** A button that leads to the next sheet. */
export function Another({
  tr,
  values,
  set,
  onNext,
}: Pick<PageProps, "tr" | "values" | "set"> & { onNext?: () => void }) {
  const next = () => {
    onNext?.();
    set(after(sheetOf(values)));
  };
  return (
    <button type="button" class="plain" onClick={next}>
      {tr.text("site.check.another")}
    </button>
  );
}

/** Notes what is solved; once it is as many as there are, the page is done. */
export function useSolved(count: number, done: () => void) {
  const [solved, solve] = useState<ReadonlySet<string>>(new Set());
  const note = (name: string) => {
    const next = new Set([...solved, name]);
    solve(next);
    if (next.size === count) done();
  };
  return { note, forget: () => solve(new Set()) };
}

/** Questions in a row with an answer to choose each; all right, and the page is done. */
export function useSeries(length: number, { values, set, done }: PageProps) {
  const [at, go] = useState(0);
  const [right, setRight] = useState(0);
  const [chosen, choose] = useState("");
  const isLast = at === length - 1;
  const answer = (name: string, isRight: boolean) => {
    if (chosen) return;
    choose(name);
    setRight(right + Number(isRight));
    if (isLast && isRight && right === length - 1) done();
  };
  const next = () => {
    if (isLast) {
      set(after(sheetOf(values)));
      setRight(0);
    }
    go(isLast ? 0 : at + 1);
    choose("");
  };
  return { at, right, chosen, isLast, answer, next, number: sheetOf(values) * length + at };
}

export type Series = ReturnType<typeof useSeries>;

/** What is said after an answer, and the way on. */
export function AfterAnswer({
  tr,
  series,
  length,
  told,
}: {
  tr: Translator;
  series: Series;
  length: number;
  told: string;
}) {
  const { chosen, isLast, right, next } = series;
  return (
    <>
      <p role="status">
        {chosen && told}
        {chosen && isLast && ` ${tr.text("site.check.result", { right, of: length })}`}
      </p>
      {chosen && (
        <button type="button" class="main" onClick={next}>
          {tr.text(isLast ? "site.check.another" : "site.check.next")}
        </button>
      )}
    </>
  );
}
