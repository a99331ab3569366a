"""Depthwise convolution: every channel has a kernel of its own, so there is no matrix product, only multiply and add.

``einsum`` over windows multiplies and adds in one pass over neighbouring channels, 2 to 4 times as fast as two ufunc
calls for each place in the kernel. Its inner loop is as long as there are channels; where these are few, several pixels
join in.

Shapes: N batch, C channels, P/Q out, K/L kernel.
"""

from collections.abc import Sequence

import numpy as np

from svertka.inference.numpy_backend.kernels.kernel import (
    Carver,
    Convolution,
    Kernel,
    Piece,
    copy_padded,
    image_cuts,
    nhwc,
    round_up,
    size_of,
    windows,
)
from svertka.onnx_graph.graph import F32, Array

_LONGEST = 1024  # numbers of an inner loop: longer ones gain little, and the repeated kernels should stay in the cache
_BLOCK = 1 << 17  # float32 numbers of output of a block


def depthwise(conv: Convolution) -> Kernel:
    """A convolution with as many groups as channels in and out."""
    window = conv.window
    n, channels, rows, columns = conv.out_shape
    joined = _joined_pixels(columns, channels) if window.stride[1] == 1 and window.dilation[1] == 1 else 1
    weight_KLX = np.tile(np.ascontiguousarray(conv.weight_OCKL[:, 0].transpose(1, 2, 0)), joined)
    finish = conv.finisher()
    width = window.span(1, columns)
    block_rows = max(1, _BLOCK // (columns * channels))
    pieces = image_cuts(n, rows, block_rows, conv.workers)
    height = window.span(0, block_rows)

    def bind(inputs: Sequence[Array], out: Array, scratch: Sequence[F32]) -> list[Piece]:
        x_NHWC, out_NPQC = nhwc(inputs[0]), nhwc(out)
        residual = nhwc(inputs[1]) if len(inputs) > 1 else None
        return [
            block(x_NHWC[image], out_NPQC[image, a:b], None if residual is None else residual[image, a:b], a, scratch)
            for image in range(n)
            for a, b in pieces
        ]

    def block(x_HWC: Array, out_PQC: Array, residual: Array | None, first: int, scratch: Sequence[F32]) -> Piece:
        count = len(out_PQC)
        top, left = first * window.stride[0] - window.before[0], -window.before[1]
        parts = []
        for memory in scratch:
            strip = Carver(memory).take(window.span(0, count), width, channels)
            seen = windows(strip, count, columns, window.kernel, window.stride, window.dilation)
            parts.append((strip, _join(seen, joined)))
        in_place = out_PQC.strides[1:] == (channels * out_PQC.itemsize, out_PQC.itemsize)
        target = out_PQC.reshape(count, columns // joined, joined * channels) if in_place else None

        def run(worker: int) -> None:
            strip, seen = parts[worker]
            copy_padded(strip, x_HWC, top, left)
            if target is not None:
                np.einsum("pqklx,klx->pqx", seen, weight_KLX, out=target)
            else:  # the output is a part of wider pixels
                out_PQC[...] = np.einsum("pqklx,klx->pqx", seen, weight_KLX).reshape(out_PQC.shape)
            finish(out_PQC, residual)

        seen_rows = x_HWC[max(top, 0) : max(top + window.span(0, count), 0)]
        return Piece(run, [seen_rows] if residual is None else [seen_rows, residual], out_PQC)

    return Kernel(round_up(size_of(height, width, channels)), bind)


def _joined_pixels(columns: int, channels: int) -> int:
    """How many neighbouring pixels are worked on as one: a divisor of the row."""
    return max(
        count
        for count in range(1, columns + 1)
        if columns % count == 0 and (count == 1 or count * channels <= _LONGEST)
    )


def _join(seen: Array, joined: int) -> Array:
    """Windows [P, Q, K, L, C] as [P, Q / joined, K, L, joined · C]: neighbouring pixels are neighbours in memory."""
    if joined == 1:
        return seen
    rows, columns, height, width, channels = seen.shape
    y, x, k, step, c = seen.strides
    return np.lib.stride_tricks.as_strided(
        seen, (rows, columns // joined, height, width, joined * channels), (y, joined * x, k, step, c)
    )
