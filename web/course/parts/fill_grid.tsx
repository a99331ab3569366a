import { useState } from "preact/hooks";
import type { Translator } from "../../page/translator";
import { figure, isRight, typed } from "../figures";
import type { Matrix, Place } from "../maths/matrix";
import { AnswerGrid, type Verdict } from "./grid";

interface FillGridProps {
  tr: Translator;
  label: string;
  right: Matrix;
  /** How the number at a place comes about; told where an answer is wrong. */
  because: (place: Place) => string;
  solved: () => void;
}

/** A grid to fill in that checks itself; the first wrong cell is met with the arithmetic behind it. */
export function FillGrid({ tr, label, right, because, solved }: FillGridProps) {
  const blank = () => right.map((line) => line.map(() => ""));
  const [texts, setTexts] = useState<string[][]>(blank);
  const [checked, setChecked] = useState<string[][] | null>(null);
  const [at, select] = useState<Place>([0, 0]);
  const verdict = (row: number, column: number): Verdict => {
    const answer = checked?.[row]![column] === texts[row]![column] ? checked![row]![column]! : "";
    return answer ? (isCellRight(answer, right[row]![column]!) ? "right" : "wrong") : "";
  };
  const check = () => {
    setChecked(texts);
    if (right.every((line, row) => line.every((value, column) => isCellRight(texts[row]![column]!, value)))) solved();
  };
  return (
    <form
      class="fill"
      onSubmit={(event) => {
        event.preventDefault();
        check();
      }}
    >
      <AnswerGrid
        tr={tr}
        label={label}
        at={at}
        select={select}
        texts={texts}
        verdict={verdict}
        change={(place, text) =>
          setTexts(texts.map((line, r) => line.map((old, c) => (r === place[0] && c === place[1] ? text : old))))
        }
      />
      <div>
        <button type="submit" class="main">
          {tr.text("site.check.check")}
        </button>
        <p role="status">{checked && told(tr, checked, right, because)}</p>
      </div>
    </form>
  );
}

function isCellRight(text: string, right: number): boolean {
  const answer = typed(text);
  return answer !== null && isRight(answer, right);
}

/** How many are right, and of the first that isn't how it comes about. */
function told(tr: Translator, texts: string[][], right: Matrix, because: (place: Place) => string): string {
  const places = right.flatMap((line, row) => line.map((_, column): Place => [row, column]));
  const wrong = places.filter(([row, column]) => !isCellRight(texts[row]![column]!, right[row]![column]!));
  if (!wrong.length) return tr.text("site.check.all_right");
  const filled = wrong.find(([row, column]) => texts[row]![column]!.trim() !== "");
  const count = tr.text("site.check.some_right", { right: places.length - wrong.length, of: places.length });
  if (!filled) return count;
  const [row, column] = filled;
  const yours = typed(texts[row]![column]!);
  return `${count} ${tr.text("site.check.look", {
    row: row + 1,
    column: column + 1,
    yours: yours === null ? texts[row]![column]! : figure(tr, yours),
    because: because(filled),
  })}`;
}
