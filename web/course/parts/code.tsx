import { useState } from "preact/hooks";
import type { CoursePage, PageProps } from "../page";
import type { Translator } from "../../page/translator";

/** The same in Python and at the terminal, with the numbers of the page. */
export function Code({ page, ...props }: PageProps & { page: CoursePage }) {
  const { tr } = props;
  const own = (name: string) => {
    const key = `site.${page.id}.${name}`;
    return tr.has(key) ? key : null;
  };
  return (
    <section aria-labelledby="python">
      <h2 id="python">{tr.text("site.python.title")}</h2>
      <p>{tr.text(own("python") ?? "site.python.how")}</p>
      <Copied tr={tr} text={page.python(props)} id="python-code" label={tr.text("site.python.code")} />
      {page.terminal && (
        <>
          <p>{tr.text(own("terminal") ?? "site.python.terminal")}</p>
          <Copied tr={tr} text={page.terminal(props)} id="terminal-code" label={tr.text("site.python.shell")} />
        </>
      )}
    </section>
  );
}

function Copied({ tr, text, id, label }: { tr: Translator; text: string; id: string; label: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = () => {
    const succeeded = () => {
      setCopied(true);
      setTimeout(() => setCopied(false), 2000);
    };
    // where copying is forbidden, the text is at least selected
    const failed = () => getSelection()?.selectAllChildren(document.getElementById(id)!);
    navigator.clipboard.writeText(text).then(succeeded, failed);
  };
  return (
    <div class="code">
      <pre id={id} tabIndex={0} aria-label={label} role="region">
        {text}
      </pre>
      {"clipboard" in navigator && (
        <button type="button" class="plain" onClick={copy}>
          <span role="status">{tr.text(isCopied ? "site.python.copied" : "site.python.copy")}</span>
        </button>
      )}
    </div>
  );
}
