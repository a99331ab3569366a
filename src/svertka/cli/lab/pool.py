"""``svertka lab pool``: the maximum or the mean of each window of a matrix or an image, and which number won."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from svertka.cli import output
from svertka.cli.lab.boxes import Box, beside, cells_of, fits, printable, titled
from svertka.cli.lab.picture import Tile, as_light, sheet
from svertka.cli.lab.typed_numbers import Plane, place, read_plane, whole_pair, window_of
from svertka.cli.lab.windows import check_half, checked_output, is_uneven, marks, seen_by, size_lines, size_of_plane
from svertka.cli.lab.words import (
    added,
    labelled,
    listed,
    number,
    print_paragraph,
    sides_text,
    size_text,
    words,
    wrapped,
)
from svertka.cli.options import At, Input, Language, Padding, PictureFile
from svertka.engine import pooling
from svertka.engine.arrays import Array
from svertka.engine.geometry import Pair, Window
from svertka.errors import ConfigError
from svertka.viz.drawing import save_png
from svertka.viz.heatmap import diverging

Kind = Literal["max", "mean"]
_KINDS: dict[str, Kind] = {"max": "max", "mean": "mean", "avg": "mean", "average": "mean"}
_MOST_TOLD, _MOST_TERMS = 16, 25
"""Outputs whose arithmetic is told without being asked for, and numbers in a window that are listed."""


def pool(
    source: Input,
    window: Annotated[str, typer.Option(metavar="N", help="Its side, or rows and columns such as 2x3.")] = "2",
    stride: Annotated[str, typer.Option(metavar="N", help="To the next window [default: the window's side].")] = "",
    padding: Padding = "0",
    kind: Annotated[str, typer.Option(metavar="KIND", help="max or mean.")] = "max",
    at: At = "",
    out: PictureFile = "",
    language: Language = "",
) -> None:
    """Prints how the output's size comes about, all cells where they fit, and how each output does."""
    target = output.picture_to(out, [source]) if out else None
    if (word := kind.strip().lower()) not in _KINDS:
        raise ConfigError(words("error.kind", text=kind))
    how, side = _KINDS[word], whole_pair(window, "--window", 1)
    moved = window_of(side, stride or size_text(side), padding)
    if is_uneven(moved):
        raise ConfigError(words("error.uneven", window=size_text(side)))
    check_half(moved, padding)
    plane = read_plane(source)
    result_size = checked_output(moved, size_of_plane(plane.pixels))
    spot = place(at, result_size) if at else None
    print("\n".join(_facts(plane, moved, how, result_size)))
    is_whole = True
    for letter, numbers in plane.planes():
        exact = numbers.astype(np.float64)
        boxes = [_input(exact, moved, how, spot, letter), _output(exact, moved, how, spot, letter)]
        is_whole &= len(printable(boxes)) == len(boxes)
        print_paragraph(beside(printable(boxes), "→"))
        if boxes[0] and boxes[0].marked and not spot:
            print("\n".join(wrapped(words("pool.brackets"))))
        print_paragraph(_told(exact, moved, how, spot, letter))
    if not spot and result_size[0] * result_size[1] > _MOST_TOLD:
        print_paragraph(wrapped(words("hint_at" if is_whole else "hint_large")))
    if target:
        _draw(plane, _pooled(plane.pixels, moved, how), words(f"pool.{how}", size=size_text(side)), target)
        print(f"\n{labelled('picture', str(target))}")


def _pooled(pixels: Array, window: Window, kind: Kind) -> Array:
    """The engine's answer, [P, Q] or [P, Q, C]."""
    x_1CHW = np.atleast_3d(pixels).transpose(2, 0, 1)[None]
    reduce = pooling.max_pool2d if kind == "max" else pooling.avg_pool2d
    y_PQC: Array = reduce(x_1CHW, window.kernel, window.stride, window.before)[0].transpose(1, 2, 0)
    return y_PQC.squeeze(2) if pixels.ndim == 2 else y_PQC


def _facts(plane: Plane, window: Window, kind: Kind, result_size: Pair) -> Iterator[str]:
    yield plane.about()
    steps = words("stride", n=sides_text(window.stride))
    yield labelled("window", f"{words(f'pool.{kind}', size=size_text(window.kernel))}, {steps}")
    formula = size_lines(size_of_plane(plane.pixels), window, words("pool.formula"))
    yield labelled("output", size_text(result_size), *formula)
    yield labelled("border", words(f"border.{kind}" if any(map(any, window.pads)) else "border.none"))


def _input(plane: Array, window: Window, kind: Kind, spot: Pair | None, letter: str) -> Box | None:
    """With its padding; in brackets the winners, or the window of one output."""
    size = size_of_plane(plane)
    padded = window.padded_size(size)
    if not fits(padded):
        return None
    marked = marks(window, spot) if spot else _winners(plane, window, kind)
    title = titled("label.input", letter, size, padded)
    return Box(title, cells_of(plane, window.pads), marked, _lines(window, padded))


def _output(plane: Array, window: Window, kind: Kind, spot: Pair | None, letter: str) -> Box | None:
    size = window.output_size(size_of_plane(plane))
    if not fits(size):
        return None
    cells = cells_of(_pooled(plane, window, kind))
    return Box(titled("label.output", letter, size), cells, {spot} if spot else ())


def _winners(plane: Array, window: Window, kind: Kind) -> set[Pair]:
    """Their places in the padded input."""
    if kind == "mean":
        return set()
    (top, left), (P, Q) = window.before, window.output_size(size_of_plane(plane))
    found = [_explained(plane, window, kind, (p, q)).winner for p in range(P) for q in range(Q)]
    return {(place[0] + top, place[1] + left) for place in found if place}


def _lines(window: Window, padded: Pair) -> tuple[range, range]:
    """Between windows that lie side by side in a padded input of this size."""
    if window.stride != window.kernel:
        return range(0), range(0)
    (rows, columns), (K, L) = padded, window.kernel
    return range(K, rows, K), range(L, columns, L)


def _explained(plane: Array, window: Window, kind: Kind, spot: Pair) -> pooling.Pooled:
    return pooling.explain(plane, window.kernel, spot, stride=window.stride, padding=window.before, kind=kind)


def _told(plane: Array, window: Window, kind: Kind, spot: Pair | None, letter: str) -> Iterator[str]:
    """How one output comes about, or all of a few."""
    if spot:
        yield from wrapped(seen_by(spot, window, letter))
        yield from wrapped(_sum(_explained(plane, window, kind, spot), kind))
        return
    P, Q = window.output_size(size_of_plane(plane))
    for p in range(P if P * Q <= _MOST_TOLD else 0):
        for q in range(Q):
            yield from wrapped(f"({p}, {q})  {_sum(_explained(plane, window, kind, (p, q)), kind)}")


def _sum(found: pooling.Pooled, kind: Kind) -> str:
    """Such as ``max(1, 3, 5, 6) = 6, row 1, column 1``, with what the padding holds."""
    numbers = found.window.ravel().tolist()
    if kind == "mean":
        terms = added(numbers) if len(numbers) <= _MOST_TERMS else words("sum_of", n=len(numbers))
        return f"({terms}) / {len(numbers)} = {number(found.value)}"
    inside = [number(value) for value in numbers if value > -np.inf]
    terms = listed(inside) if len(inside) <= _MOST_TERMS else words("numbers", n=len(inside))
    assert found.winner
    where = words("pool.winner", row=str(found.winner[0]), column=str(found.winner[1]))
    ties = f", {words('pool.ties', n=found.ties)}" if found.ties > 1 else ""
    return f"max({terms}) = {number(found.value)}: {where}{ties}"


def _draw(plane: Plane, result: Array, what: str, target: Path) -> None:
    drawn = as_light if plane.is_image else diverging
    tiles = [
        Tile(drawn(plane.pixels), plane.name, plane.size(plane.pixels)),
        Tile(drawn(result), words("label.output"), plane.size(result)),
    ]
    save_png(sheet(what, plane.name, {"": tiles}, columns=2, box_px=(420, 300)), target)
