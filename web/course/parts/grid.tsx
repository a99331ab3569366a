/** A grid of numbers: one stop of the Tab key, arrows inside. */
import type { ComponentChildren, TargetedKeyboardEvent } from "preact";
import { useRef, useState } from "preact/hooks";
import type { Translator } from "../../page/translator";
import { figure, MINUS, typed } from "../figures";
import { largest, type Matrix, type Place, replaced } from "../maths/matrix";

/** What a cell needs to take part: which of them the Tab key comes to, and what its arrows do. */
export interface Seat {
  tabIndex: 0 | -1;
  onKeyDown: (event: TargetedKeyboardEvent<HTMLElement>) => void;
  onFocus: () => void;
}

interface FrameProps {
  label: string;
  rows: number;
  columns: number;
  at: Place | null;
  select: (place: Place) => void;
  class?: string;
  children: (row: number, column: number, seat: Seat) => ComponentChildren;
  below?: ComponentChildren;
}

const MOVES: Record<string, Place> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

/** Rows and cells, and the walk through them. */
export function Frame({ label, rows, columns, at, select, class: kind = "", children, below }: FrameProps) {
  const grid = useRef<HTMLDivElement>(null);
  const inside = (place: number, size: number) => Math.max(0, Math.min(size - 1, place));
  const here: Place = [inside(at?.[0] ?? 0, rows), inside(at?.[1] ?? 0, columns)];

  const focus = ([row, column]: Place) =>
    grid.current?.querySelectorAll<HTMLElement>("[data-cell]")[row * columns + column]?.focus();
  const key = (event: TargetedKeyboardEvent<HTMLElement>, [row, column]: Place) => {
    const to = target(event, [row, column], rows, columns);
    if (!to || !leaves(event)) return;
    event.preventDefault();
    focus(to);
  };

  return (
    <figure class={`numbers ${kind}`}>
      <figcaption>{label}</figcaption>
      <div class="cells" role="grid" aria-label={label} ref={grid} style={{ "--columns": String(columns) }}>
        {Array.from({ length: rows }, (_, row) => (
          <div role="row" key={row}>
            {Array.from({ length: columns }, (_, column) =>
              children(row, column, {
                tabIndex: row === here[0] && column === here[1] ? 0 : -1,
                onKeyDown: (event) => key(event, [row, column]),
                onFocus: () => select([row, column]),
              }),
            )}
          </div>
        ))}
      </div>
      {below}
    </figure>
  );
}

function target(event: KeyboardEvent, [row, column]: Place, rows: number, columns: number): Place | null {
  if (event.altKey || event.metaKey || event.shiftKey) return null;
  const whole = event.ctrlKey;
  if (event.key === "Home") return [whole ? 0 : row, 0];
  if (event.key === "End") return [whole ? rows - 1 : row, columns - 1];
  const move = MOVES[event.key];
  if (!move) return null;
  const [r, c] = [row + move[0], column + move[1]];
  return r >= 0 && c >= 0 && r < rows && c < columns ? [r, c] : null;
}

/** Within a text an arrow moves the caret, until it stands at the end of it. */
function leaves(event: TargetedKeyboardEvent<HTMLElement>): boolean {
  const input = event.currentTarget;
  if (!(input instanceof HTMLInputElement) || event.key === "ArrowUp" || event.key === "ArrowDown") return true;
  const { selectionStart: start, selectionEnd: end, value } = input;
  if (start === 0 && end === value.length) return true;
  return event.key === "ArrowLeft" || event.key === "Home" ? start === 0 && end === 0 : start === value.length;
}

interface Common {
  tr: Translator;
  label: string;
  /** The chosen cell; null for none. */
  at: Place | null;
  select: (place: Place) => void;
  /** More classes of a cell: `seen`, `won`, `pad`, `goes`. */
  mark?: (row: number, column: number) => string;
  class?: string;
}

interface GridProps extends Common {
  values: Matrix;
  /** The number that gets the strongest colour; 0 for none. */
  scale?: number;
  digits?: number;
}

/** Numbers to look at, one of them chosen. */
export function Grid({ values, scale, digits, mark, ...common }: GridProps) {
  const { tr, at } = common;
  const strongest = scale ?? largest(values);
  return (
    <Frame {...common} rows={values.length} columns={values[0]!.length}>
      {(row, column, seat) => {
        const value = values[row]![column]!;
        const text = figure(tr, value, digits);
        const isAt = row === at?.[0] && column === at[1];
        return (
          <div
            role="gridcell"
            key={column}
            data-cell
            class={`cell ${isAt ? "at" : ""} ${fit(text)} ${mark?.(row, column) ?? ""}`}
            aria-selected={isAt}
            aria-label={`${placeName(tr, [row, column])}: ${text}`}
            style={shade(value, strongest)}
            {...seat}
          >
            {text}
          </div>
        );
      }}
    </Frame>
  );
}

/** A sign between grids; whoever hears the page is told by their names. */
export function Operator({ sign }: { sign: string }) {
  return (
    <span class="operator" aria-hidden="true">
      {sign}
    </span>
  );
}

interface EditGridProps extends Common {
  values: Matrix;
  change: (values: number[][]) => void;
  scale?: number;
}

/** Numbers that can be changed; each change counts at once. */
export function EditGrid({ values, change, scale, mark, ...common }: EditGridProps) {
  const { tr, at } = common;
  const strongest = scale ?? largest(values);
  const chosen = at ?? ([0, 0] as const);
  const current = values[chosen[0]]![chosen[1]]!;
  const nudge = (by: number) => change(replaced(values, chosen, Number((current + by).toFixed(6))));
  return (
    <Frame
      {...common}
      rows={values.length}
      columns={values[0]!.length}
      below={
        <div class="nudges">
          <Nudge sign={MINUS} label={tr.text("site.grid.less")} onClick={() => nudge(-1)} />
          <Nudge sign="+" label={tr.text("site.grid.more")} onClick={() => nudge(1)} />
        </div>
      }
    >
      {(row, column, seat) => {
        const value = values[row]![column]!;
        const text = figure(tr, value);
        return (
          <div
            role="gridcell"
            key={column}
            class={`cell ${fit(text)} ${mark?.(row, column) ?? ""}`}
            style={shade(value, strongest)}
          >
            <NumberInput
              text={text}
              label={placeName(tr, [row, column])}
              seat={seat}
              take={(given) => {
                const number = typed(given);
                if (number !== null) change(replaced(values, [row, column], number));
                return number !== null;
              }}
            />
          </div>
        );
      }}
    </Frame>
  );
}

/** For fingers: a phone's keypad of numbers may have no minus. The Tab key passes it by. */
function Nudge({ sign, label, onClick }: { sign: string; label: string; onClick: () => void }) {
  return (
    <button type="button" tabIndex={-1} aria-label={label} onClick={onClick}>
      {sign}
    </button>
  );
}

export type Verdict = "right" | "wrong" | "";

interface AnswerGridProps extends Common {
  texts: readonly (readonly string[])[];
  change: (place: Place, text: string) => void;
  verdict: (row: number, column: number) => Verdict;
}

/** Cells to fill in. */
export function AnswerGrid({ texts, change, verdict, ...common }: AnswerGridProps) {
  const { tr } = common;
  return (
    <Frame {...common} rows={texts.length} columns={texts[0]!.length}>
      {(row, column, seat) => {
        const found = verdict(row, column);
        return (
          <div role="gridcell" key={column} class={`cell answer ${found}`}>
            <NumberInput
              text={texts[row]![column]!}
              label={[placeName(tr, [row, column]), ...(found ? [tr.text(`site.check.${found}`)] : [])].join(": ")}
              seat={seat}
              take={(text) => {
                change([row, column], text);
                return typed(text) !== null;
              }}
            />
            {found && (
              <span class="sign-of" aria-hidden="true">
                {found === "right" ? "\u2713" : "\u2717"}
              </span>
            )}
          </div>
        );
      }}
    </Frame>
  );
}

interface NumberInputProps {
  text: string;
  label: string;
  seat: Seat;
  /** Returns whether it is a number. */
  take: (text: string) => boolean;
}

/** While somebody types, what is typed stands there, even if it isn't a number yet. */
function NumberInput({ text, label, seat, take }: NumberInputProps) {
  const [draft, setDraft] = useState<string | null>(null);
  const [bad, setBad] = useState(false);
  return (
    <input
      data-cell
      type="text"
      inputMode="decimal"
      autoComplete="off"
      maxLength={12}
      value={draft ?? text}
      aria-label={label}
      aria-invalid={bad}
      tabIndex={seat.tabIndex}
      onKeyDown={(event) => {
        if (event.key === "Enter" || event.key === "Escape") setDraft(null);
        seat.onKeyDown(event);
      }}
      onFocus={(event) => {
        seat.onFocus();
        event.currentTarget.select();
      }}
      onClick={(event) => event.currentTarget.select()}
      onInput={(event) => {
        const next = event.currentTarget.value;
        setDraft(next);
        setBad(!take(next) && next !== "");
      }}
      onBlur={() => {
        setDraft(null);
        setBad(false);
      }}
    />
  );
}

function placeName(tr: Translator, [row, column]: Place): string {
  return tr.text("site.grid.place", { row: row + 1, column: column + 1 });
}

/** Long numbers are written smaller. */
function fit(text: string): string {
  return text.length > 6 ? "longer" : text.length > 4 ? "long" : "";
}

/** Orange above zero, blue below, the more the stronger; the sign stands in the number too. */
function shade(value: number, strongest: number) {
  const share = strongest > 0 ? Math.min(1, Math.abs(value) / strongest) : 0;
  return { "--share": `${Math.round(42 * share)}%`, "--tint": value < 0 ? "var(--below)" : "var(--above)" };
}
