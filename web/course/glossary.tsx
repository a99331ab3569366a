import { useEffect } from "preact/hooks";
import type { Language } from "../page/data";
import type { Translator } from "../page/translator";
import { write } from "./address";
import type { CourseData } from "./data";
import { PAGES } from "./pages";
import { TERMS } from "./terms";

/** Every term in both languages, and the page that shows it. */
export function Glossary({ tr, data, term }: { tr: Translator; data: CourseData; term: string }) {
  const other: Language = tr.language === "en" ? "ru" : "en";
  const name = (id: string) => tr.text(`site.term.${id}.name`);
  const terms = Object.keys(TERMS).sort((a, b) => name(a).localeCompare(name(b), tr.language));
  useEffect(() => {
    document.getElementById(`term-${term}`)?.focus();
  }, [term]);
  return (
    <article class="glossary">
      <h1 tabIndex={-1}>{tr.text("site.glossary.title")}</h1>
      <p class="idea">{tr.text("site.glossary.idea")}</p>
      <dl>
        {terms.map((id) => (
          <div key={id} id={`term-${id}`} tabIndex={-1} class={id === term ? "asked" : ""}>
            <dt>
              {name(id)}{" "}
              <span class="muted" lang={other}>
                {data.texts[other][`site.term.${id}.name`] as string}
              </span>
            </dt>
            <dd>
              {tr.text(`site.term.${id}.text`)} <ShownOn tr={tr} id={id} />
            </dd>
          </div>
        ))}
      </dl>
    </article>
  );
}

/** The page where a term can be touched. */
function ShownOn({ tr, id }: { tr: Translator; id: string }) {
  const page = PAGES.find((each) => each.id === TERMS[id]);
  if (!page) return null;
  return (
    <a href={write(tr.language, page.id)}>
      {tr.text(`site.${page.id}.number`)} {tr.text(`site.${page.id}.title`)}
    </a>
  );
}
