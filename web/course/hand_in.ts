/** A page to hand in: five kernels and what they make of the learner's picture, complete in itself. */
import { download } from "../page/download";
import { shown } from "../page/shown";
import type { Translator } from "../page/translator";
import { figure } from "./figures";
import type { Matrix } from "./maths/matrix";
import { inColour, type Pixels } from "./paint";
import { filtered } from "./filtering";
import type { Photograph } from "./photograph";

/** Has the browser save the page. */
export function handIn(tr: Translator, photograph: Photograph, kernels: readonly Matrix[]): void {
  const picture = (pixels: Pixels) => dataAddress(photograph, pixels);
  const own = kernels.map((kernel) => ({ kernel, address: picture(filtered(photograph, kernel)) }));
  const html = page(tr, picture(inColour(photograph.planes)), photograph.name, own);
  download("five-filters.html", html, "text/html");
}

interface Own {
  kernel: Matrix;
  /** Of its picture. */
  address: string;
}

export function page(tr: Translator, picture: string, name: string, own: readonly Own[]): string {
  const title = escaped(tr.text("site.filters.five"));
  const sections = own.map(
    ({ kernel, address }, number) => `<section><h2>${escaped(tr.text("site.filters.own", { number: number + 1 }))}</h2>
<table>${kernel.map((line) => `<tr>${line.map((value) => `<td>${figure(tr, value, 4)}</td>`).join("")}</tr>`).join("")}</table>
<img src="${address}" alt=""></section>`,
  );
  return `<!doctype html>
<html lang="${tr.language}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:900px;margin:24px auto;padding:0 16px}section{break-inside:avoid}
td{border:1px solid #999;min-width:3em;padding:6px;text-align:center}table{border-collapse:collapse;float:left;margin:0 24px 12px 0}
section{overflow:hidden}img{max-width:100%}</style>
<h1>${title}</h1>
<p>${escaped(name ? shown(name) : tr.text("site.image.drawn"))}</p>
<img src="${picture}" alt="">
${sections.join("\n")}
</html>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

function dataAddress({ width, height }: Photograph, pixels: Pixels): string {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d")!.putImageData(new ImageData(pixels, width, height), 0, 0);
  return canvas.toDataURL("image/png");
}
