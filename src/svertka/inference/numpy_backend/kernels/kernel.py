"""What kernels share: their interface, scratch memory, padded strips, and the end of a convolution.

Shapes: N batch, C/O channels in/out, H/W in, P/Q out, K/L kernel. Kernels see maps as [N, H, W, C].
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from svertka.engine.geometry import Window
from svertka.inference.numpy_backend.kernels.activations import Activation, in_place
from svertka.onnx_graph.graph import F32, Array

Run = Callable[[int], None]
"""Does a piece of work; it is told which worker does it."""

BLOCK = 1 << 16
"""Float32 numbers that a block of simple arithmetic works on: a quarter of a megabyte stays in a core's own cache."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a step that can run beside the step's other pieces.

    Attributes:
        run: does it.
        reads: the parts of the step's inputs that it reads.
        writes: the part of the output that it writes.
    """

    run: Run
    reads: Sequence[Array]
    writes: Array


@dataclass(frozen=True, slots=True)
class Kernel:
    """One way to compute a step.

    Attributes:
        scratch: float32 numbers that each worker needs.
        bind: takes the inputs, the output and one scratch array a worker, and gives the blocks.
    """

    scratch: int
    bind: Callable[[Sequence[Array], Array, Sequence[F32]], list[Piece]]


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution for maps of one size.

    Attributes:
        weight_OCKL: C are the channels of one group.
        bias_O: is added.
        window: how the kernels move.
        out_shape: [N, O, P, Q].
        activation: goes last.
        workers: that share the work.
    """

    weight_OCKL: F32
    bias_O: F32
    window: Window
    out_shape: tuple[int, ...]
    activation: Activation | None
    workers: int

    def of(self, outputs: slice) -> "Convolution":
        """The part that makes some channels of the output."""
        bias_O = self.bias_O[outputs]
        n, _, rows, columns = self.out_shape
        return replace(
            self, weight_OCKL=self.weight_OCKL[outputs], bias_O=bias_O, out_shape=(n, len(bias_O), rows, columns)
        )

    def finisher(self, outputs: slice = slice(None)) -> "Finish":
        """What ends it for some channels of the output."""
        return finisher(self.bias_O[outputs] if self.bias_O.any() else None, self.activation)


Finish = Callable[[Array, Array | None], None]
"""Takes a part of the output and that of the shortcut."""


class Carver:
    """Cuts arrays out of scratch memory, one after the other; each starts at a cache line."""

    def __init__(self, memory: F32) -> None:
        self.memory, self.used = memory, 0

    def take(self, *shape: int) -> F32:
        """The next array of these sizes, with what was in memory there."""
        start, size = self.used, size_of(*shape)
        self.used = start + round_up(size)
        return self.memory[start : start + size].reshape(shape)


def size_of(*shape: int) -> int:
    """Elements of an array."""
    return math.prod(shape)


def round_up(count: int) -> int:
    """Float32 numbers, rounded up to whole cache lines."""
    return -(-count // 16) * 16


def nhwc(x: Array) -> Array:
    """[N, C, H, W] as [N, H, W, C]."""
    return x.transpose(0, 2, 3, 1)


def on_pixels(kernel: Kernel) -> Kernel:
    """A kernel for [..., C], given maps [N, C, H, W]."""

    def bind(inputs: Sequence[Array], out: Array, scratch: Sequence[F32]) -> list[Piece]:
        return kernel.bind([nhwc(x) for x in inputs], nhwc(out), scratch)

    return Kernel(kernel.scratch, bind)


def finisher(bias_O: F32 | None, activation: Activation | None) -> Finish:
    """The end of a convolution on a block [..., O] of its output: adds bias and shortcut and applies the activation."""
    act = in_place(activation)

    def finish(y: Array, residual: Array | None) -> None:
        if bias_O is not None:
            np.add(y, bias_O, out=y)
        if residual is not None:
            np.add(y, residual, out=y)
        if act:
            act(y)

    return finish


def cuts(count: int, size: int, workers: int = 1) -> list[tuple[int, int]]:
    """Splits ``count`` places into even runs of at most ``size``: as many for each worker, if there are enough."""
    each = max(1, -(-count // (max(size, 1) * workers)))
    pieces = min(each * workers, count)
    edges = [count * piece // pieces for piece in range(pieces + 1)] if pieces else [0]
    return list(itertools.pairwise(edges))


def image_cuts(images: int, rows: int, size: int, workers: int) -> list[tuple[int, int]]:
    """Splits the rows of each image, so that all images together give each worker as many runs."""
    return cuts(rows, size, workers // math.gcd(images, workers))


def shares_outputs(rows: int, outputs: int, workers: int) -> bool:
    """Whether workers had better share the columns of a product [rows, outputs] than its rows.

    With few rows, a product spends its time on bringing the weights into BLAS's order, and half of the rows take as
    long as all of them (16 × 512 × 512: 0.85 of the time). Sharing columns, each worker brings only its own weights.
    """
    return workers > 1 and outputs >= 8 * rows


def output_cuts(outputs: int, workers: int) -> list[tuple[int, int]]:
    """Whole cache lines of outputs for each worker."""
    return [(a * 16, min(b * 16, outputs)) for a, b in cuts(-(-outputs // 16), outputs, workers)]


def copy_padded(strip: Array, x_HWC: Array, top: int, left: int) -> None:
    """Fills a strip [h, w, C] with the part of a map that begins at (top, left), with zeros where that lies outside."""
    rows, row = _inside(strip.shape[0], x_HWC.shape[0], top)
    columns, column = _inside(strip.shape[1], x_HWC.shape[1], left)
    strip[: rows.start] = 0
    strip[rows.stop :] = 0
    strip[rows, : columns.start] = 0
    strip[rows, columns.stop :] = 0
    strip[rows, columns] = x_HWC[row, column]


def _inside(length: int, size: int, start: int) -> tuple[slice, slice]:
    """The places of a run that lie on a map, within the run and on the map."""
    first, last = min(max(start, 0), size), max(min(start + length, size), 0)
    last = max(first, last)
    return slice(first - start, last - start), slice(first, last)


def windows(
    strip: Array, rows: int, columns: int, kernel: tuple[int, int], step: tuple[int, int], apart: tuple[int, int]
) -> Array:
    """All windows [rows, columns, K, L, C] of a strip [h, w, C], without a copy."""
    y, x, c = strip.strides
    strides = (y * step[0], x * step[1], y * apart[0], x * apart[1], c)
    shape = (rows, columns, *kernel, strip.shape[2])
    view: Array = np.lib.stride_tricks.as_strided(strip, shape, strides)
    return view


def no_scratch(blocks: Callable[[Sequence[Array], Array], list[Piece]]) -> Kernel:
    """A kernel that works in place."""

    def bind(inputs: Sequence[Array], out: Array, scratch: Sequence[Any]) -> list[Piece]:
        return blocks(inputs, out)

    return Kernel(0, bind)
