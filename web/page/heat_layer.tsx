/** The class activation map over the image: its colours, and what a person may set of it. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Classifier, Explanation } from "../model/api";
import type { Box, View } from "./geometry";
import { colours, scaleOf } from "./heat";
import type { Item } from "./queue";
import { safe } from "./shown";
import type { Translator } from "./translator";

interface HeatSettingsProps {
  tr: Translator;
  classes: readonly string[];
  label: string;
  choose: (label: string) => void;
  strength: number;
  setStrength: (percent: number) => void;
  /** Of the scale; null while there is no map. */
  top: number | null;
}

export function HeatSettings({ tr, classes, label, choose, strength, setStrength, top }: HeatSettingsProps) {
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
        <p class="small">
          {tr.text("web.heat.reading")} {top !== null && tr.text("web.heat.scale", { top: tr.decimal(top, 1) })}
        </p>
      </details>
    </>
  );
}

export type HeatState = { state: "none" | "computing" | "failed" } | { state: "there"; map: Explanation; top: number };

/** The map of a class, on the scale of that of the answer. */
export function useHeat(classifier: Classifier | null, item: Item, answered: string, label: string): HeatState {
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
export function Heat({ explanation, top, view, strength }: HeatProps) {
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

export function placed({ left, top, width, height }: Box) {
  return { left: percent(left), top: percent(top), width: percent(width), height: percent(height) };
}

function percent(share: number): string {
  return `${100 * share}%`;
}
