import { useEffect, useRef, useState } from "preact/hooks";
import type { Translator } from "../../page/translator";
import type { Place } from "../maths/matrix";

const STEP_MS = 650;

interface WalkThroughProps {
  tr: Translator;
  rows: number;
  columns: number;
  choose: (place: Place) => void;
}

/** A button that walks the window through all outputs, row by row, and can be stopped. */
export function WalkThrough({ tr, rows, columns, choose }: WalkThroughProps) {
  const [isWalking, walk] = useState(false);
  const current = useRef({ columns, choose });
  current.current = { columns, choose };
  useEffect(() => {
    if (!isWalking) return;
    let at = 0;
    const step = () => {
      const { columns, choose } = current.current;
      choose([Math.floor(at / columns), at % columns]);
      at++;
      if (at === rows * columns) walk(false);
    };
    step();
    const timer = setInterval(step, STEP_MS);
    return () => clearInterval(timer);
  }, [isWalking, rows]);
  return (
    <button type="button" onClick={() => walk(!isWalking)}>
      {tr.text(isWalking ? "site.grid.stop" : "site.grid.walk")}
    </button>
  );
}
