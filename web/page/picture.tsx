import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Classifier, Explanation, ModelFacts } from "../model/api";
import { type Box, isWhole, viewOf, type View } from "./geometry";
import { colours, scaleOf } from "./heat";
import type { Item } from "./queue";
import type { Translator } from "./translator";
import { safe } from "./words";

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

const SQUARE: Size = { width: 1, height: 1 }; // of a file that the browser cannot show

/** The image, and over it what the network looks at. */
export function Picture({ tr, facts, classifier, item }: PictureProps) {
  const [size, setSize] = useState<Size | null>(null);
  const [gone, setGone] = useState(false);
  const [wanted, want] = useState(true);
  const [chosen, choose] = useState("");
  const [strength, setStrength] = useState(80);
  const answer = item.outcome.state === "done" ? item.outcome.answer : null;
  const explained = facts.explains && answer !== null && classifier !== null;
  const label = chosen || answer?.label || "";
  const heat = useHeat(explained && wanted ? classifier : null, item, answer?.label ?? "", label);
  const view = viewOf(facts.preprocess, (size ?? SQUARE).width, (size ?? SQUARE).height);
  const isShown = heat.state === "there" && (size !== null || gone);
  const isPart = size !== null && !isWhole(view.ofImage);

  return (
    <div class="picture">
      <div class={`frame${isShown ? " under" : ""}${gone ? " gone" : ""}`} style={size ? sized(size) : {}}>
        {gone ? (
          <p>{tr.text("web.picture.none")}</p>
        ) : (
          <img
            src={item.url}
            alt={tr.text("web.picture.alt", { name: safe(item.name) })}
            onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) =>
              setSize({ width: naturalWidth, height: naturalHeight })
            }
            onError={() => setGone(true)}
          />
        )}
        {isShown && <Heat explanation={heat.map} top={heat.top} view={view} strength={strength} />}
        {isPart && <i class="seen" style={placed(view.ofImage)} aria-hidden="true" />}
      </div>
      {isPart && <p class="muted small">{tr.text("web.picture.cropped")}</p>}
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

interface HeatSettingsProps {
  tr: Translator;
  classes: readonly string[];
  label: string;
  choose: (label: string) => void;
  strength: number;
  setStrength: (percent: number) => void;
}

function HeatSettings({ tr, classes, label, choose, strength, setStrength }: HeatSettingsProps) {
  const name = tr.quoted(label);
  return (
    <>
      <div class="heat-settings">
        <label>
          <span>{tr.text("web.heat.label")}</span>
          <select value={label} onChange={(event) => choose(event.currentTarget.value)}>
            {classes.map((each) => (
              <option key={each} value={each}>
                {safe(each)}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span>{tr.text("web.heat.strength")}</span>
          <input
            type="range"
            min="10"
            max="100"
            step="10"
            value={strength}
            onInput={(event) => setStrength(Number(event.currentTarget.value))}
          />
        </label>
      </div>
      <ul class="legend">
        <li>
          <i class="for" aria-hidden="true" />
          {tr.text("web.heat.supports", { name })}
        </li>
        <li>
          <i class="against" aria-hidden="true" />
          {tr.text("web.heat.opposes", { name })}
        </li>
      </ul>
      <details>
        <summary>{tr.text("web.heat.meaning")}</summary>
        <p class="small">{tr.text("web.heat.reading")}</p>
      </details>
    </>
  );
}

type HeatState = { state: "none" | "computing" | "failed" } | { state: "there"; map: Explanation; top: number };

/** The map of a class, on the scale of that of the answer. */
function useHeat(classifier: Classifier | null, item: Item, answered: string, label: string): HeatState {
  const [found, set] = useState<HeatState>({ state: "none" });
  const maps = useRef(new Map<string, Promise<Explanation>>());
  useEffect(() => {
    if (!classifier || !answered) return set({ state: "none" });
    let wanted = true;
    const ask = (name: string) => {
      const known = maps.current.get(name) ?? classifier.explain(item.image, name);
      maps.current.set(name, known);
      known.catch(() => maps.current.delete(name)); // it may be asked for again
      return known;
    };
    const both = async (): Promise<HeatState> => {
      const top = scaleOf((await ask(answered)).evidence);
      return { state: "there", map: await ask(label), top };
    };
    set({ state: "computing" });
    both().then(
      (there) => wanted && set(there),
      () => wanted && set({ state: "failed" }),
    );
    return () => void (wanted = false);
  }, [classifier, answered, label]);
  return found;
}

interface HeatProps {
  explanation: Explanation;
  top: number;
  view: View;
  strength: number;
}

/** The colours of a map, where they belong on the image. */
function Heat({ explanation, top, view, strength }: HeatProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    if (canvas.current) paint(canvas.current, explanation, top, view.ofSquare);
  }, [explanation, top, view.ofSquare.width, view.ofSquare.height]);
  return (
    <canvas
      ref={canvas}
      width={SIDE_PX}
      height={SIDE_PX}
      style={{ ...placed(view.ofImage), opacity: strength / 100 }}
      aria-hidden="true"
    />
  );
}

const SIDE_PX = 448;

/** Paints the part of a map that lies on the image, without steps. */
function paint(canvas: HTMLCanvasElement, { grid, evidence }: Explanation, top: number, part: Box): void {
  const small = document.createElement("canvas");
  small.width = small.height = grid;
  small.getContext("2d")?.putImageData(new ImageData(colours(evidence, top), grid, grid), 0, 0);
  const pen = canvas.getContext("2d");
  if (!pen) return;
  pen.clearRect(0, 0, SIDE_PX, SIDE_PX);
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = "high";
  const [left, topmost, width, height] = [part.left, part.top, part.width, part.height].map((share) => share * grid);
  pen.drawImage(small, left!, topmost!, width!, height!, 0, 0, SIDE_PX, SIDE_PX);
}

/** For the style sheet, which makes the picture as large as there is room. */
function sized({ width, height }: Size) {
  return { "--width": width, "--height": height };
}

function placed({ left, top, width, height }: Box) {
  return { left: percent(left), top: percent(top), width: percent(width), height: percent(height) };
}

function percent(share: number): string {
  return `${100 * share}%`;
}
