import { expect, test, vi } from "vitest";
import { Rejected } from "../../model/api";
import { Failure } from "../../page/failure";
import { ServerClassifier } from "../../page/server";
import { answer, facts } from "./facts";

const model = { name: "a b", sha256: facts().sha256 };
const IMAGE = new Blob(["image"]);

function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  const type = status < 400 ? "application/json" : "application/problem+json";
  return new Response(JSON.stringify(body), { status, headers: { "content-type": type, ...headers } });
}

function asking(...replies: (Response | Error)[]) {
  const wait = vi.fn(() => Promise.resolve());
  const ask = vi.fn<typeof fetch>(() => {
    const reply = replies.shift()!;
    return reply instanceof Error ? Promise.reject(reply) : Promise.resolve(reply);
  });
  return { ask, wait, classifier: new ServerClassifier(facts({ name: "a b" }), () => "ru", ask, wait) };
}

const reason = (classifier: ServerClassifier) => classifier.predict(IMAGE).catch((error: unknown) => error);

test("the image is the body, the model is named, and the language is the page's", async () => {
  const { ask, classifier } = asking(json({ model, predictions: [{ file: null, ...answer() }] }));
  expect(await classifier.predict(IMAGE)).toMatchObject(answer());
  const [address, request] = ask.mock.calls[0]!;
  expect(address).toBe("v1/predict?model=a+b");
  expect(request).toMatchObject({ method: "POST", headers: { "Accept-Language": "ru" } });
  expect(await ((request!.body as FormData).get("image") as Blob).text()).toBe("image");
});

test("a map is asked for by its class", async () => {
  const map = { model, label: "кот & пёс", grid: 1, evidence: [[0.5]] };
  const { ask, classifier } = asking(json(map));
  expect(await classifier.explain(IMAGE, "кот & пёс")).toEqual(map);
  expect(new URLSearchParams(String(ask.mock.calls[0]![0]).split("?")[1]).get("label")).toBe("кот & пёс");
});

test("a busy server is asked again when it says so", async () => {
  const busy = () => json({}, 503, { "retry-after": "2" });
  const { wait, classifier } = asking(busy(), busy(), json({ model, predictions: [answer()] }));
  await classifier.predict(IMAGE);
  expect(wait.mock.calls).toEqual([[2000], [2000]]);
});

test("a server that stays busy is left in peace", async () => {
  const { ask, classifier } = asking(...Array.from({ length: 6 }, () => json({ detail: "Busy." }, 503)));
  expect(await reason(classifier)).toEqual(new Failure("busy", "Busy.", 503));
  expect(ask).toHaveBeenCalledTimes(6);
});

test("an image that is refused is told as such, alone or in a list", async () => {
  const alone = asking(json({ reason: "empty", detail: "пустой файл" }, 422)).classifier;
  expect(await reason(alone)).toEqual(new Rejected("empty", "пустой файл"));
  const error = { reason: "truncated", detail: "truncated: it ends: early" };
  expect(await reason(asking(json({ model, predictions: [{ error }] })).classifier)).toEqual(
    new Rejected("truncated", "it ends: early"),
  );
});

test.each([
  [json({ detail: "More than 10 MB.", most_bytes: 1e7 }, 413), new Failure("too_large", "More than 10 MB.", 413, 1e7)],
  [new Response("<h1>no</h1>", { status: 413 }), new Failure("too_large", "", 413)],
  [json({}, 401), new Failure("token", "", 401)],
  [json({ detail: "No such model." }, 404), new Failure("status", "No such model.", 404)],
  [new Response("<h1>oops</h1>", { status: 500 }), new Failure("status", "500", 500)],
  [new TypeError("Failed to fetch"), new Failure("unreachable")],
])("a failure has its kind", async (reply, expected) => {
  const found = (await reason(asking(reply).classifier)) as Failure;
  expect(found).toEqual(expected);
  expect([found.kind, found.status, found.mostBytes]).toEqual([expected.kind, expected.status, expected.mostBytes]);
});

test("numbers of pixels come along", async () => {
  const error = { reason: "too_large", detail: "too many pixels: 3", pixels: 3e6, most_pixels: 2e6 };
  const found = await reason(asking(json({ model, predictions: [{ error }] })).classifier);
  expect(found).toMatchObject({ counted: { pixels: 3e6, most_pixels: 2e6 } });
});

test("it is offered to try again only where that may help", () => {
  const may = (status: number) => new Failure("status", "", status).mayPass;
  expect([0, 401, 408, 429, 500, 503].map(may)).toEqual(Array(6).fill(true));
  expect([400, 403, 404, 413, 421, 422].map(may)).toEqual(Array(6).fill(false));
  expect(new Failure("exchanged").mayPass).toBe(false);
});

test("answers of another model than the page tells of are none", async () => {
  const other = { name: "a b", sha256: "1".repeat(64) };
  expect(await reason(asking(json({ model: other, predictions: [answer()] })).classifier)).toEqual(
    new Failure("exchanged"),
  );
});
