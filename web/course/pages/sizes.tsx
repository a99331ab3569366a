/** 3.1c: padding, stride, and the size that comes of them. */
import type { Translator } from "../../page/translator";
import { type Values, wholeOf } from "../address";
import { figure } from "../figures";
import { outputSize } from "../maths/convolution";
import type { CoursePage, PageProps } from "../page";
import { AskNumber } from "../parts/ask_number";
import { Presets, Slider } from "../parts/controls";
import { useSolved } from "../parts/exercises";
import { Rich } from "../parts/rich";
import { Ruler } from "../parts/ruler";
import { Spoken } from "../parts/spoken";

/** What the size depends on. */
interface Sizes {
  size: number;
  kernel: number;
  padding: number;
  stride: number;
}

const LIMITS = { size: [1, 512], kernel: [1, 15], padding: [0, 10], stride: [1, 8] } as const;
const USUAL: Sizes = { size: 9, kernel: 3, padding: 1, stride: 2 };
const NAMES = ["size", "kernel", "padding", "stride"] as const;

function sizesOf(values: Values): Sizes {
  const read = (name: keyof Sizes) => wholeOf(values[name], LIMITS[name][0], LIMITS[name][1], USUAL[name]);
  return { size: read("size"), kernel: read("kernel"), padding: read("padding"), stride: read("stride") };
}

function Touch({ tr, values, set }: PageProps) {
  const sizes = sizesOf(values);
  const outputs = outputSize(sizes.size, sizes.kernel, sizes);
  const at = Math.min(wholeOf(values.at, 1, 520, 1), Math.max(1, outputs));
  const change = (name: string) => (value: number) => set({ [name]: String(value) });
  return (
    <>
      <p>
        <Rich tr={tr} name="site.sizes.how" />
      </p>
      <div class="sliders">
        {NAMES.map((name) => (
          <Slider
            key={name}
            label={tr.text(`site.sizes.${name}`)}
            value={sizes[name]}
            low={LIMITS[name][0]}
            high={LIMITS[name][1]}
            change={change(name)}
          />
        ))}
      </div>
      <p class="formula">
        {tr.text("site.sizes.formula")}
        <br />
        {formula(tr, sizes)} {outputs >= 1 && <b id="total">{outputs}</b>}
      </p>
      {outputs < 1 ? (
        <p class="note warn">
          <Rich tr={tr} name="site.sizes.misfit" />
        </p>
      ) : (
        <>
          <Ruler tr={tr} sizes={sizes} outputs={outputs} at={at} />
          {outputs > 1 && (
            <div class="sliders">
              <Slider label={tr.text("site.sizes.at")} value={at} low={1} high={outputs} change={change("at")} />
            </div>
          )}
          <Told tr={tr} sizes={sizes} outputs={outputs} at={at} />
        </>
      )}
      <Presets tr={tr} set={set} text={(name) => `site.sizes.preset.${name}`} presets={PRESETS} />
      <Spoken text={outputs < 1 ? tr.text("site.sizes.none") : tr.text("site.sizes.spoken", { outputs })} />
    </>
  );
}

/** `⌊(224 + 2·2 − 5) / 1⌋ + 1 =`. */
function formula(tr: Translator, { size, kernel, padding, stride }: Sizes): string {
  const inner = size + 2 * padding - kernel;
  const start = `⌊(${size} + 2·${padding} − ${kernel}) / ${stride}⌋ + 1`;
  if (inner < 0) return start;
  const cut = inner % stride ? ` = ⌊${figure(tr, inner / stride, 3)}⌋ + 1` : "";
  return `${start}${cut} =`;
}

/** Which cells the chosen window covers, and what no window sees. */
function Told({ tr, sizes, outputs, at }: { tr: Translator; sizes: Sizes; outputs: number; at: number }) {
  const { size, kernel, padding, stride } = sizes;
  const first = (at - 1) * stride - padding;
  const zeros = Math.max(0, -first) + Math.max(0, first + kernel - size);
  const end = (outputs - 1) * stride - padding + kernel;
  const unseen = Math.max(0, size - Math.max(0, end));
  const from = Math.max(1, first + 1);
  const to = Math.min(size, first + kernel);
  return (
    <p>
      {from <= to ? tr.text("site.sizes.covers", { at, from, to }) : tr.text("site.sizes.covers_none", { at })}
      {zeros > 0 && ` ${tr.text("site.sizes.zeros", { n: Math.min(zeros, kernel) })}`}
      {unseen > 0 && ` ${tr.text("site.sizes.unseen", { n: unseen })}`}
    </p>
  );
}

const PRESETS = {
  same: written({ size: 224, kernel: 3, padding: 1, stride: 1 }),
  half: written({ size: 224, kernel: 3, padding: 1, stride: 2 }),
  resnet: written({ size: 224, kernel: 7, padding: 3, stride: 2 }),
  alexnet: written({ size: 227, kernel: 11, padding: 0, stride: 4 }),
};

function written(sizes: Sizes): Values {
  return { ...Object.fromEntries(NAMES.map((name) => [name, String(sizes[name])])), at: "" };
}

const QUESTIONS: readonly Sizes[] = [
  { size: 224, kernel: 5, padding: 2, stride: 1 },
  { size: 128, kernel: 3, padding: 0, stride: 2 },
];
const WANTED = [
  { size: 224, kernel: 7, wanted: 112 },
  { size: 32, kernel: 5, wanted: 32 },
] as const;

function Check({ tr, done }: PageProps) {
  const { note } = useSolved(QUESTIONS.length + WANTED.length, done);
  return (
    <>
      {QUESTIONS.map((sizes, number) => (
        <AskNumber
          key={number}
          tr={tr}
          id={`size-${number}`}
          judge={([answer]) => (answer === outputSize(sizes.size, sizes.kernel, sizes) ? "" : hint(tr, sizes, answer!))}
          praise={`${formula(tr, sizes)} ${outputSize(sizes.size, sizes.kernel, sizes)}`}
          solved={() => note(`size-${number}`)}
        >
          {tr.text("site.sizes.ask", { ...sizes })}
        </AskNumber>
      ))}
      {WANTED.map(({ size, kernel, wanted }, number) => (
        <AskNumber
          key={number}
          tr={tr}
          id={`wanted-${number}`}
          fields={[tr.text("site.sizes.stride"), tr.text("site.sizes.padding")]}
          judge={([stride, padding]) => misses(tr, { size, kernel, padding: padding!, stride: stride! }, wanted)}
          praise={tr.text("site.sizes.found", { wanted })}
          solved={() => note(`wanted-${number}`)}
        >
          {tr.text("site.sizes.want", { size, kernel, wanted })}
        </AskNumber>
      ))}
    </>
  );
}

/** What to look at in the formula: a slip that explains the answer, if one does. */
function hint(tr: Translator, sizes: Sizes, answer: number): string {
  const { size, kernel, padding, stride } = sizes;
  const whole = outputSize(size, kernel, sizes);
  if (answer === whole - 1) return tr.text("site.sizes.slip_one");
  if (padding && answer === outputSize(size, kernel, { stride, padding: padding / 2 }))
    return tr.text("site.sizes.slip_sides");
  if (Math.abs(answer - whole) < 1) return tr.text("site.sizes.slip_round");
  return tr.text("site.sizes.slip", { formula: formula(tr, sizes).replace(/ =[^=]*=?$/, "") });
}

/** "" if stride and padding give the wanted size, else what they give. */
function misses(tr: Translator, sizes: Sizes, wanted: number): string {
  const { kernel, padding, stride } = sizes;
  const isWhole = Number.isInteger(padding) && Number.isInteger(stride);
  if (!isWhole || stride < 1 || padding < 0) return tr.text("site.sizes.no_steps");
  if (padding >= kernel) return tr.text("site.sizes.too_much", { kernel });
  const found = outputSize(sizes.size, kernel, sizes);
  return found === wanted ? "" : tr.text("site.sizes.gives", { formula: formula(tr, sizes), found, wanted });
}

function python({ values }: PageProps): string {
  const { size, kernel, padding, stride } = sizesOf(values);
  return `def output_size(size, kernel, padding=0, stride=1):
    return (size + 2 * padding - kernel) // stride + 1


print(output_size(${size}, ${kernel}, padding=${padding}, stride=${stride}))`;
}

function terminal({ values }: PageProps): string {
  const { size, kernel, padding, stride } = sizesOf(values);
  return `svertka lab size ${size} --kernel ${kernel} --padding ${padding} --stride ${stride}`;
}

export const sizes: CoursePage = {
  id: "sizes",
  chapter: "convolution",
  Touch,
  Check,
  prediction: {
    answers: ["four", "five", "nine"],
    right: "five",
    shows: written({ size: 9, kernel: 3, padding: 1, stride: 2 }),
  },
  python,
  terminal,
};
