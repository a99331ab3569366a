import { useState } from "preact/hooks";
import type { ModelFacts } from "../model/api";
import type { PageData } from "./data";
import { safe } from "./shown";
import type { Translator } from "./translator";

const CLASSES_SHOWN = 24;
const DIGITS_SHOWN = 12;

interface AboutProps {
  tr: Translator;
  data: PageData;
  facts: ModelFacts;
}

/** What the model is, how good it is, and where that ends. */
export function About({ tr, data, facts }: AboutProps) {
  return (
    <section aria-labelledby="about">
      <h2 id="about">{tr.text("web.about.title")}</h2>
      <div class="columns">
        <div>
          <h3>{tr.text("web.about.classes")}</h3>
          <Classes tr={tr} facts={facts} />
          <h3>{tr.text("web.about.limits")}</h3>
          <Limits tr={tr} facts={facts} />
        </div>
        <div>
          <h3>{tr.text("web.about.figures")}</h3>
          <Figures tr={tr} facts={facts} />
        </div>
      </div>
      <Sources tr={tr} data={data} facts={facts} />
    </section>
  );
}

function Classes({ tr, facts }: { tr: Translator; facts: ModelFacts }) {
  const [all, setAll] = useState(false);
  const most = all || facts.classes.length <= CLASSES_SHOWN + 1 ? facts.classes.length : CLASSES_SHOWN;
  return (
    <>
      <ul class="classes">
        {facts.classes.slice(0, most).map((name) => (
          <li key={name}>
            <span class="clip">{safe(name)}</span>
            {name === facts.positive && <small>{tr.text("web.about.positive")}</small>}
          </li>
        ))}
      </ul>
      {most < facts.classes.length && (
        <button type="button" class="plain" onClick={() => setAll(true)}>
          {tr.text("web.about.all", { n: facts.classes.length })}
        </button>
      )}
    </>
  );
}

function Limits({ tr, facts }: { tr: Translator; facts: ModelFacts }) {
  return (
    <ul class="prose">
      <li>{tr.text("card.use.known", { names: facts.classes })}</li>
      <li>{tr.text("methods.limits")}</li>
      {facts.coverage === null && <li>{tr.text("web.about.no_unsure")}</li>}
      {!facts.remembers && <li>{tr.text("web.about.no_distance")}</li>}
      <li>{tr.text("card.limits.device")}</li>
    </ul>
  );
}

function Figures({ tr, facts }: { tr: Translator; facts: ModelFacts }) {
  const metrics = Object.entries(facts.metrics).filter(([name]) => !name.endsWith("_uncalibrated"));
  if (!metrics.length) return <p class="muted">{tr.text("web.about.no_figures")}</p>;
  return (
    <>
      <p class="muted small">{tr.text("web.about.reading")}</p>
      <table class="figures">
        <thead>
          <tr>
            {["name", "value", "interval", "n"].map((column) => (
              <th key={column} scope="col" class={column === "name" ? "" : "num"}>
                {tr.text(`metrics.${column}`)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {metrics.map(([name, estimate]) => (
            <tr key={name}>
              <th scope="row">{tr.has(`metric.${name}.name`) ? tr.text(`metric.${name}.name`) : safe(name)}</th>
              <td class="num">{tr.metric(name, estimate.value)}</td>
              <td class="num words">{tr.interval(name, estimate)}</td>
              <td class="num">{tr.count(estimate.n)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

function Sources({ tr, data, facts }: AboutProps) {
  return (
    <div class="sources small">
      <h3>{tr.text("web.about.sources")}</h3>
      <ul class="prose">
        {facts.sources.map((source, number) => (
          <li key={number}>{sourceOf(tr, source)}</li>
        ))}
        <li>{tr.text("web.about.record", { sha256: facts.sha256.slice(0, DIGITS_SHOWN), version: facts.svertka })}</li>
      </ul>
      <details>
        <summary>{tr.text("web.about.parts")}</summary>
        <pre lang="en" tabIndex={0}>
          {data.licences}
        </pre>
      </details>
    </div>
  );
}

const PACKAGE = "Python package ";

/** Where weights come from. */
function sourceOf(tr: Translator, source: ModelFacts["sources"][number]): string {
  const { origin } = source;
  if (!origin.startsWith(PACKAGE)) return tr.text("web.about.source", { ...source });
  return tr.text("web.about.packaged", { ...source, package: origin.slice(PACKAGE.length) });
}
