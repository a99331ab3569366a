import { useEffect, useRef, useState } from "preact/hooks";
import type { Classifier, ModelFacts, Prepared } from "../model/api";
import { isWhole, viewOf, WHOLE_VIEW } from "./geometry";
import { Heat, HeatSettings, placed, useHeat } from "./heat_layer";
import type { Item } from "./queue";
import { safe } from "./shown";
import type { Translator } from "./translator";

interface PictureProps {
  tr: Translator;
  facts: ModelFacts;
  classifier: Classifier | null;
  item: Item;
}

interface Size {
  width: number;
  height: number;
}

const STRENGTH = 80; // percent

/** The image, and over it what the network looks at. */
export function Picture({ tr, facts, classifier, item }: PictureProps) {
  const [size, setSize] = useState<Size | null>(null);
  const [gone, setGone] = useState(false);
  const [wanted, want] = useState(true);
  const [chosen, choose] = useState("");
  const [strength, setStrength] = useState(STRENGTH);
  const answer = item.outcome.state === "done" ? item.outcome.answer : null;
  const explained = facts.explains && answer !== null && classifier !== null;
  const label = chosen || answer?.label || "";
  const heat = useHeat(explained && wanted ? classifier : null, item, answer?.label ?? "", label);
  const found = usePrepared(gone && answer !== null ? classifier : null, item.image);
  const square = typeof found === "object" ? found : null;
  const view = size ? viewOf(facts.preprocess, size.width, size.height) : WHOLE_VIEW;
  const isPart = !isWhole(view.ofImage);
  const isUnder = heat.state === "there" && (size !== null || gone);
  const alt = tr.text("web.picture.alt", { name: safe(item.name) });

  return (
    <div class="picture">
      <div class={`frame${isUnder ? " under" : ""}${gone && !square ? " gone" : ""}`} style={sized(size)}>
        {!gone && (
          <img
            src={item.url}
            alt={alt}
            onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) =>
              setSize({ width: naturalWidth, height: naturalHeight })
            }
            onError={() => setGone(true)}
          />
        )}
        {gone && (square ? <Square square={square} alt={alt} /> : <p>{instead(tr, item, found)}</p>)}
        {isUnder && <Heat explanation={heat.map} top={heat.top} view={view} strength={strength} />}
        {isPart && <i class="seen" style={placed(view.ofImage)} aria-hidden="true" />}
      </div>
      {isPart && <p class="muted small">{tr.text("web.picture.cropped")}</p>}
      {square && <p class="muted small">{tr.text("web.picture.prepared")}</p>}
      {explained && (
        <div class="heat">
          <label class="switch">
            <input type="checkbox" checked={wanted} onChange={(event) => want(event.currentTarget.checked)} />
            {tr.text("web.heat.show")}
          </label>
          {wanted && (
            <HeatSettings
              tr={tr}
              classes={facts.classes}
              label={label}
              choose={choose}
              strength={strength}
              setStrength={setStrength}
              top={heat.state === "there" ? heat.top : null}
            />
          )}
          {wanted && heat.state !== "there" && (
            <p class="muted small">{tr.text(heat.state === "failed" ? "web.heat.failed" : "web.heat.computing")}</p>
          )}
        </div>
      )}
    </div>
  );
}

/** What the network sees of a file that the browser cannot show; "none" where the model isn't at hand. */
function usePrepared(classifier: Classifier | null, image: Blob): Prepared | "none" | null {
  const [square, set] = useState<Prepared | "none" | null>(null);
  useEffect(() => {
    let wanted = true;
    const become = (found: Prepared | "none" | null) => wanted && set(found);
    if (classifier?.prepared) {
      classifier.prepared(image).then(become, () => become("none"));
    } else become(classifier && "none");
    return () => void (wanted = false);
  }, [classifier]);
  return square;
}

/** What stands in place of a picture; nothing while one may still come. */
function instead(tr: Translator, { outcome }: Item, found: Prepared | "none" | null): string {
  if (outcome.state === "rejected" || outcome.state === "failed") return tr.text("web.picture.no_preview");
  return found === "none" ? tr.text("web.picture.none") : "";
}

function Square({ square: { side, square }, alt }: { square: Prepared; alt: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const pixels = new ImageData(side, side);
    for (let at = 0; at < side * side; at++) {
      pixels.data.set(square.subarray(3 * at, 3 * at + 3), 4 * at);
      pixels.data[4 * at + 3] = 255;
    }
    canvas.current?.getContext("2d")?.putImageData(pixels, 0, 0);
  }, [square]);
  return <canvas class="square" ref={canvas} width={side} height={side} role="img" aria-label={alt} />;
}

/** For the style sheet, which makes the picture as large as there is room. */
function sized(size: Size | null) {
  const { width, height } = size ?? { width: 1, height: 1 };
  return { "--width": width, "--height": height };
}
