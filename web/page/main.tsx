/** The page of `svertka serve`, and of the single file of `svertka share`. */
import { render } from "preact";
import type { Classifier, ModelFacts } from "../model/api";
import { App } from "./app";
import { type Language, readData } from "./data";
import { ServerClassifier } from "./server";
import "./page.css";

const data = readData();

function open(facts: ModelFacts, language: () => Language): Promise<Classifier> {
  return Promise.resolve(new ServerClassifier(facts, language));
}

render(<App data={data} open={open} />, document.getElementById("page")!);
