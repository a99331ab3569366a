/**
 * Builds what the Python package carries: each entry as one classic script, since a page opened by double click may
 * load no module. Writes to ../src/svertka/web_assets, or to the folder that is named; the same input gives the same
 * bytes.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, "../src/svertka/web_assets"));
const WASM = "ort-wasm-simd-threaded.wasm";

/** Entry points by the name of what is built of them. */
const entries = { "worker.js": "model/worker.ts", "page.js": "page/main.tsx", "course.js": "course/main.tsx" };

const packages = new Set(["onnxruntime-web"]);

for (const [name, entry] of Object.entries(entries)) {
  await build({
    root: here,
    configFile: false,
    logLevel: "warn",
    plugins: [{ name: "svertka", enforce: "pre", transform: withoutAddress, generateBundle }],
    define: { "process.env.NODE_ENV": '"production"' },
    build: {
      outDir: out,
      emptyOutDir: false,
      target: "es2022",
      assetsInlineLimit: 0,
      lib: {
        entry: join(here, entry),
        formats: ["iife"],
        name: "svertka",
        fileName: () => name,
        cssFileName: name.replace(".js", ""),
      },
    },
  });
}

mkdirSync(out, { recursive: true });
const wasm = readFileSync(join(here, "node_modules/onnxruntime-web/dist", WASM));
writeFileSync(join(out, `${WASM}.gz`), gzipSync(wasm, { level: 9 }));
writeFileSync(join(out, "LICENSES.txt"), licences());

/** ONNX Runtime is handed its wasm: without an address of its own it looks for no file, and none is built in. */
function withoutAddress(code, id) {
  return id.includes("onnxruntime-web") ? code.replaceAll("import.meta.url", '"https://svertka.invalid/"') : null;
}

function generateBundle() {
  for (const id of this.getModuleIds()) note(id);
}

/** Remembers the package that a module comes from. */
function note(id) {
  const found = [...id.matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)\//g)].at(-1);
  if (found) packages.add(found[1]);
}

/** Licences of what is built in, each with its package's name and version. */
function licences() {
  return [...packages]
    .sort()
    .map((name) => {
      const folder = join(here, "node_modules", name);
      const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      const files = [join(folder, "LICENSE"), join(here, "licences", `${name}.txt`)].filter((path) => existsSync(path));
      if (!files.length) throw new Error(`${name} has no licence file; add web/licences/${name}.txt.`);
      return `${name} ${version} (${license})\n\n${readFileSync(files[0], "utf8").trim()}\n`;
    })
    .join(`\n${"-".repeat(80)}\n\n`);
}
