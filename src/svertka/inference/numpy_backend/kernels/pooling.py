"""Maximum and average pooling, first down the rows and then along the columns: K + L passes instead of K·L.

Shapes: N batch, C channels, H/W in, P/Q out, K/L kernel.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from svertka.engine.geometry import Window
from svertka.inference.numpy_backend.kernels.kernel import (
    BLOCK,
    Carver,
    Kernel,
    Piece,
    image_cuts,
    nhwc,
    round_up,
    size_of,
)
from svertka.onnx_graph.graph import F32, Array

_FEW = 4


def max_pool(window: Window, in_shape: tuple[int, ...], out_shape: tuple[int, ...], workers: int) -> Kernel:
    """The largest number of every window; padding never wins."""
    return _pool(np.maximum, window, in_shape, out_shape, workers, fill=-np.inf, scale_PQ=None)


def average_pool(
    window: Window,
    in_shape: tuple[int, ...],
    out_shape: tuple[int, ...],
    workers: int,
    counts_padding: bool,
    declared: tuple[int, int],
) -> Kernel:
    """The mean of every window; ``counts_padding``: padding counts as zeros, and not at all otherwise.

    ``declared`` is the padding after the last row and column that counts: the window may reach further ("ceil mode").
    """
    counted = [
        _numbers_seen(window, axis, in_shape[2 + axis], out_shape[2 + axis], counts_padding, declared[axis])
        for axis in (0, 1)
    ]
    scale_PQ = (1 / np.outer(*counted)).astype(np.float32)
    return _pool(np.add, window, in_shape, out_shape, workers, fill=0.0, scale_PQ=scale_PQ)


def _numbers_seen(window: Window, axis: int, size: int, places: int, counts_padding: bool, after: int) -> F32:
    """How many numbers count at each place along an axis."""
    low, high = (-window.before[axis], size + after) if counts_padding else (0, size)
    start, apart = np.arange(places) * window.stride[axis] - window.before[axis], window.dilation[axis]
    first = np.maximum(-((start - low) // apart), 0)
    last = np.minimum((high - 1 - start) // apart, window.kernel[axis] - 1)
    return np.asarray(last - first + 1, np.float32)


def _pool(
    combine: np.ufunc,
    window: Window,
    in_shape: tuple[int, ...],
    out_shape: tuple[int, ...],
    workers: int,
    fill: float,
    scale_PQ: Any,
) -> Kernel:
    n, channels, rows, columns = out_shape
    height, width = in_shape[2:]
    block_rows = max(1, BLOCK // (width * channels))

    def bind(inputs: Sequence[Array], out: Array, scratch: Sequence[F32]) -> list[Piece]:
        x_NHWC, out_NPQC = nhwc(inputs[0]), nhwc(out)
        return [
            block(x_NHWC[i], out_NPQC[i, a:b], a, scratch)
            for i in range(n)
            for a, b in image_cuts(n, rows, block_rows, workers)
        ]

    def block(x_HWC: Array, out_PQC: Array, first: int, scratch: Sequence[F32]) -> Piece:
        count = len(out_PQC)
        scale = None if scale_PQ is None else scale_PQ[first : first + count, :, None]
        folds = []
        for memory in scratch:
            folded = Carver(memory).take(count, width, channels)
            by_row = _fold(combine, fill, x_HWC, folded, 0, _taps(window, 0, first, count, height))
            by_column = _fold(combine, fill, folded, out_PQC, 1, _taps(window, 1, 0, columns, width))
            folds.append((by_row, by_column))

        def run(worker: int) -> None:
            for fold in folds[worker]:
                fold()
            if scale is not None:
                np.multiply(out_PQC, scale, out=out_PQC)

        top = first * window.stride[0] - window.before[0]
        return Piece(run, [x_HWC[max(top, 0) : max(top + window.span(0, count), 0)]], out_PQC)

    return Kernel(round_up(size_of(block_rows, width, channels)), bind)


def _taps(window: Window, axis: int, first: int, count: int, size: int) -> list[tuple[slice, slice]]:
    """For each element of a kernel along an axis: the outputs for which it lies on the map, and where it lies."""
    step, apart, taps = window.stride[axis], window.dilation[axis], []
    corner = first * step - window.before[axis]
    lowest = max(0, -((corner + (count - 1) * step) // apart))  # however large a kernel is, only what meets the map
    for element in range(lowest, min(window.kernel[axis], (size - 1 - corner) // apart + 1)):
        start = corner + element * apart
        begin, end = max(0, -(start // step)), min(count, (size - 1 - start) // step + 1)
        if begin < end:
            taps.append((slice(begin, end), slice(start + begin * step, start + (end - 1) * step + 1, step)))
    return taps


def _fold(
    combine: np.ufunc, fill: float, x: Array, out: Array, axis: int, taps: list[tuple[slice, slice]]
) -> Callable[[], None]:
    """Combines the windows along an axis into one number each; padding is left out, as it changes nothing.

    For few places in a window, whole arrays two by two are quicker than ``reduce``, for many they are not.
    """
    every = slice(0, out.shape[axis])
    whole = [_at(x, axis, seen) for places, seen in taps if places == every]
    parts = [(_at(out, axis, places), _at(x, axis, seen)) for places, seen in taps if places != every]
    stacked = None
    if len(whole) > _FEW:
        apart = whole[1].__array_interface__["data"][0] - whole[0].__array_interface__["data"][0]
        stacked = np.lib.stride_tricks.as_strided(
            whole[0], (len(whole), *whole[0].shape), (apart, *whole[0].strides), writeable=False
        )

    def run() -> None:
        if stacked is not None:
            combine.reduce(stacked, axis=0, out=out)
        elif len(whole) > 1:
            combine(whole[0], whole[1], out=out)
            for source in whole[2:]:
                combine(out, source, out=out)
        else:
            np.copyto(out, whole[0] if whole else fill)
        for target, source in parts:
            combine(target, source, out=target)

    return run


def _at(x: Array, axis: int, places: slice) -> Array:
    """Some places along the first or the second axis."""
    return x[places] if axis == 0 else x[:, places]
