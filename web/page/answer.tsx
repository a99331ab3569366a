import { useEffect, useRef, useState } from "preact/hooks";
import type { Answer, Classifier, ModelFacts } from "../model/api";
import { Downloads } from "./downloads";
import { Picture } from "./picture";
import type { Item, Rejection as Rejected } from "./queue";
import { safe } from "./shown";
import type { Translator } from "./translator";
import { failure, likeness, notesOf, rejection, sureness, unsureness } from "./words";

const CLASSES_SHOWN = 5;

interface AnswerCardProps {
  tr: Translator;
  facts: ModelFacts;
  classifier: Classifier | null;
  item: Item;
  items: readonly Item[];
  select: (id: number) => void;
  again: () => void;
}

/** One image with its answer. */
export function AnswerCard({ tr, facts, classifier, item, items, select, again }: AnswerCardProps) {
  const { outcome } = item;
  const card = useSeen(item.id);
  return (
    <section class="card" aria-labelledby="answer" ref={card}>
      <div class="card-head">
        <h2 id="answer" tabIndex={-1}>
          {tr.text("web.answer.title")}
        </h2>
        {items.length > 1 && <Steps tr={tr} item={item} items={items} select={select} />}
      </div>
      <div class="pair">
        <div class="said" key={`said ${item.id}`}>
          <p class="file-name clip" title={safe(item.name)}>
            {safe(item.name)}
          </p>
          {outcome.state === "done" && <Said tr={tr} facts={facts} answer={outcome.answer} />}
          {outcome.state === "rejected" && <Rejection tr={tr} name={item.name} outcome={outcome} />}
          {outcome.state === "failed" && (
            <div class="note bad">
              <h3>{tr.text("web.failed.title", { name: safe(item.name) })}</h3>
              <p>{failure(tr, outcome)}</p>
              {outcome.failure.mayPass && (
                <button type="button" onClick={again}>
                  {tr.text("web.failed.again")}
                </button>
              )}
            </div>
          )}
          {(outcome.state === "waiting" || outcome.state === "computing") && <p class="label pending">…</p>}
          {outcome.state === "done" && items.length === 1 && <Downloads tr={tr} facts={facts} items={items} />}
        </div>
        <Picture key={`picture ${item.id}`} tr={tr} facts={facts} classifier={classifier} item={item} />
      </div>
    </section>
  );
}

/** Brings a new answer into sight, where it lies below what is seen of the page. */
function useSeen(id: number) {
  const card = useRef<HTMLElement>(null);
  useEffect(() => {
    const top = card.current?.getBoundingClientRect().top ?? 0;
    if (top > 0.5 * innerHeight || top < 0) card.current?.scrollIntoView({ block: "start" });
  }, [id]);
  return card;
}

function Steps({ tr, item, items, select }: Pick<AnswerCardProps, "tr" | "item" | "items" | "select">) {
  const at = items.indexOf(item);
  const step = (by: number, sign: string, key: string) => (
    <button
      type="button"
      class="round"
      aria-label={tr.text(key)}
      title={tr.text(key)}
      disabled={!items[at + by]}
      onClick={() => select(items[at + by]!.id)}
    >
      {sign}
    </button>
  );
  return (
    <div class="steps">
      {step(-1, "←", "web.answer.previous")}
      <span class="num">{tr.text("web.answer.place", { place: at + 1, n: items.length })}</span>
      {step(1, "→", "web.answer.next")}
    </div>
  );
}

function Said({ tr, facts, answer }: { tr: Translator; facts: ModelFacts; answer: Answer }) {
  const isUnsure = answer.answer === "unsure";
  const isUnlike = answer.out_of_distribution;
  return (
    <>
      {isUnlike && (
        <div class="note bad">
          <h3>{tr.text("web.unlike.title")}</h3>
          <p>{likeness(tr, answer)}</p>
        </div>
      )}
      <p class={`label clip${isUnlike ? " unlike" : ""}`}>{safe(answer.label)}</p>
      <p class="sure num">{sureness(tr, answer)}</p>
      {isUnsure && (
        <div class="note warn">
          <h3>{tr.text("web.unsure.title")}</h3>
          <p>{unsureness(tr, facts, answer)}</p>
          <details>
            <summary>{tr.text("web.unsure.meaning")}</summary>
            <p>{tr.text("web.unsure.reading", { target: tr.percent(facts.coverage ?? NaN, 0) })}</p>
          </details>
        </div>
      )}
      {notesOf(tr, answer).map((note) => (
        <p key={note} class="note">
          {note}
        </p>
      ))}
      <Probabilities tr={tr} facts={facts} answer={answer} />
      {answer.out_of_distribution === false && <p class="muted small">{likeness(tr, answer)}</p>}
    </>
  );
}

function Rejection({ tr, name, outcome }: { tr: Translator; name: string; outcome: Rejected }) {
  const [title, ...advice] = rejection(tr, name, outcome);
  return (
    <div class="note bad">
      <h3>{title}</h3>
      {advice.map((sentence) => (
        <p key={sentence}>{sentence}</p>
      ))}
    </div>
  );
}

/** The classes with their probabilities, the likeliest first. */
function Probabilities({ tr, facts, answer }: { tr: Translator; facts: ModelFacts; answer: Answer }) {
  const [all, setAll] = useState(false);
  const found = facts.classes.map((name) => [name, answer.probabilities[name] ?? 0] as const); // an object sorts numbers
  const sorted = found.sort(([, a], [, b]) => b - a);
  const most = all || sorted.length <= CLASSES_SHOWN + 1 ? sorted.length : CLASSES_SHOWN;
  return (
    <div class="probabilities">
      <table>
        <caption>{tr.text("web.probabilities.title")}</caption>
        <tbody>
          {sorted.slice(0, most).map(([name, p]) => (
            <tr key={name} class={name === answer.label ? "best" : ""}>
              <th scope="row">
                <span class="clip">{safe(name)}</span>
                <span class="bar" aria-hidden="true">
                  <i style={{ width: `${100 * p}%` }} />
                </span>
              </th>
              <td class="num">{tr.probability(p)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {sorted.length > CLASSES_SHOWN + 1 && (
        <button type="button" class="plain" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? tr.text("web.probabilities.few") : tr.text("web.probabilities.all", { n: sorted.length })}
        </button>
      )}
    </div>
  );
}
