import { useState } from "preact/hooks";
import type { ModelFacts } from "../model/api";
import { Downloads } from "./downloads";
import type { Item } from "./queue";
import { safe } from "./shown";
import type { Translator } from "./translator";
import { failure } from "./words";

const ROWS_SHOWN = 50;

interface TableProps {
  tr: Translator;
  facts: ModelFacts;
  items: readonly Item[];
  selected: number | undefined;
  select: (id: number) => void;
}

/** All images with their answers, to choose from and to take away. */
export function Table({ tr, facts, items, selected, select }: TableProps) {
  const [all, setAll] = useState(false);
  const most = all || items.length <= ROWS_SHOWN + 1 ? items.length : ROWS_SHOWN;
  const look = (id: number) => {
    select(id);
    document.getElementById("answer")?.focus({ preventScroll: true }); // the answer itself comes into sight
  };
  return (
    <section aria-labelledby="all">
      <div class="card-head">
        <h2 id="all">{tr.text("web.table.title")}</h2>
        <Downloads tr={tr} facts={facts} items={items} />
      </div>
      <table class="items">
        <thead>
          <tr>
            {["preview", "file", "answer", "confidence", "doubts"].map((column) => (
              <th key={column} scope="col" class={`col-${column}${column === "confidence" ? " num" : ""}`}>
                <span class={column === "preview" ? "unseen" : ""}>{tr.text(`web.table.${column}`)}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {items.slice(0, most).map((item) => (
            <TableRow key={item.id} tr={tr} item={item} isSelected={item.id === selected} look={look} />
          ))}
        </tbody>
      </table>
      {most < items.length && (
        <button type="button" class="plain" onClick={() => setAll(true)}>
          {tr.text("web.table.all", { n: items.length })}
        </button>
      )}
      <p class="muted small">{tr.text("web.table.columns")}</p>
    </section>
  );
}

interface TableRowProps {
  tr: Translator;
  item: Item;
  isSelected: boolean;
  look: (id: number) => void;
}

function TableRow({ tr, item, isSelected, look }: TableRowProps) {
  const { outcome } = item;
  const answer = outcome.state === "done" ? outcome.answer : null;
  return (
    <tr class={isSelected ? "chosen" : ""}>
      <td class="thumb">
        <Thumb url={item.url} />
      </td>
      <th scope="row" class="name">
        <button type="button" class="plain" aria-current={isSelected} onClick={() => look(item.id)}>
          <span class="clip">{safe(item.name)}</span>
        </button>
      </th>
      {answer ? (
        <>
          <td>
            <span class="clip">{safe(answer.label)}</span>
          </td>
          <td class="num">{tr.probability(answer.probability)}</td>
          <td class="doubts">
            {answer.answer === "unsure" && <span class="pill warn">{tr.text("web.table.unsure")}</span>}
            {answer.out_of_distribution && <span class="pill bad">{tr.text("web.table.unlike")}</span>}
          </td>
        </>
      ) : (
        <td colSpan={3} class="muted">
          {instead(tr, item)}
        </td>
      )}
    </tr>
  );
}

/** What stands where there is no answer. */
function instead(tr: Translator, { outcome }: Item): string {
  if (outcome.state === "rejected") {
    const key = `reject.${outcome.reason}`;
    return tr.has(key) ? tr.text(key) : outcome.reason;
  }
  if (outcome.state === "failed") return failure(tr, outcome);
  return outcome.state === "waiting" ? tr.text("web.table.waiting") : "…";
}

function Thumb({ url }: { url: string }) {
  const [gone, setGone] = useState(false);
  if (gone) return <span class="gone" aria-hidden="true" />;
  return <img src={url} alt="" loading="lazy" decoding="async" onError={() => setGone(true)} />;
}
