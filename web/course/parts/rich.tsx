/** Sentences with terms, code and stress in them. */
import type { ComponentChildren } from "preact";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Translator, Values } from "../../page/translator";
import { write } from "../address";

/** Terms that the page has linked already: a term is linked where it first stands. */
export const Linked = createContext<Map<string, symbol>>(new Map());

const MARKS = /\[\[([\w-]+)\|([^\]]+)\]\]|\*\*([^*]+)\*\*|`([^`]+)`/g;

interface RichProps {
  tr: Translator;
  name: string;
  values?: Values;
}

/** A text of the catalogue: `[[term|words]]`, `**stress**`, `` `code` ``. */
export function Rich({ tr, name, values }: RichProps) {
  return <RichText tr={tr} text={tr.text(name, values ?? {})} owner={name} />;
}

function RichText({ tr, text, owner }: { tr: Translator; text: string; owner: string }) {
  const linked = useContext(Linked);
  const parts: ComponentChildren[] = [];
  let from = 0;
  for (const found of text.matchAll(MARKS)) {
    const [whole, term, words, stress, code] = found;
    parts.push(text.slice(from, found.index));
    from = found.index + whole.length;
    if (term)
      parts.push(
        <Term tr={tr} term={term} words={words!} isFirst={isFirst(linked, term, `${owner} ${found.index}`)} />,
      );
    else if (stress) parts.push(<b>{stress}</b>);
    else parts.push(<code>{code}</code>);
  }
  return (
    <>
      {parts}
      {text.slice(from)}
    </>
  );
}

/** The place that asked for a term first keeps it, however often it is drawn. */
function isFirst(linked: Map<string, symbol>, term: string, owner: string): boolean {
  const place = Symbol.for(owner);
  if (!linked.has(term)) linked.set(term, place);
  return linked.get(term) === place;
}

function Term({ tr, term, words, isFirst }: { tr: Translator; term: string; words: string; isFirst: boolean }) {
  if (!isFirst) return <>{words}</>;
  return (
    <a class="term" href={write(tr.language, "glossary", { term })} title={tr.text(`site.term.${term}.text`)}>
      {words}
    </a>
  );
}
