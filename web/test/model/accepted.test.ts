import { expect, test } from "vitest";
import { ACCEPTED } from "../../model/accepted";

test("the dialogue offers kinds by their types and endings, and no others", () => {
  const offered = ACCEPTED.split(",");
  expect(offered.every((one) => /^(image\/[a-z]+|\.[a-z]+)$/.test(one))).toBe(true);
  expect(offered).toEqual(expect.arrayContaining(["image/jpeg", "image/png", "image/tiff", ".tif"]));
  for (const unread of ["image/*", ".jp2", ".psd", ".pgm", ".ico"]) expect(offered).not.toContain(unread);
});
