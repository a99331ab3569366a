import { useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import type { Translator } from "../../page/translator";
import { typed } from "../figures";

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
  const [told, tell] = useState("");
  const [isRight, setRight] = useState(false);
  const check = () => {
    const answers = texts.map(typed);
    if (answers.some((answer) => answer === null)) {
      setRight(false);
      return tell(tr.text("site.check.number"));
    }
    const problem = judge(answers as number[]);
    setRight(!problem);
    tell(problem || praise);
    if (!problem) solved();
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
        {told && `${isRight ? "\u2713" : "\u2717"} ${told}`}
      </p>
    </form>
  );
}
