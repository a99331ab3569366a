import { useEffect, useState } from "preact/hooks";
import type { ModelFacts } from "../model/api";
import type { Language, PageData } from "./data";
import { remember, remembered, systemTheme, type Theme } from "./settings";
import { safe } from "./shown";
import type { Translator } from "./translator";

interface HeaderProps {
  data: PageData;
  facts: ModelFacts;
  tr: Translator;
  title: string;
  speak: (language: Language) => void;
  choose: (model: number) => void;
}

/** Name of the model, switches, and where the images go. */
export function Header({ data, facts, tr, title, speak, choose }: HeaderProps) {
  const where = data.backend === "local" ? "private" : "sent";
  return (
    <header>
      <div class="kicker">
        <ModelName models={data.models} facts={facts} tr={tr} choose={choose} />
        <div class="switches">
          <LanguageSwitch data={data} tr={tr} speak={speak} />
          <ThemeSwitch tr={tr} />
        </div>
      </div>
      <h1>{title}</h1>
      <p class="where">
        {where === "private" ? <Lock /> : <Server />}
        <span>
          <b>{tr.text(`web.${where}.title`)}</b> {tr.text(`web.${where}.body`)}
        </span>
      </p>
    </header>
  );
}

function ModelName({
  models,
  facts,
  tr,
  choose,
}: Pick<HeaderProps, "facts" | "tr" | "choose"> & { models: ModelFacts[] }) {
  if (models.length < 2) {
    return (
      <span class="model">
        {tr.text("web.model")} <b>{safe(facts.name)}</b>
      </span>
    );
  }
  return (
    <label class="model">
      {tr.text("web.model")}{" "}
      <select value={models.indexOf(facts)} onChange={(event) => choose(Number(event.currentTarget.value))}>
        {models.map(({ name }, number) => (
          <option key={name} value={number}>
            {safe(name)}
          </option>
        ))}
      </select>
    </label>
  );
}

interface LanguageSwitchProps extends Pick<HeaderProps, "tr" | "speak"> {
  data: Pick<PageData, "texts">;
}

export function LanguageSwitch({ data, tr, speak }: LanguageSwitchProps) {
  const other: Language = tr.language === "en" ? "ru" : "en";
  return (
    <button type="button" class="plain" lang={other} onClick={() => speak(other)}>
      {data.texts[other]["web.language"] as string}
    </button>
  );
}

export function ThemeSwitch({ tr }: { tr: Translator }) {
  const [theme, set] = useState<Theme | null>(() => remembered("theme") as Theme | null);
  useEffect(() => {
    if (theme) document.documentElement.dataset.theme = theme;
  }, [theme]);
  const turn = () => {
    const next = (theme ?? systemTheme()) === "dark" ? "light" : "dark";
    remember("theme", next);
    set(next);
  };
  const name = tr.text("page.theme");
  return (
    <button type="button" class="round" onClick={turn} aria-label={name} title={name}>
      <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
        <circle cx="10" cy="10" r="7" fill="none" stroke="currentColor" stroke-width="1.6" />
        <path d="M10 3a7 7 0 0 1 0 14z" fill="currentColor" />
      </svg>
    </button>
  );
}

function Lock() {
  return (
    <svg class="sign" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
      <rect x="4" y="9" width="12" height="8" rx="2" />
      <path d="M7 9V6.5a3 3 0 0 1 6 0V9" />
    </svg>
  );
}

function Server() {
  return (
    <svg class="sign" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
      <rect x="3" y="4" width="14" height="5" rx="1.5" />
      <rect x="3" y="11" width="14" height="5" rx="1.5" />
      <path d="M6 6.5h.01M6 13.5h.01" />
    </svg>
  );
}
