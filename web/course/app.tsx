/** The course: which page the address names, in which language. */
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Language } from "../page/data";
import { LanguageSwitch, ThemeSwitch } from "../page/header";
import { firstLanguage, remember } from "../page/settings";
import { Translator } from "../page/translator";
import { type Address, read, type Values, write } from "./address";
import type { CourseData } from "./data";
import { PageFrame } from "./frame";
import { Glossary } from "./glossary";
import { PAGES } from "./pages";
import { type Photograph, scene } from "./photograph";
import { forgetDone, noteDone, readDone } from "./progress";
import { Start } from "./start";

export function App({ data }: { data: CourseData }) {
  const { address, set, speak } = useAddress();
  const { language, page: id, values } = address;
  const tr = useMemo(() => new Translator(language, data.texts[language]), [language]);
  const [done, setDone] = useState(readDone);
  const [photograph, setPhotograph] = useState<Photograph>(scene);
  const page = PAGES.find((each) => each.id === id);
  const title = page ? tr.text(`site.${id}.title`) : tr.text(id === "glossary" ? "site.glossary.title" : "site.title");
  useArrival(id, language, page || id === "glossary" ? `${title} · ${tr.text("site.title")}` : title);

  return (
    <div class="page course">
      <a class="skip" href="#main" onClick={skip}>
        {tr.text("site.skip")}
      </a>
      <header>
        <nav class="kicker" aria-label={tr.text("site.nav")}>
          <a class="brand" href={write(language, "start")}>
            {tr.text("site.brand")}
          </a>
          <div class="switches">
            <a href={write(language, "glossary")}>{tr.text("site.glossary.title")}</a>
            <LanguageSwitch data={data} tr={tr} speak={speak} />
            <ThemeSwitch tr={tr} />
          </div>
        </nav>
      </header>
      <main id="main" tabIndex={-1}>
        {page ? (
          <PageFrame
            key={id}
            page={page}
            tr={tr}
            values={values}
            set={set}
            photograph={photograph}
            take={setPhotograph}
            bank={data.bank}
            isDone={done.has(id)}
            done={() => setDone(noteDone(id))}
          />
        ) : id === "glossary" ? (
          <Glossary tr={tr} data={data} term={values.term ?? ""} />
        ) : (
          <Start
            tr={tr}
            done={done}
            forget={() => setDone(forgetDone())}
            photograph={photograph}
            take={setPhotograph}
          />
        )}
      </main>
      <Footer tr={tr} data={data} />
    </div>
  );
}

function Footer({ tr, data }: { tr: Translator; data: CourseData }) {
  return (
    <footer>
      <p>{tr.text("site.footer", { version: data.version })}</p>
      <details>
        <summary>{tr.text("site.licences")}</summary>
        <pre tabIndex={0}>{data.licences}</pre>
      </details>
    </footer>
  );
}

/** A link within the page would change the address, which names the page of the course. */
function skip(event: MouseEvent) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

type Spoken = Address & { language: Language };

/** The address as it is, and what changes it. */
function useAddress() {
  const [address, setAddress] = useState(() => spoken(read(location.hash)));
  useEffect(() => {
    const follow = () => setAddress(spoken(read(location.hash)));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  useWritten(write(address.language, address.page, address.values));
  const set = useCallback((values: Values) => {
    setAddress((old) => ({ ...old, values: filled({ ...old.values, ...values }) }));
  }, []);
  const speak = useCallback((language: Language) => {
    remember("language", language);
    setAddress((old) => ({ ...old, language }));
  }, []);
  return { address, set, speak };
}

function spoken(address: Address): Spoken {
  return { ...address, page: address.page || "start", language: address.language ?? firstLanguage("ru") };
}

function filled(values: Values): Values {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));
}

const PAUSE_MS = 150;

/** Writes the address once numbers have come to rest: browsers take only so many changes a second. */
function useWritten(hash: string) {
  const last = useRef(hash);
  last.current = hash;
  useEffect(() => {
    const put = () => {
      if (location.hash !== last.current) history.replaceState(null, "", last.current);
    };
    const timer = setTimeout(put, PAUSE_MS);
    addEventListener("pagehide", put);
    return () => {
      clearTimeout(timer);
      removeEventListener("pagehide", put);
    };
  }, [hash]);
}

/** A page that is come to is read from its top. */
function useArrival(id: string, language: Language, title: string) {
  const last = useRef(id);
  useEffect(() => {
    document.documentElement.lang = language;
    document.title = title;
  }, [language, title]);
  useEffect(() => {
    if (last.current === id) return;
    last.current = id;
    scrollTo(0, 0);
    document.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
  }, [id]);
}
