/** The page: an image in, an answer out, and what to think of it. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ACCEPTED } from "../model/accepted";
import type { Classifier, ModelFacts } from "../model/api";
import { About } from "./about";
import { AnswerCard } from "./answer";
import { bytesOf, type Language, type PageData } from "./data";
import { messageOf } from "./failure";
import { Header } from "./header";
import { Intake, type NamedImage } from "./intake";
import { Queue } from "./queue";
import { firstLanguage, remember } from "./settings";
import { Status } from "./status";
import { Table } from "./table";
import { Translator } from "./translator";

// As in the report's headline.
const FEW = 4;
const FEW_LETTERS = 80;

export interface AppProps {
  data: PageData;
  /** Makes a model ready; rejects with what is to be said. */
  open: (facts: ModelFacts, tr: () => Translator) => Promise<Classifier>;
}

export function App({ data, open }: AppProps) {
  const [language, setLanguage] = useState(() => firstLanguage(data.language));
  const tr = useMemo(() => new Translator(language, data.texts[language]), [language]);
  const [model, setModel] = useState(0);
  const facts = data.models[model]!;
  const queue = useQueue();
  const [selected, select] = useState(0);
  const { classifier, problem } = useClassifier(facts, queue, open, tr);
  const samples = useMemo(() => data.samples.map(({ name, data }) => ({ name, image: new Blob([bytesOf(data)]) })), []);
  const title = taskOf(tr, facts);

  useEffect(() => {
    document.documentElement.lang = language;
    document.title = title;
  }, [language, title]);

  const take = (images: readonly NamedImage[]) => {
    const first = queue.add(images);
    if (first) select(first.id);
  };
  const item = queue.items.find(({ id }) => id === selected) ?? queue.items[0];
  const speak = (chosen: Language) => {
    remember("language", chosen);
    setLanguage(chosen);
  };

  return (
    <div class="page">
      <Header data={data} facts={facts} tr={tr} title={title} speak={speak} choose={setModel} />
      <main>
        <div class="top">
          <Intake
            tr={tr}
            accept={data.accept ?? ACCEPTED}
            samples={samples}
            small={queue.items.length > 0}
            take={take}
            clear={() => queue.clear()}
          />
          <Status tr={tr} queue={queue} ready={!!classifier} problem={problem} selected={item} />
        </div>
        {item && (
          <AnswerCard
            key={facts.name}
            tr={tr}
            facts={facts}
            classifier={classifier}
            item={item}
            items={queue.items}
            select={select}
            again={() => queue.again(item)}
          />
        )}
        {queue.items.length > 1 && (
          <Table tr={tr} facts={facts} items={queue.items} selected={item?.id} select={select} />
        )}
        <About tr={tr} data={data} facts={facts} />
      </main>
      <footer>
        <p>{tr.text("web.about.footer", { version: data.version })}</p>
      </footer>
    </div>
  );
}

/** What the model does, in words. */
function taskOf(tr: Translator, { classes }: ModelFacts): string {
  const [first, second] = classes.map((name) => tr.quoted(name));
  if (classes.length === 2) return tr.text("headline.task.two", { first: first!, second: second! });
  if (classes.length <= FEW && classes.join("").length <= FEW_LETTERS)
    return tr.text("headline.task.few", { names: classes });
  return tr.text("headline.task.many", { n: classes.length });
}

/** The queue of this page; whoever uses it is drawn anew when it changes. */
function useQueue(): Queue {
  const [, draw] = useState(0);
  return useMemo(() => new Queue(() => draw((times) => times + 1)), []);
}

/** The model, once it is ready, or why it won't be. The queue is given what is ready. */
function useClassifier(facts: ModelFacts, queue: Queue, open: AppProps["open"], tr: Translator) {
  const [found, set] = useState<{ classifier: Classifier | null; problem: string }>({ classifier: null, problem: "" });
  const current = useRef(tr);
  current.current = tr;
  useEffect(() => {
    let wanted = true;
    const become = (classifier: Classifier | null, problem = "") => {
      if (!wanted) return;
      set({ classifier, problem });
      queue.use(classifier);
    };
    become(null);
    open(facts, () => current.current).then(
      (classifier) => become(classifier),
      (error: unknown) => become(null, messageOf(error)),
    );
    return () => void (wanted = false);
  }, [facts]);
  return found;
}
