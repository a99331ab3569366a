/** What every page of the course is. */
import type { ComponentType } from "preact";
import type { Translator } from "../page/translator";
import type { Values } from "./address";
import type { Matrix } from "./maths/matrix";
import type { Photograph } from "./photograph";

/** What a page is given. */
export interface PageProps {
  tr: Translator;
  /** Of the address. */
  values: Values;
  /** Puts values into the address; "" takes one out. */
  set: (values: Values) => void;
  /** The learner's own, or the drawn one. */
  photograph: Photograph;
  take: (photograph: Photograph) => void;
  /** Kernels by the names of the laboratory's bank. */
  bank: Readonly<Record<string, Matrix>>;
  /** Calls when the self-check is passed. */
  done: () => void;
}

/** A page; its texts are `site.<id>.…` of the catalogue. */
export interface CoursePage {
  id: string;
  /** Its words are `site.chapter.<chapter>`. */
  chapter: string;
  /** What the person touches. */
  Touch: ComponentType<PageProps>;
  /** Exercises that check themselves. */
  Check: ComponentType<PageProps>;
  /** Names of the answers that may be predicted, the right one among them; what is then shown. */
  prediction: { answers: readonly string[]; right: string; shows: Values };
  /** The same in Python, with the numbers of the page; it prints what the page shows. */
  python: (props: PageProps) => string;
  /** The same at the terminal. */
  terminal?: (props: PageProps) => string;
}
