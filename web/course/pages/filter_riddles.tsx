import { useMemo } from "preact/hooks";
import { Chance } from "../../model/chance";
import { filtered } from "../filtering";
import type { PageProps } from "../page";
import { smaller } from "../paint";
import { AfterAnswer, useSeries } from "../parts/exercises";
import { Paint } from "../parts/paint";
import { Rich } from "../parts/rich";

/** Filters whose pictures nobody takes for one another's. */
const NAMES = ["identity", "vertical_edge", "horizontal_edge", "blur", "sharpen", "laplacian", "emboss"] as const;
const OFFERED = 4;
const RIDDLES = 4;
const PICTURE_PX = 256;

/** Which filter it was, and which are offered. */
export function riddle(number: number): { right: string; offered: string[] } {
  const chance = new Chance(number + 1);
  const left: string[] = [...NAMES];
  const draw = () => left.splice(chance.whole(0, left.length - 1), 1)[0]!;
  const offered = Array.from({ length: OFFERED }, draw);
  return { right: chance.of(offered), offered };
}

/** "Name the filter": four pictures in a row. */
export function FilterRiddles(props: PageProps) {
  const { tr, photograph, bank } = props;
  const series = useSeries(RIDDLES, props);
  const { at, chosen, number } = series;
  const { right, offered } = riddle(number);
  const small = smaller(photograph, PICTURE_PX);
  const pixels = useMemo(() => filtered(small, bank[right]!), [small, right]);
  const verdict = tr.text(chosen === right ? "site.predict.right" : "site.predict.wrong");
  return (
    <div class="riddle">
      <p>
        <Rich tr={tr} name="site.filters.check" values={{ place: at + 1, of: RIDDLES, right: series.right }} />
      </p>
      <div class="pair">
        <Paint width={small.width} height={small.height} pixels={pixels} label={tr.text("site.filters.riddle")} />
        <div>
          <div class="stack" role="group" aria-label={tr.text("site.check.answer")}>
            {offered.map((name) => (
              <button
                key={name}
                type="button"
                aria-pressed={chosen === name}
                onClick={() => series.answer(name, name === right)}
              >
                <code>{name}</code>&nbsp;· {tr.text(`lab.filter.${name}`)}
              </button>
            ))}
          </div>
          <AfterAnswer
            tr={tr}
            series={series}
            length={RIDDLES}
            told={`${verdict} ${tr.text("site.filters.was", { name: right })}`}
          />
        </div>
      </div>
    </div>
  );
}
