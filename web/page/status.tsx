import type { Item, Queue } from "./queue";
import { safe } from "./shown";
import type { Translator } from "./translator";
import { spoken } from "./words";

interface StatusProps {
  tr: Translator;
  queue: Queue;
  ready: boolean;
  /** Why the model will never be ready. */
  problem: string;
  selected: Item | undefined;
}

/** What is going on: said aloud, and drawn while it takes time. */
export function Status({ tr, queue, ready, problem, selected }: StatusProps) {
  const { items, pending, settled, waiting } = queue;
  const left = queue.cancelled ? waiting : 0;
  const busy = ready && pending > 0;
  return (
    <div class="status">
      {problem && (
        <p role="alert" class="note bad">
          {problem}
        </p>
      )}
      <p role="status" class={busy || left || (!ready && !problem) ? "" : "unseen"}>
        {problem ? "" : saying(tr, queue, ready, selected)}
      </p>
      {busy && items.length > 1 && (
        <progress value={settled} max={items.length} aria-label={tr.text("web.table.title")} />
      )}
      {busy && items.length > 1 && (
        <button type="button" onClick={() => queue.cancel()}>
          {tr.text("web.cancel")}
        </button>
      )}
      {left > 0 && (
        <button type="button" onClick={() => queue.go()}>
          {tr.text("web.go_on")}
        </button>
      )}
    </div>
  );
}

function saying(tr: Translator, queue: Queue, ready: boolean, selected: Item | undefined): string {
  const { items, pending, settled, waiting, answered } = queue;
  if (!ready) return tr.text("web.status.loading");
  if (pending && items.length > 1) return tr.text("web.status.progress", { done: settled, n: items.length });
  if (pending && selected) return tr.text("web.status.computing", { name: safe(selected.name) });
  if (waiting) return tr.text("web.status.cancelled", { n: waiting });
  if (items.length > 1) {
    const [n, without] = [items.length, items.length - answered];
    const done = without ? tr.text("web.status.partly", { n, without }) : tr.text("web.status.done", { n });
    return `${done} ${selected ? spoken(tr, selected) : ""}`;
  }
  return selected ? spoken(tr, selected) : tr.text("web.status.ready");
}
