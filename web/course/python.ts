/** Python that says what a page shows. */
import { short } from "./address";
import type { Matrix } from "./maths/matrix";

/** A row a line. */
export function array(matrix: Matrix): string {
  const lines = matrix.map((line) => `[${line.map(short).join(", ")}]`);
  return `np.array([\n${lines.map((line) => `    ${line},\n`).join("")}])`;
}

export const PYTHON_CONVOLUTION = `def convolution2d(image, kernel, padding=0, stride=1):
    image = np.pad(image, padding)
    height, width = kernel.shape
    rows = (image.shape[0] - height) // stride + 1
    columns = (image.shape[1] - width) // stride + 1
    output = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            window = image[top : top + height, left : left + width]
            output[i, j] = np.sum(window * kernel)
    return output
`;
