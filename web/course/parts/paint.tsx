import type { TargetedPointerEvent } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Place } from "../maths/matrix";
import type { Pixels } from "../paint";

interface PaintProps {
  width: number;
  height: number;
  pixels: Pixels;
  /** What is to be seen; "" where words beside it say so. */
  label: string;
  class?: string;
}

/** A canvas with these pixels. */
export function Paint({ width, height, pixels, label, class: kind = "" }: PaintProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    canvas.current!.getContext("2d")!.putImageData(new ImageData(pixels, width, height), 0, 0);
  }, [pixels, width, height]);
  const named = label ? ({ role: "img", "aria-label": label } as const) : ({ "aria-hidden": "true" } as const);
  return <canvas ref={canvas} class={kind} width={width} height={height} {...named} />;
}

interface MarkedProps extends PaintProps {
  /** The pixel in the middle of the frame. */
  at: Place;
  choose: (place: Place) => void;
}

/** A picture on which a window of 3 × 3 is chosen by pointing; sliders beside it do the same for the keyboard. */
export function Marked({ at, choose, ...paint }: MarkedProps) {
  const { width, height } = paint;
  const point = (event: TargetedPointerEvent<HTMLElement>) => {
    if (event.type === "pointermove" && !event.buttons) return;
    const box = event.currentTarget.getBoundingClientRect();
    const inside = (share: number, size: number) => Math.max(0, Math.min(size - 1, Math.floor(share * size)));
    choose([
      inside((event.clientY - box.top) / box.height, height),
      inside((event.clientX - box.left) / box.width, width),
    ]);
  };
  return (
    <div class="marked" onPointerDown={point} onPointerMove={point}>
      <Paint {...paint} />
      <i
        style={{
          left: `${(100 * (at[1] - 1)) / width}%`,
          top: `${(100 * (at[0] - 1)) / height}%`,
          width: `${300 / width}%`,
          height: `${300 / height}%`,
        }}
      />
    </div>
  );
}
