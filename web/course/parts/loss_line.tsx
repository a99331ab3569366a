import type { Translator } from "../../page/translator";
import { figure } from "../figures";

const [WIDTH, HEIGHT, EDGE] = [480, 120, 8];

/** The loss over the steps taken, from 0 up. */
export function LossLine({ tr, losses }: { tr: Translator; losses: readonly number[] }) {
  const highest = Math.max(...losses, 1e-9);
  const across = (WIDTH - 2 * EDGE) / Math.max(10, losses.length - 1);
  const points = losses.map((loss, at) => [
    EDGE + at * across,
    HEIGHT - EDGE - (Math.min(loss, highest) / highest) * (HEIGHT - 2 * EDGE),
  ]);
  const [x, y] = points.at(-1)!;
  const steps = losses.length - 1;
  const values = { n: steps, first: figure(tr, losses[0]!), last: figure(tr, losses.at(-1)!) };
  return (
    <figure class="loss">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={tr.text("site.learning.curve", values)}>
        <line x1={EDGE} x2={WIDTH - EDGE} y1={HEIGHT - EDGE} y2={HEIGHT - EDGE} />
        <polyline points={points.map((point) => point.map((value) => value.toFixed(1)).join(",")).join(" ")} />
        <circle cx={x} cy={y} r={5} />
      </svg>
      <figcaption>{tr.text("site.learning.curve", values)}</figcaption>
    </figure>
  );
}
