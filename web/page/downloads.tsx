import type { ModelFacts } from "../model/api";
import { csv, excel, type Row } from "./csv";
import { download } from "./download";
import type { Item } from "./queue";
import type { Translator } from "./translator";

interface DownloadsProps {
  tr: Translator;
  facts: ModelFacts;
  items: readonly Item[];
}

/** The answers to take away. */
export function Downloads({ tr, facts, items }: DownloadsProps) {
  const save = (write: typeof csv) => download("predictions.csv", write(facts, items.map(rowOf)), "text/csv");
  return (
    <div class="row">
      <button type="button" onClick={() => save(csv)}>
        {tr.text("web.table.csv")}
      </button>
      <button type="button" class="plain" onClick={() => save(excel)}>
        {tr.text("web.table.excel")}
      </button>
    </div>
  );
}

function rowOf({ name, outcome }: Item): Row {
  if (outcome.state === "done") return { path: name, answer: outcome.answer };
  if (outcome.state === "rejected") return { path: name, error: `${outcome.reason}: ${outcome.detail}` };
  return { path: name, error: outcome.state === "failed" ? outcome.failure.message : "" };
}
