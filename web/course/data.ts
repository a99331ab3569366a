/** What Python wrote into the site; see `course/site.py`. */
import type { Language } from "../page/data";
import type { Matrix } from "./maths/matrix";
import type { Texts } from "../page/translator";

export interface CourseData {
  version: string;
  texts: Record<Language, Texts>;
  licences: string;
  /** Small kernels of `svertka lab filters` by their names. */
  bank: Record<string, Matrix>;
}

export function readData(): CourseData {
  return JSON.parse(document.getElementById("svertka")!.textContent ?? "") as CourseData;
}
