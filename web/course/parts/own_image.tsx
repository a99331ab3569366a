import { useMemo, useState } from "preact/hooks";
import { Dropping, FileButton, PhotoButton, useDropAndPaste } from "../../page/intake";
import { safe, shortened } from "../../page/shown";
import type { Translator } from "../../page/translator";
import { inColour } from "../paint";
import { open, type Photograph, scene } from "../photograph";
import { Paint } from "./paint";

interface OwnImageProps {
  tr: Translator;
  photograph: Photograph;
  take: (photograph: Photograph) => void;
}

/** The learner's own picture, by drop, paste, choice or camera; it stays in the browser, which is said. */
export function OwnImage({ tr, photograph, take }: OwnImageProps) {
  const [problem, setProblem] = useState("");
  const takeFiles = async (files: Iterable<File>) => {
    const [file] = files;
    if (!file) return setProblem(tr.text("web.intake.nothing"));
    try {
      take(await open(file.name, file));
      setProblem("");
    } catch {
      setProblem(tr.text("site.image.unreadable", { name: shortened(file.name) }));
    }
  };
  const dropping = useDropAndPaste((files) => void takeFiles(files));
  const pixels = useMemo(() => inColour(photograph.planes), [photograph]);
  const size = { width: photograph.width, height: photograph.height };
  const name = photograph.name ? safe(photograph.name) : tr.text("site.image.drawn");
  return (
    <section class="own" aria-labelledby="own-image">
      <h2 id="own-image">{tr.text("site.image.title")}</h2>
      <div class="pair">
        <figure>
          <Paint {...size} pixels={pixels} label={name} />
          <figcaption>
            {name}, {tr.text("site.image.size", size)}
          </figcaption>
        </figure>
        <div>
          <p>{tr.text("site.image.body")}</p>
          <div class="row">
            <FileButton
              id="choose"
              class="main"
              label={tr.text("site.image.choose")}
              accept="image/*"
              take={takeFiles}
            />
            <PhotoButton tr={tr} take={takeFiles} />
            {photograph.name && (
              <button type="button" onClick={() => take(scene())}>
                {tr.text("site.image.back")}
              </button>
            )}
          </div>
          {problem && <p role="alert">{problem}</p>}
        </div>
      </div>
      {dropping && <Dropping text={tr.text("site.image.let_go")} />}
    </section>
  );
}
