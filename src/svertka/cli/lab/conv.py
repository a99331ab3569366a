"""``svertka lab conv``: one kernel over a matrix or an image, the sizes and the arithmetic behind them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from svertka.cli import output
from svertka.cli.lab.boxes import Box, beside, cells_of, fits, printable, titled
from svertka.cli.lab.picture import Tile, as_light, sheet
from svertka.cli.lab.typed_numbers import GivenKernel, Plane, place, read_kernel, read_plane, window_of
from svertka.cli.lab.windows import checked_output, marks, seen_by, size_lines, size_of_plane
from svertka.cli.lab.words import added, labelled, number, print_paragraph, size_text, tidy, words, wrapped
from svertka.cli.options import At, Input, Language, Padding, PictureFile, Stride
from svertka.engine import filters
from svertka.engine.arrays import Array
from svertka.engine.geometry import NO_PADS, Pair, Window
from svertka.viz.drawing import save_png
from svertka.viz.heatmap import Pixels, diverging, gray

_MOST_TERMS = 49


def conv(
    source: Input,
    kernel: Annotated[
        str,
        typer.Option(
            "--kernel",
            "--filter",
            metavar="KERNEL",
            help='"1,0,-1;2,0,-2;1,0,-1", a CSV file, or a name (svertka lab filters).',
        ),
    ] = "sobel_x",
    stride: Stride = "1",
    padding: Padding = "0",
    flip: Annotated[bool, typer.Option("--flip", help="Turn the kernel by 180 degrees: true convolution.")] = False,
    at: At = "",
    out: PictureFile = "",
    language: Language = "",
) -> None:
    """Prints how the output's size comes about, all cells where they fit, and the arithmetic of one."""
    target = output.picture_to(out, [source, kernel]) if out else None
    used = read_kernel(kernel)
    plane = read_plane(source)
    laid = used.array[::-1, ::-1] if flip else used.array
    window = window_of(size_of_plane(laid), stride, padding)
    result_size = checked_output(window, size_of_plane(plane.pixels))
    spot = place(at, result_size) if at else None
    print("\n".join(_facts(plane, used, window, flip=flip, result_size=result_size)))
    is_whole = True
    for n, (letter, numbers) in enumerate(plane.planes()):
        padded = np.pad(numbers.astype(np.float64), window.pads)
        boxes = [_input(numbers, window, spot, letter), _output(padded, laid, window, spot, letter)]
        boxes[1:1] = [] if n else [_kernel(laid)]
        is_whole &= len(printable(boxes)) == len(boxes)
        print_paragraph(beside(printable(boxes)))
        if spot:
            print_paragraph(_at(padded, laid, window, spot, letter))
    if not spot:
        print_paragraph(wrapped(words("hint_at" if is_whole else "hint_large")))
    if target:
        _draw(plane, used, laid, _correlated(plane.pixels, laid, window), target)
        print(f"\n{labelled('picture', str(target))}")


def _correlated(pixels: Array, kernel: Array, window: Window) -> Array:
    """The engine's answer for a whole image; zeros lie beyond the border."""
    (top, bottom), (left, right) = window.pads
    padded = np.pad(pixels, ((top, bottom), (left, right), *([(0, 0)] * (pixels.ndim - 2))))
    return filters.correlate(padded, kernel, stride=window.stride, padding="valid")


def _facts(plane: Plane, used: GivenKernel, window: Window, *, flip: bool, result_size: Pair) -> Iterator[str]:
    yield plane.about()
    turned = words("conv.turned" if flip else "conv.as_is")
    shows = "" if used.is_own else f"; {used.about()}"
    total = float(used.array.sum())
    brighter = plane.is_image and used.is_own and abs(total) > 1.05
    more = [words("conv.brighter", total=number(total))] if brighter else []
    yield labelled("kernel", f"{used.name}, {size_text(window.kernel)}{shows}", turned, *more)
    formula = size_lines(size_of_plane(plane.pixels), window, words("conv.formula"))
    yield labelled("output", size_text(result_size), *formula)
    yield labelled("border", words("border.zeros" if any(map(any, window.pads)) else "border.none"))


def _input(plane: Array, window: Window, spot: Pair | None, letter: str) -> Box | None:
    """With its padding; in brackets what one output sees."""
    size = size_of_plane(plane)
    padded = window.padded_size(size)
    if not fits(padded):
        return None
    return Box(titled("label.input", letter, size, padded), cells_of(plane, window.pads), marks(window, spot))


def _kernel(kernel: Array) -> Box | None:
    size = size_of_plane(kernel)
    return Box(titled("label.kernel", "", size), cells_of(kernel)) if fits(size) else None


def _output(padded: Array, kernel: Array, window: Window, spot: Pair | None, letter: str) -> Box | None:
    """Each cell as the sum of its products, so that it is what ``--at`` shows."""
    size = replace(window, pads=NO_PADS).output_size(size_of_plane(padded))
    if not fits(size):
        return None
    largest = float(np.abs(padded).max() * np.abs(kernel).max())
    sums = [[_explained(padded, kernel, (p, q), window).total for q in range(size[1])] for p in range(size[0])]
    return Box(titled("label.output", letter, size), cells_of(tidy(np.array(sums), largest)), {spot} if spot else ())


def _explained(padded: Array, kernel: Array, spot: Pair, window: Window) -> filters.Arithmetic:
    return filters.explain(padded, kernel, spot, stride=window.stride, padding="valid")


def _at(padded: Array, kernel: Array, window: Window, spot: Pair, letter: str) -> Iterator[str]:
    """The window, the kernel, their products and the sum."""
    found = _explained(padded, kernel, spot, window)
    yield from wrapped(seen_by(spot, window, letter))
    titles = (words("window"), words("label.kernel"), words("products"))
    matrices = (found.window, found.kernel, found.products)
    boxes = [Box(title, cells_of(matrix)) for title, matrix in zip(titles, matrices, strict=True)]
    if len(printable(boxes)) == len(boxes):
        yield from beside(boxes, ("×", "="))
    total = tidy(np.array(found.total), float(np.abs(found.products).max()))
    terms = added(found.products.ravel().tolist())
    sums = terms if found.products.size <= _MOST_TERMS else words("sum_of", n=found.products.size)
    yield from wrapped(f"{words('sum')} = {sums} = {number(float(total))}")


def is_signed(kernel: Array) -> bool:
    """Whether outputs around zero are what a kernel is about, and not brightness."""
    return bool((kernel < 0).any()) and float(kernel.sum()) < 0.5


def _draw(plane: Plane, used: GivenKernel, kernel: Array, result: Array, target: Path) -> None:
    signed = is_signed(kernel) or not plane.is_image
    shown: Pixels = diverging(gray(result)) if signed else as_light(result)
    given = as_light(plane.pixels) if plane.is_image else diverging(plane.pixels)
    side = 420 if plane.pixels.shape[0] < 2 * plane.pixels.shape[1] else 300
    note = f"; {words('blue_red')}" if signed else ""
    kernel_note = f"{size_text(kernel.shape)}; {words('blue_red')}"
    tiles = [
        Tile(given, plane.name, plane.size(plane.pixels)),
        Tile(diverging(kernel), f"{words('label.kernel')}: {used.name}", kernel_note),
        Tile(shown, words("label.output"), f"{plane.size(result)}{note}"),
    ]
    title = words("conv.title", kernel=used.name, name=plane.name)
    save_png(sheet(title, used.about(), {"": tiles}, columns=3, box_px=(side, 300)), target)
