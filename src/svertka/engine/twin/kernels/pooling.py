"""Maximum and average pooling, first down the rows and then along the columns: K + L passes instead of K·L.

Shapes: N batch, C channels, H/W in, P/Q out, K/L kernel.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from svertka.engine.geometry import NO_PADS, Window
from svertka.engine.twin.graph import F32, Array
from svertka.engine.twin.kernels.base import (
    BLOCK,
    Block,
    Carver,
    Kernel,
    copy_padded,
    image_cuts,
    nhwc,
    round_up,
    size_of,
)

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
    """The mean of every window.

    Args:
        window: how the kernel moves.
        in_shape: [N, C, H, W].
        out_shape: [N, C, P, Q].
        workers: that share the rows.
        counts_padding: whether padding counts as zeros, or not at all.
        declared: padding after the last row and column that counts; ``window`` may reach further ("ceil mode").
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
    taps = np.arange(window.kernel[axis]) * window.dilation[axis]
    at = np.arange(places)[:, None] * window.stride[axis] - window.before[axis] + taps
    return np.asarray(((at >= low) & (at < high)).sum(axis=1), np.float32)


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
    (down, across), (apart_y, apart_x) = window.stride, window.dilation
    (height, length), width = window.kernel, in_shape[3]
    padded_width = window.span(1, columns)
    needs_strip = window.pads != NO_PADS
    block_rows = max(1, BLOCK // (max(width, padded_width) * channels))
    strip_rows = window.span(0, block_rows)
    used_width = padded_width if needs_strip else width

    def bind(inputs: Sequence[Array], out: Array, scratch: Sequence[F32]) -> list[Block]:
        x_NHWC, out_NPQC = nhwc(inputs[0]), nhwc(out)
        return [
            block(x_NHWC[i], out_NPQC[i, a:b], a, scratch)
            for i in range(n)
            for a, b in image_cuts(n, rows, block_rows, workers)
        ]

    def block(x_HWC: Array, out_PQC: Array, first: int, scratch: Sequence[F32]) -> Block:
        count, top, left = len(out_PQC), first * down - window.before[0], -window.before[1]
        scale = None if scale_PQ is None else scale_PQ[first : first + count, :, None]
        parts = []
        for memory in scratch:
            carver = Carver(memory)
            strip = carver.take(window.span(0, count), padded_width, channels) if needs_strip else x_HWC[top:]
            folded = carver.take(count, used_width, channels)
            # Every window along one axis, then along the other: [count, K, w, C] and [count, Q, L, C].
            by_row = _sliding(strip, 0, count, height, down, apart_y)
            by_column = _sliding(folded, 1, columns, length, across, apart_x)
            parts.append((strip, folded, by_row, by_column))

        def run(worker: int) -> None:
            strip, folded, by_row, by_column = parts[worker]
            if needs_strip:
                copy_padded(strip, x_HWC, top, left, fill)
            _combine(combine, by_row, 1, folded)
            _combine(combine, by_column, 2, out_PQC)
            if scale is not None:
                np.multiply(out_PQC, scale, out=out_PQC)

        return Block(run, [x_HWC[max(top, 0) : max(top + window.span(0, count), 0)]], out_PQC)

    return Kernel(
        round_up(size_of(strip_rows, padded_width, channels)) + round_up(size_of(block_rows, used_width, channels)),
        bind,
    )


def _sliding(x: Array, axis: int, places: int, size: int, step: int, apart: int) -> Array:
    """Windows along one axis, as one more axis behind it; no copy."""
    shape = (*x.shape[:axis], places, size, *x.shape[axis + 1 :])
    strides = (*x.strides[:axis], x.strides[axis] * step, x.strides[axis] * apart, *x.strides[axis + 1 :])
    return np.lib.stride_tricks.as_strided(x, shape, strides)


def _combine(combine: np.ufunc, windows: Array, axis: int, out: Array) -> None:
    """Folds an axis. For few places, whole arrays two by two are quicker than ``reduce``, for many they are not."""
    if windows.shape[axis] > _FEW:
        combine.reduce(windows, axis=axis, out=out)
        return
    first, *rest = np.moveaxis(windows, axis, 0)
    np.copyto(out, first)
    for part in rest:
        combine(out, part, out=out)
