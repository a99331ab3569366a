/** A page of the course: the idea, a prediction, something to touch, the same in Python, a self-check, where to go. */
import { useMemo } from "preact/hooks";
import { write } from "./address";
import type { CoursePage, PageProps } from "./page";
import { PAGES } from "./pages";
import { Code } from "./parts/code";
import { Prediction } from "./parts/prediction";
import { Linked, Rich } from "./parts/rich";

export function PageFrame({ page, isDone, ...props }: PageProps & { page: CoursePage; isDone: boolean }) {
  const { tr } = props;
  const linked = useMemo(() => new Map<string, symbol>(), [page, tr]);
  return (
    <Linked.Provider value={linked}>
      <article>
        <p class="kicker">
          <span>
            {tr.text(`site.${page.id}.number`)} · {tr.text(`site.chapter.${page.chapter}`)}
          </span>
          {isDone && <DoneMark label={tr.text("site.done")} />}
        </p>
        <h1 tabIndex={-1}>{tr.text(`site.${page.id}.title`)}</h1>
        <p class="idea">
          <Rich tr={tr} name={`site.${page.id}.idea`} />
        </p>
        <Prediction {...props} page={page} />
        <section aria-labelledby="touch">
          <h2 id="touch" tabIndex={-1}>
            {tr.text(`site.${page.id}.touch`)}
          </h2>
          <page.Touch {...props} />
        </section>
        <section aria-labelledby="check">
          <h2 id="check">{tr.text("site.check.title")}</h2>
          <page.Check {...props} />
        </section>
        <Code {...props} page={page} />
        <section aria-labelledby="onward">
          <h2 id="onward">{tr.text("site.onward")}</h2>
          <p>
            <Rich tr={tr} name={`site.${page.id}.onward`} />
          </p>
          <Steps tr={tr} page={page} />
        </section>
      </article>
    </Linked.Provider>
  );
}

export function DoneMark({ label }: { label: string }) {
  return (
    <span class="done">
      <svg viewBox="0 0 20 20" width="16" height="16" aria-hidden="true">
        <path d="M4 10.5l4 4 8-9" />
      </svg>
      {label}
    </span>
  );
}

function Steps({ tr, page }: Pick<PageProps, "tr"> & { page: CoursePage }) {
  const at = PAGES.indexOf(page);
  const [before, after] = [PAGES[at - 1], PAGES[at + 1]];
  const address = (to: CoursePage | undefined) => write(tr.language, to?.id ?? "start");
  const name = (to: CoursePage | undefined) =>
    to ? `${tr.text(`site.${to.id}.number`)} ${tr.text(`site.${to.id}.title`)}` : tr.text("site.start.short");
  return (
    <nav class="walk" aria-label={tr.text("site.walk")}>
      <a href={address(before)} rel="prev">
        ← {name(before)}
      </a>
      <a href={address(after)} rel="next">
        {name(after)} →
      </a>
    </nav>
  );
}
