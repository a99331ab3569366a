import { expect, test } from "vitest";
import { Failure } from "../../page/failure";
import type { Rejection } from "../../page/queue";
import { Translator } from "../../page/translator";
import { failure, likeness, rejection, spoken } from "../../page/words";
import { answer } from "./facts";

const TEXTS = {
  "reject.too_large": "too many pixels",
  "web.rejected.title": "{name}: {why}",
  "web.rejected.too_large": "{found} of {most}",
  "web.rejected.too_costly": "costly",
  "web.failed.too_large": "too large",
  "web.failed.larger_than": "over {most} MB",
  "web.answer.sure": "{value}",
  "web.unsure.title": "unsure",
  "web.unlike.title": "unlike",
  "web.unlike.body": "farther than {share}",
  "web.unlike.all": "farther than all",
  "web.like": "closer than {share}",
};
const EN = new Translator("en", TEXTS);
const RU = new Translator("ru", TEXTS);

const rejected = (reason: string, counted: Rejection["counted"] = null): Rejection => ({
  state: "rejected",
  reason,
  detail: "",
  counted,
});

test("a rejection says its numbers where they are known, and nothing where there is no advice", () => {
  const counted = { pixels: 26.04e6, most_pixels: 25e6 };
  expect(rejection(RU, "a", rejected("too_large", counted))).toEqual(["a: too many pixels", "26,0 of 25"]);
  expect(rejection(EN, "a", rejected("too_large"))).toEqual(["a: too many pixels", "costly"]);
  expect(rejection(EN, "a", rejected("new"))).toEqual(["a: new"]);
});

test("a file over the limit of a server is told the limit, where the server says it", () => {
  const told = (...failed: ConstructorParameters<typeof Failure>) =>
    failure(EN, { state: "failed", failure: new Failure(...failed) });
  expect(told("too_large", "Over 10 MB.", 413, 1e7)).toBe("over 10 MB");
  expect(told("too_large", "", 413)).toBe("too large");
  expect(told("too_large", "Too many pixels.", 413)).toBe("Too many pixels.");
});

test("the nearer an image, the more validation images it is closer than", () => {
  const at = (percentile: number, isUnlike = false) =>
    likeness(EN, answer({ distance_percentile: percentile, out_of_distribution: isUnlike })).replaceAll("\u202f", "");
  expect([at(10), at(100)]).toEqual(["closer than 90.0%", "closer than 0.0%"]);
  expect([at(99.5, true), at(100, true)]).toEqual(["farther than 99.5%", "farther than all"]);
});

test("a warning is said before the answer, a doubt after it", () => {
  const doubtful = answer({ answer: "unsure", out_of_distribution: true });
  const item = { id: 1, name: "a", image: new Blob(), url: "", outcome: { state: "done" as const, answer: doubtful } };
  expect(spoken(EN, item).replaceAll("\u202f", "")).toBe("a: unlike. cat, 75.0%. unsure.");
});
