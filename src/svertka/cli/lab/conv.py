"""``svertka lab conv``: one kernel over one image, the sizes and the arithmetic behind them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from svertka.cli import output
from svertka.cli.lab.picture import Tile, as_light, read_image, sheet, size_of
from svertka.cli.options import ImageFile
from svertka.engine import filters
from svertka.engine.arrays import Array
from svertka.engine.geometry import Padding, Window
from svertka.errors import ConfigError
from svertka.viz.drawing import save_png
from svertka.viz.heatmap import diverging, gray


def conv(
    image: ImageFile,
    name: Annotated[str, typer.Option("--filter", help="Kernel by name; svertka lab filters shows all.")] = "sobel_x",
    stride: Annotated[int, typer.Option(help="Pixels from one output to the next.")] = 1,
    padding: Annotated[str, typer.Option(help="Pixels of zeros on each side, or same, or valid.")] = "same",
    flip: Annotated[bool, typer.Option("--flip", help="Turn the kernel: true convolution.")] = False,
    at: Annotated[str, typer.Option(help="ROW,COL of an output pixel: show its arithmetic.")] = "",
    out: Annotated[str, typer.Option(help="PNG file to write.")] = "",
) -> None:
    """Prints how the output's size comes about, and that of one pixel; draws input, kernel and output."""
    named, pad, place = filters.named(name), _padding(padding), _position(at) if at else None
    target = output.picture_to(out, [image]) if out else None
    pixels = read_image(image)
    kernel = named.kernel[::-1, ::-1] if flip else named.kernel
    how = "true convolution (kernel turned)" if flip else "cross-correlation, as in deep learning"
    result = filters.correlate(pixels, kernel, stride=stride, padding=pad, padding_mode="zeros")
    arithmetic = list(_arithmetic(pixels, kernel, place, stride, pad)) if place else []  # first: it may be refused
    print(
        f"Image   {Path(image).name}: {size_of(pixels)}, {'gray' if pixels.ndim == 2 else 'RGB, each colour by itself'}"
    )
    print(f"Kernel  {name}, {kernel.shape[0]} × {kernel.shape[1]}: {named.shows}; {how}")
    window = replace(Window.of(kernel.shape, stride), pads=Window.of(kernel.shape, 1, pad).pads)
    for axis, word in enumerate(("rows", "columns")):
        print(f"{'Output' if axis == 0 else '':7} {word:8}{_size_arithmetic(pixels.shape[axis], window, axis)}")
    if any(sum(pads) for pads in window.pads):
        print("Border  zeros lie beyond the image, as in a network's layer, so edge filters answer along it")
    for line in arithmetic:
        print(line)
    if target:
        _draw(image, name, pixels, kernel, result, target)
        print(f"Picture {target}")


def _size_arithmetic(size: int, window: Window, axis: int) -> str:
    """The formula with its numbers: ``(300 + 1 + 1 - 3) / 2 + 1 = 150.5, rounded down 150``."""
    (before, after), kernel, stride = window.pads[axis], window.kernel[axis], window.stride[axis]
    exact = (size + before + after - kernel) / stride + 1
    rounded = f"{exact:g}" if exact == int(exact) else f"{exact:g}, rounded down {int(exact)}"
    return f"({size} + {before} + {after} - {kernel}) / {stride} + 1 = {rounded}"


def _arithmetic(pixels: Array, kernel: Array, at: tuple[int, int], stride: int, padding: Padding) -> Iterator[str]:
    planes = [("gray", pixels)] if pixels.ndim == 2 else [(c, pixels[:, :, n]) for n, c in enumerate("RGB")]
    for colour, plane in planes:
        found = filters.explain(plane, kernel, at, stride=stride, padding=padding, padding_mode="zeros")
        (top, bottom), (left, right) = found.rows, found.columns
        yield f"\nOutput {at[0]},{at[1]} ({colour}): input rows {top} to {bottom - 1}, columns {left} to {right - 1}"
        for title, matrix in (("window", found.window), ("× kernel", found.kernel), ("= products", found.products)):
            yield f"{title}\n{_table(matrix)}"
        yield f"sum = {_number(found.total)}"


def _table(matrix: Array) -> str:
    cells = [[_number(value) for value in row] for row in matrix.tolist()]
    width = max(len(cell) for row in cells for cell in row)
    return "\n".join("  " + " ".join(cell.rjust(width) for cell in row) for row in cells)


def _number(value: float) -> str:
    """Up to four digits after the point, none that say nothing."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _draw(image: str, name: str, pixels: Array, kernel: Array, result: Array, target: Path) -> None:
    signed = bool((kernel < 0).any()) and abs(kernel.sum()) < 0.5
    shown: NDArray[np.uint8] = diverging(gray(result)) if signed else as_light(result)
    side = 420 if pixels.shape[0] < 2 * pixels.shape[1] else 300
    tiles = [
        Tile(as_light(pixels), Path(image).name, size_of(pixels)),
        Tile(diverging(kernel), f"kernel {name}", f"{kernel.shape[1]} × {kernel.shape[0]}; blue below 0, red above"),
        Tile(shown, "output", f"{size_of(result)}{'; blue below 0, red above' if signed else ''}"),
    ]
    title = f"{name} on {Path(image).name}"
    save_png(sheet(title, filters.named(name).shows, {"": tiles}, columns=3, box_px=(side, 300)), target)


def _padding(text: str) -> Padding:
    if text in ("same", "valid"):
        return "same" if text == "same" else "valid"
    if not text.removeprefix("-").isdecimal():
        raise ConfigError(f"padding is {text!r}; expected a number of pixels, same or valid.")
    return int(text)


def _position(text: str) -> tuple[int, int]:
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise ConfigError(f"--at is {text!r}; expected ROW,COL of an output pixel, such as 10,20.")
    return int(parts[0]), int(parts[1])
