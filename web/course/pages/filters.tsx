/** 3.1f: one's own kernel on one's own photograph. */
import { useMemo, useState } from "preact/hooks";
import type { Translator } from "../../page/translator";
import { written } from "../address";
import { figure } from "../figures";
import { map, type Matrix, type Place, sum } from "../maths/matrix";
import { filtered, isAboutDifferences, kernelOf } from "../filtering";
import type { CoursePage, PageProps } from "../page";
import { inColour, smaller } from "../paint";
import { EditGrid } from "../parts/grid";
import { OwnImage } from "../parts/own_image";
import { Paint } from "../parts/paint";
import { Rich } from "../parts/rich";
import type { Photograph } from "../photograph";
import { array } from "../python";
import { FilterRiddles } from "./filter_riddles";
import { FiveFilters } from "./five_filters";

const THUMB_PX = 96;

function Touch(props: PageProps) {
  const { tr, set, photograph, take, bank } = props;
  const kernel = kernelOf(props.values);
  const total = sum(kernel);
  const [at, select] = useState<Place>([1, 1]);
  const { width, height } = photograph;
  const before = useMemo(() => inColour(photograph.planes), [photograph]);
  const after = useMemo(() => filtered(photograph, kernel), [photograph, written(kernel)]);
  return (
    <>
      <p>
        <Rich tr={tr} name="site.filters.how" />
      </p>
      <div class="studio">
        <div>
          <EditGrid
            tr={tr}
            label={tr.text("site.grid.kernel")}
            values={kernel}
            at={at}
            select={select}
            change={(next) => set({ kernel: written(next) })}
          />
          <p>
            {tr.text("site.filters.total")} <b id="total">{figure(tr, total)}</b>
          </p>
          {Math.abs(total) > 1e-6 && Math.abs(total - 1) > 1e-6 && (
            <button type="button" onClick={() => set({ kernel: written(map(kernel, (each) => each / total)) })}>
              {tr.text("site.filters.divide", { total: figure(tr, total) })}
            </button>
          )}
        </div>
        <figure>
          <Paint width={width} height={height} pixels={before} label={tr.text("site.filters.before")} />
          <figcaption>{tr.text("site.filters.before")}</figcaption>
        </figure>
        <figure>
          <Paint width={width} height={height} pixels={after} label={tr.text("site.filters.after")} class="after" />
          <figcaption>{tr.text("site.filters.after")}</figcaption>
        </figure>
      </div>
      <p class="note" role="note">
        <Rich tr={tr} name={`site.filters.${kind(kernel)}`} />
      </p>
      <Gallery tr={tr} photograph={photograph} bank={bank} kernel={kernel} set={set} />
      <OwnImage tr={tr} photograph={photograph} take={take} />
    </>
  );
}

/** What its sum says of a kernel. */
function kind(kernel: Matrix): "nothing" | "differences" | "keeps" | "brighter" | "darker" | "negative" {
  const total = sum(kernel);
  if (kernel.flat().every((value) => value === 0)) return "nothing";
  if (isAboutDifferences(kernel)) return "differences";
  if (total < 0) return "negative";
  if (Math.abs(total - 1) < 1e-3) return "keeps";
  return total > 1 ? "brighter" : "darker";
}

interface GalleryProps {
  tr: Translator;
  photograph: Photograph;
  bank: PageProps["bank"];
  kernel: Matrix;
  set: PageProps["set"];
}

/** The laboratory's kernels, each on the photograph; one is taken over by a click. */
function Gallery({ tr, photograph, bank, kernel, set }: GalleryProps) {
  const small = useMemo(() => smaller(photograph, THUMB_PX), [photograph]);
  const pictures = useMemo(
    () => Object.entries(bank).map(([name, each]) => ({ name, pixels: filtered(small, each) })),
    [small],
  );
  return (
    <>
      <h3>{tr.text("site.filters.gallery")}</h3>
      <ul class="gallery">
        {pictures.map(({ name, pixels }) => (
          <li key={name}>
            <button
              type="button"
              aria-pressed={written(bank[name]!) === written(kernel)}
              onClick={() => set({ kernel: written(bank[name]!) })}
            >
              <Paint width={small.width} height={small.height} pixels={pixels} label="" />
              <code>{name}</code>
              <small>{tr.text(`lab.filter.${name}`)}</small>
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

function Check(props: PageProps) {
  return (
    <>
      <FilterRiddles {...props} />
      <FiveFilters {...props} />
    </>
  );
}

function python(props: PageProps): string {
  const kernel = kernelOf(props.values);
  const [read, show] = isAboutDifferences(kernel)
    ? ["L", "127.5 + 127.5 * output / max(np.abs(output).max(), 1e-9)  # gray is zero"]
    : ["RGB", "np.clip(output, 0, 255)"];
  return `import numpy as np
from PIL import Image

kernel = ${array(kernel)}
image = np.asarray(Image.open("photo.png").convert("${read}"), float)

padded = np.pad(image, [(1, 1), (1, 1), (0, 0)][: image.ndim])
windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
output = np.sum(windows * kernel, axis=(-2, -1))
shown = ${show}
Image.fromarray(np.round(shown).astype(np.uint8)).save("filtered.png")`;
}

function terminal(props: PageProps): string {
  return `svertka lab filters photo.png --kernel "${written(kernelOf(props.values))}"`;
}

export const filters: CoursePage = {
  id: "filters",
  chapter: "convolution",
  Touch,
  Check,
  prediction: {
    answers: ["same", "gray", "black"],
    right: "black",
    shows: { kernel: "0,1,0;1,-4,1;0,1,0" },
  },
  python,
  terminal,
};
