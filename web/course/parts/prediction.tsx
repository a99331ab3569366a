import { useState } from "preact/hooks";
import type { CoursePage, PageProps } from "../page";
import { Rich } from "./rich";

/** A question before anything is touched; the answer is told, then shown in the numbers. */
export function Prediction({ page, ...props }: PageProps & { page: CoursePage }) {
  const { tr, set } = props;
  const { answers, right, shows } = page.prediction;
  const [chosen, choose] = useState("");
  const text = (name: string) => `site.${page.id}.predict.${name}`;
  const show = () => {
    set(shows);
    document.getElementById("touch")?.focus();
  };
  return (
    <section class="card predict" aria-labelledby="predict">
      <h2 id="predict">{tr.text("site.predict.title")}</h2>
      <p>
        <Rich tr={tr} name={text("question")} />
      </p>
      <fieldset>
        <legend class="unseen">{tr.text("site.predict.title")}</legend>
        {answers.map((name) => (
          <label key={name} class={`choice ${chosen && name === right ? "right" : ""}`}>
            <input type="radio" name="predict" checked={chosen === name} onChange={() => choose(name)} />
            <span>
              <Rich tr={tr} name={text(name)} />
            </span>
          </label>
        ))}
      </fieldset>
      <div role="status">
        {chosen && (
          <p>
            <b>{tr.text(chosen === right ? "site.predict.right" : "site.predict.wrong")}</b>{" "}
            <Rich tr={tr} name={text("why")} />
          </p>
        )}
      </div>
      {chosen && (
        <button type="button" class="main" onClick={show}>
          {tr.text("site.predict.show")}
        </button>
      )}
    </section>
  );
}
