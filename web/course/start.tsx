import type { Translator } from "../page/translator";
import { write } from "./address";
import { DoneMark } from "./frame";
import { PAGES } from "./pages";
import { Rich } from "./parts/rich";

interface StartProps {
  tr: Translator;
  done: ReadonlySet<string>;
  forget: () => void;
}

/** What the course is, the map of it with what is done, and the picture to work on. */
export function Start({ tr, done, forget }: StartProps) {
  const next = PAGES.find(({ id }) => !done.has(id));
  const count = PAGES.filter(({ id }) => done.has(id)).length;
  return (
    <article class="start">
      <h1 tabIndex={-1}>{tr.text("site.title")}</h1>
      <p class="idea">
        <Rich tr={tr} name="site.start.idea" />
      </p>
      {next && (
        <p>
          <a class="button main" href={write(tr.language, next.id)}>
            {tr.text(count ? "site.start.go_on" : "site.start.begin", { title: tr.text(`site.${next.id}.title`) })}
          </a>
        </p>
      )}
      <section aria-labelledby="map">
        <h2 id="map">{tr.text("site.chapter.convolution")}</h2>
        <p class="muted">{tr.text("site.start.progress", { n: count, of: PAGES.length })}</p>
        <ol class="map">
          {PAGES.map(({ id }) => (
            <li key={id} class={done.has(id) ? "is-done" : ""}>
              <a href={write(tr.language, id)}>
                <small>{tr.text(`site.${id}.number`)}</small>
                <b>{tr.text(`site.${id}.title`)}</b>
                <span>{tr.text(`site.${id}.short`)}</span>
              </a>
              {done.has(id) && <DoneMark label={tr.text("site.done")} />}
            </li>
          ))}
        </ol>
        {count > 0 && (
          <button type="button" class="plain" onClick={forget}>
            {tr.text("site.start.forget")}
          </button>
        )}
      </section>
      <section aria-labelledby="how">
        <h2 id="how">{tr.text("site.start.how")}</h2>
        <ul class="prose">
          {["predict", "touch", "check", "link", "private"].map((name) => (
            <li key={name}>
              <Rich tr={tr} name={`site.start.how_${name}`} />
            </li>
          ))}
        </ul>
      </section>
    </article>
  );
}
