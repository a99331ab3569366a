import { useEffect, useRef, useState } from "preact/hooks";
import { safe } from "./shown";
import type { Translator } from "./translator";

export interface NamedImage {
  name: string;
  image: Blob;
}

interface IntakeProps {
  tr: Translator;
  /** Kinds of files that the dialogue offers. */
  accept: string;
  samples: readonly NamedImage[];
  /** There are images already. */
  small: boolean;
  take: (images: readonly NamedImage[]) => void;
  clear: () => void;
}

const CHOOSE = "choose"; // id

/** How images come in: chosen, dropped, pasted, photographed, or one of the samples. */
export function Intake({ tr, accept, samples, small, take, clear }: IntakeProps) {
  const [nothing, setNothing] = useState(false);
  const takeFiles = (files: Iterable<File>) => {
    const images = [...files].map((file) => ({ name: file.name, image: file as Blob }));
    setNothing(images.length === 0);
    if (images.length) take(images);
  };
  const dropping = useDropAndPaste(takeFiles);
  const clearAll = () => {
    clear();
    document.getElementById(CHOOSE)?.focus(); // the button that had it goes away
  };

  return (
    <section class={`intake${small ? " small" : ""}`} aria-labelledby="intake">
      <h2 id="intake">{tr.text("web.intake.title")}</h2>
      <div class="ways">
        <FileButton
          id={CHOOSE}
          class="main"
          label={tr.text("web.intake.choose")}
          accept={accept}
          take={takeFiles}
          multiple
        />
        <PhotoButton tr={tr} take={takeFiles} />
        <p class="muted drop-hint">{tr.text("web.intake.drop")}</p>
        {small && (
          <button type="button" class="plain" onClick={clearAll}>
            {tr.text("web.clear")}
          </button>
        )}
      </div>
      {nothing && <p role="alert">{tr.text("web.intake.nothing")}</p>}
      {samples.length > 0 && <Samples tr={tr} samples={samples} take={(sample) => take([sample])} />}
      {dropping && <Dropping text={tr.text("web.intake.let_go")} />}
    </section>
  );
}

interface FileButtonProps {
  id: string;
  class: string;
  label: string;
  accept: string;
  take: (files: Iterable<File>) => void;
  multiple?: boolean;
  capture?: boolean;
}

/** The browser's own file input, dressed as a button. */
export function FileButton({ id, class: kind, label, accept, take, multiple, capture }: FileButtonProps) {
  return (
    <span class={`file ${kind}`}>
      <input
        id={id}
        type="file"
        accept={accept}
        multiple={multiple ?? false}
        {...(capture ? { capture: "environment" as const } : {})}
        onChange={(event) => {
          const input = event.currentTarget;
          take([...(input.files ?? [])]);
          input.value = ""; // or the same file chosen again would be no change
        }}
      />
      <label for={id}>{label}</label>
    </span>
  );
}

/** Takes a photograph, on devices that are held in a hand. */
export function PhotoButton({ tr, take }: { tr: Translator; take: (files: Iterable<File>) => void }) {
  return (
    <FileButton id="photo" class="photo" label={tr.text("web.intake.photo")} accept="image/*" take={take} capture />
  );
}

/** What lies over the page while files hover over it. */
export function Dropping({ text }: { text: string }) {
  return (
    <div class="dropping" aria-hidden="true">
      <p>{text}</p>
    </div>
  );
}

interface SamplesProps {
  tr: Translator;
  samples: readonly NamedImage[];
  take: (sample: NamedImage) => void;
}

function Samples({ tr, samples, take }: SamplesProps) {
  const [urls] = useState(() => samples.map(({ image }) => URL.createObjectURL(image)));
  return (
    <div class="tries">
      <p>{tr.text("web.intake.samples")}</p>
      <ul>
        {samples.map((sample, number) => (
          <li key={number}>
            <button type="button" onClick={() => take(sample)}>
              <img src={urls[number]} alt={safe(sample.name)} />
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Takes files that are dropped anywhere or pasted; returns whether some hover over the page. */
export function useDropAndPaste(take: (files: Iterable<File>) => void): boolean {
  const [dropping, setDropping] = useState(false);
  const current = useRef(take);
  current.current = take;
  useEffect(() => {
    const over = (event: DragEvent) => {
      event.preventDefault(); // or the browser would open the file in place of the page
      setDropping(event.type !== "dragleave" || event.relatedTarget !== null);
    };
    const drop = (event: DragEvent) => {
      event.preventDefault();
      setDropping(false);
      current.current(event.dataTransfer?.files ?? []);
    };
    const paste = (event: ClipboardEvent) => {
      const files = event.clipboardData?.files;
      if (files?.length) current.current(files);
    };
    const listeners: [string, (event: never) => void][] = [
      ["dragenter", over],
      ["dragover", over],
      ["dragleave", over],
      ["drop", drop],
      ["paste", paste],
    ];
    for (const [name, listener] of listeners) document.addEventListener(name, listener as EventListener);
    return () => {
      for (const [name, listener] of listeners) document.removeEventListener(name, listener as EventListener);
    };
  }, []);
  return dropping;
}
