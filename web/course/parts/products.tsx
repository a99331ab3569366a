import type { Translator } from "../../page/translator";
import { addition, factor, figure } from "../figures";
import type { Matrix, Place } from "../maths/matrix";

interface ProductsProps {
  tr: Translator;
  at: Place;
  window: Matrix;
  kernel: Matrix;
  products: Matrix;
  total: number;
}

/** The window, the weights, their products and the sum: where one output comes from. */
export function Products({ tr, at, window, kernel, products, total }: ProductsProps) {
  return (
    <div class="worked">
      <h3>{tr.text("site.convolution.comes", { row: at[0] + 1, column: at[1] + 1 })}</h3>
      <div class="terms" style={{ "--columns": String(kernel[0]!.length) }}>
        {window.flatMap((line, k) =>
          line.map((value, l) => (
            <span key={`${k},${l}`} class={products[k]![l] === 0 ? "nothing" : ""}>
              {factor(tr, value)}·{factor(tr, kernel[k]![l]!)} = <b>{figure(tr, products[k]![l]!)}</b>
            </span>
          )),
        )}
      </div>
      <p class="sum">
        {addition(tr, products.flat())} = <b id="total">{figure(tr, total)}</b>
      </p>
    </div>
  );
}

/** `1·1 + 0·0 + …`. */
export function multiplied(tr: Translator, window: Matrix, kernel: Matrix, sign = "·"): string {
  const products = window.flatMap((line, k) =>
    line.map((value, l) => `${factor(tr, value)}${sign}${factor(tr, kernel[k]![l]!)}`),
  );
  return products.join(" + ");
}

/** Where one output comes from, as it is said. */
export function spoken(tr: Translator, at: Place, window: Matrix, kernel: Matrix, total: number): string {
  const sum = multiplied(tr, window, kernel, " × ");
  return tr.text("site.grid.spoken", { row: at[0] + 1, column: at[1] + 1, sum, total: figure(tr, total) });
}
