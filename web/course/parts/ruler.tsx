import { useEffect, useRef, useState } from "preact/hooks";
import type { Translator } from "../../page/translator";

interface RulerProps {
  tr: Translator;
  sizes: { size: number; kernel: number; padding: number; stride: number };
  outputs: number;
  /** The chosen window, from 1. */
  at: number;
}

const HIGH = 36;
const LANE = 12;
const LANES = 4;
/** Of a cell, in pixels, for its number to fit. */
const READABLE = 20;

/** One side of the padded input, and the windows that lie on it one after the other. */
export function Ruler({ tr, sizes, outputs, at }: RulerProps) {
  const { size, kernel, padding, stride } = sizes;
  const whole = size + 2 * padding;
  const [picture, width] = useWidth();
  const scale = width / whole;
  const end = (outputs - 1) * stride + kernel;
  const lanes = Math.min(LANES, Math.max(1, Math.ceil(kernel / stride)));
  const top = HIGH + 10;
  const height = top + lanes * LANE + 4;
  const hasNumbers = scale >= READABLE;
  const bar = (from: number, length: number) => ({ x: from * scale, width: Math.max(1, length * scale) });
  const chosen = (at - 1) * stride;
  return (
    <svg
      ref={picture}
      class="ruler"
      height={height}
      role="img"
      aria-label={tr.text("site.sizes.picture", { size, padding, outputs, at })}
    >
      <defs>
        <pattern id="zeros" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect class="zero" width="8" height="8" />
          <line class="hatch" x1="0" y1="0" x2="0" y2="8" />
        </pattern>
      </defs>
      <rect class="beyond" y={4} height={HIGH - 4} {...bar(0, whole)} fill="url(#zeros)" />
      <rect class="input" y={4} height={HIGH - 4} {...bar(padding, size)} />
      {end < whole && <rect class="left-over" y={4} height={HIGH - 4} {...bar(end, whole - end)} />}
      {scale >= READABLE / 3 &&
        Array.from({ length: whole }, (_, cell) => (
          <g key={cell}>
            <rect class="line" y={4} height={HIGH - 4} {...bar(cell, 1)} />
            {hasNumbers && (
              <text x={(cell + 0.5) * scale} y={4 + HIGH / 2 + 3}>
                {cell < padding || cell >= padding + size ? "0" : cell - padding + 1}
              </text>
            )}
          </g>
        ))}
      {Array.from({ length: outputs }, (_, window) => (
        <rect
          key={window}
          class={`window ${window === at - 1 ? "at" : ""}`}
          y={top + (window % lanes) * LANE}
          height={LANE - 3}
          rx={3}
          {...bar(window * stride, kernel)}
        />
      ))}
      <rect class="frame" y={3} height={HIGH - 2} {...bar(chosen, kernel)} />
    </svg>
  );
}

/** How wide it is drawn, in pixels. */
function useWidth() {
  const picture = useRef<SVGSVGElement>(null);
  const [width, setWidth] = useState(300);
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(Math.max(1, entry!.contentRect.width)));
    watch.observe(picture.current!);
    return () => watch.disconnect();
  }, []);
  return [picture, width] as const;
}
