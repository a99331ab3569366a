import type { ModelFacts } from "../model/api";
import { csv, excel, type Row } from "./csv";
import type { Item } from "./queue";
import type { Translator } from "./translator";

interface DownloadsProps {
  tr: Translator;
  facts: ModelFacts;
  items: readonly Item[];
}

/** The answers to take away. */
export function Downloads({ tr, facts, items }: DownloadsProps) {
  return (
    <div class="row">
      <button type="button" onClick={() => download("predictions.csv", csv(facts, items.map(rowOf)))}>
        {tr.text("web.table.csv")}
      </button>
      <button type="button" class="plain" onClick={() => download("predictions.csv", excel(facts, items.map(rowOf)))}>
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

function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
