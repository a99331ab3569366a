/** Builds into a folder of its own and compares: what is committed must be what the sources give. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const committed = join(here, "../src/svertka/web_assets");
const built = mkdtempSync(join(tmpdir(), "svertka-web-"));
try {
  const { status } = spawnSync(process.execPath, [join(here, "build.mjs"), built], { stdio: "inherit" });
  if (status !== 0) process.exit(1);
  const names = new Set([...readdirSync(committed), ...readdirSync(built)]);
  const different = [...names].filter((name) => !same(name)).sort();
  if (different.length) {
    console.error(`src/svertka/web_assets is not what web/ builds: ${different.join(", ")}. Run: make web`);
    process.exit(1);
  }
} finally {
  rmSync(built, { recursive: true });
}

/** Compressed files by their content: another zlib compresses otherwise. */
function same(name) {
  try {
    const [a, b] = [committed, built].map((folder) => readFileSync(join(folder, name)));
    return name.endsWith(".gz") ? gunzipSync(a).equals(gunzipSync(b)) : a.equals(b);
  } catch {
    return false;
  }
}
