import type { Translator } from "../../page/translator";
import type { Values } from "../address";

interface SliderProps {
  label: string;
  value: number;
  low: number;
  high: number;
  change: (value: number) => void;
}

/** A whole number by slider, or typed. */
export function Slider({ label, value, low, high, change }: SliderProps) {
  const take = (text: string) => {
    const number = Number(text);
    if (text.trim() && Number.isInteger(number) && number >= low && number <= high) change(number);
  };
  return (
    <div class="slider">
      <label>
        <span>{label}</span>
        <input
          type="range"
          min={low}
          max={high}
          value={value}
          onInput={(event) => change(Number(event.currentTarget.value))}
        />
      </label>
      <input
        type="number"
        aria-label={label}
        min={low}
        max={high}
        value={value}
        onInput={(event) => take(event.currentTarget.value)}
      />
    </div>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  name: string;
  value: T;
  choices: readonly T[];
  /** What stands on a choice. */
  text: (choice: T) => string;
  change: (choice: T) => void;
}

/** One of a few. */
export function Choice<T extends string>({ label, name, value, choices, text, change }: ChoiceProps<T>) {
  return (
    <fieldset class="segments">
      <legend>{label}</legend>
      <div>
        {choices.map((choice) => (
          <label key={choice}>
            <input type="radio" name={name} checked={choice === value} onChange={() => change(choice)} />
            <span>{text(choice)}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

interface PresetsProps {
  tr: Translator;
  set: (values: Values) => void;
  /** Key of a button's text. */
  text: (name: string) => string;
  presets: Readonly<Record<string, Values>>;
}

/** Buttons that put ready numbers into the page. */
export function Presets({ tr, set, text, presets }: PresetsProps) {
  return (
    <div class="row presets">
      <span>{tr.text("site.presets")}</span>
      {Object.entries(presets).map(([name, values]) => (
        <button key={name} type="button" onClick={() => set(values)}>
          {tr.text(text(name))}
        </button>
      ))}
    </div>
  );
}
