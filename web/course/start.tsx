import type { Translator } from "../page/translator";
import { write } from "./address";
import { DoneMark } from "./frame";
import { PAGES } from "./pages";
import { OwnImage } from "./parts/own_image";
import { Rich } from "./parts/rich";
import type { Photograph } from "./photograph";

interface StartProps {
  tr: Translator;
  done: ReadonlySet<string>;
  forget: () => void;
  photograph: Photograph;
  take: (photograph: Photograph) => void;
}

const CHAPTERS = [...new Set(PAGES.map(({ chapter }) => chapter))];

/** What the course is, the map of it with what is done, and the picture to work on. */
export function Start({ tr, done, forget, photograph, take }: StartProps) {
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
      {CHAPTERS.map((chapter) => (
        <Chapter key={chapter} tr={tr} chapter={chapter} done={done} />
      ))}
      {count > 0 && (
        <button type="button" class="plain" onClick={forget}>
          {tr.text("site.start.forget")}
        </button>
      )}
      <OwnImage tr={tr} photograph={photograph} take={take} />
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

/** The pages of a chapter, and how many of them are done. */
function Chapter({ tr, chapter, done }: Pick<StartProps, "tr" | "done"> & { chapter: string }) {
  const pages = PAGES.filter((page) => page.chapter === chapter);
  const count = pages.filter(({ id }) => done.has(id)).length;
  return (
    <section aria-labelledby={`map-${chapter}`}>
      <h2 id={`map-${chapter}`}>{tr.text(`site.chapter.${chapter}`)}</h2>
      <p class="muted">{tr.text("site.start.progress", { n: count, of: pages.length })}</p>
      <ol class="map">
        {pages.map(({ id }) => (
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
    </section>
  );
}
