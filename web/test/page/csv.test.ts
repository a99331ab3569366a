import { expect, test } from "vitest";
import { csv, excel } from "../../page/csv";
import { answer, facts } from "./facts";

const UNSURE = answer({ answer: "unsure", possible: ["cat", "dog"], out_of_distribution: true });

test("columns and figures are those of svertka predict", () => {
  expect(csv(facts(), [{ path: "a.png", answer: answer() }])).toBe(
    "path,label,confidence,answer,p:cat,p:dog,unlike_training,distance_percentile,error\n" +
      "a.png,cat,0.750000,cat,0.750000,0.250000,no,12.3,\n",
  );
});

test("a model without thresholds and distances has fewer columns", () => {
  const plain = facts({ coverage: null, remembers: false });
  const lines = csv(plain, [{ path: "a.png", answer: answer({ answer: null, possible: null }) }]);
  expect(lines).toBe("path,label,confidence,p:cat,p:dog,error\na.png,cat,0.750000,0.750000,0.250000,\n");
});

test("unsure answers name what is possible", () => {
  expect(csv(facts(), [{ path: "a", answer: UNSURE }])).toContain(",unsure: cat | dog,");
  const none = answer({ answer: "unsure", possible: [] });
  expect(csv(facts(), [{ path: "a", answer: none }])).toContain(",unsure (no class is possible),");
});

test("a file without an answer is a row with its error", () => {
  const rows = csv(facts(), [{ path: "bad.png", error: "empty: the file has zero bytes" }, { path: "next.png" }]);
  expect(rows.split("\n").slice(1)).toEqual(["bad.png,,,,,,,,empty: the file has zero bytes", "next.png,,,,,,,,", ""]);
});

test("cells are quoted where they must be, and stay as they are", () => {
  const names = facts({ classes: ['a "b", c', "d\ne"] });
  const found = answer({ label: "d\ne", probabilities: { 'a "b", c': 0.25, "d\ne": 0.75 }, possible: ["d\ne"] });
  expect(csv(names, [{ path: "=1+1,.png", answer: found }])).toBe(
    'path,label,confidence,answer,"p:a ""b"", c","p:d\ne",unlike_training,distance_percentile,error\n' +
      '"=1+1,.png","d\ne",0.750000,"d\ne",0.250000,0.750000,no,12.3,\n',
  );
});

test("a spreadsheet takes no cell for a formula", () => {
  const rows = excel(facts(), [{ path: "=1+1.png", answer: answer() }]);
  expect(rows.startsWith("\ufeffpath;label;")).toBe(true);
  expect(rows).toContain("\r\n'=1+1.png;cat;0,750000;cat;0,750000;0,250000;no;12,3;\r\n");
});

test("classes that look like numbers keep their order", () => {
  const digits = facts({ classes: ["7", "1"], coverage: null, remembers: false });
  const found = answer({ label: "7", probabilities: { "7": 0.75, "1": 0.25 } });
  expect(csv(digits, [{ path: "a", answer: found }])).toContain("p:7,p:1,error\na,7,0.750000,0.750000,0.250000,");
});
