/** What Python wrote into the site; see `course/site.py`. */
import type { Language } from "../page/data";
import type { Texts } from "../page/translator";

export interface CourseData {
  version: string;
  texts: Record<Language, Texts>;
  licences: string;
}

export function readData(): CourseData {
  return JSON.parse(document.getElementById("svertka")!.textContent ?? "") as CourseData;
}
