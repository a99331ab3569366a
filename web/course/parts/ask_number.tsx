import { useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import type { Translator } from "../../page/translator";
import { typed } from "../figures";

/** Parameters of a layer are many. */
const LARGEST_ANSWER = 1e12;

interface AskNumberProps {
  tr: Translator;
  id: string;
  children: ComponentChildren;
  /** "" if the answers are right, else what to look at. */
  judge: (answers: number[]) => string;
  /** What is said when they are. */
  praise: string;
  /** Names of the fields; one without a name unless said. */
  fields?: readonly string[];
  solved: () => void;
}

/** A question whose answer is a number or several. */
export function AskNumber({ tr, id, children, judge, praise, fields = [""], solved }: AskNumberProps) {
  const [texts, setTexts] = useState(() => fields.map(() => ""));
  const [checked, setChecked] = useState<readonly string[] | null>(null);
  const problemOf = (given: readonly string[]) => {
    const answers = given.map((text) => typed(text, LARGEST_ANSWER));
    return answers.every((answer) => answer !== null) ? judge(answers) : tr.text("site.check.number");
  };
  const problem = checked && problemOf(checked);
  const isRight = problem === "";
  const check = () => {
    setChecked(texts);
    if (problemOf(texts) === "") solved();
  };
  return (
    <form
      class={`ask ${isRight ? "right" : ""}`}
      onSubmit={(event) => {
        event.preventDefault();
        check();
      }}
    >
      <p id={`${id}-question`}>{children}</p>
      <div class="row">
        {fields.map((name, number) => (
          <label key={number} class="field">
            <span class={name ? "" : "unseen"}>{name || tr.text("site.check.answer")}</span>
            <input
              type="text"
              inputMode="decimal"
              autoComplete="off"
              maxLength={14}
              aria-describedby={`${id}-question`}
              value={texts[number]}
              onInput={(event) => {
                const text = event.currentTarget.value;
                setTexts(texts.map((old, at) => (at === number ? text : old)));
              }}
            />
          </label>
        ))}
        <button type="submit">{tr.text("site.check.check")}</button>
      </div>
      <p role="status" class="told">
        {checked && (isRight ? `\u2713 ${praise}` : `\u2717 ${problem}`)}
      </p>
    </form>
  );
}
