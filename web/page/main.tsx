/** The page of `svertka serve`, and of the single file of `svertka share`. */
import { render } from "preact";
import type { Classifier, ModelFacts } from "../model/api";
import { App } from "./app";
import { readData } from "./data";
import { messageOf } from "./failure";
import { lacking, openLocal } from "./local_backend";
import { ServerClassifier } from "./server";
import type { Translator } from "./translator";
import "./page.css";

const data = readData();

/** Makes a model ready; rejects with what stands in the way. */
async function open(facts: ModelFacts, tr: () => Translator): Promise<Classifier> {
  if (data.backend === "server") return new ServerClassifier(facts, () => tr().language);
  const what = lacking();
  if (what) throw new Error(tr().text("web.too_old", { what }));
  try {
    return await openLocal(facts, data);
  } catch (error) {
    throw new Error(tr().text("web.loading_failed", { what: messageOf(error) }));
  }
}

render(<App data={data} open={open} />, document.getElementById("page")!);
