"""Convolution as a matrix product: a 1×1 kernel multiplies the map as it lies, others gather their windows first.

Windows are gathered block by block (im2col: Chellapilla et al. 2006), so that they stay in the cache and take little
memory.

Shapes: N batch, C/O channels in/out, H/W in, P/Q out, K/L kernel, R rows of a matrix.
"""

from collections.abc import Sequence

import numpy as np

from svertka.engine.geometry import Window
from svertka.engine.twin.graph import F32, Array
from svertka.engine.twin.kernels.activations import Activation, in_place
from svertka.engine.twin.kernels.base import (
    Block,
    Carver,
    Kernel,
    copy_padded,
    cuts,
    finisher,
    nhwc,
    round_up,
    size_of,
    windows,
)

_FEWEST_ROWS = 512  # with fewer, packing the weights takes OpenBLAS a good part of the time
_BLOCK = 1 << 18  # float32 numbers of input and output of a block

Pre = tuple[F32, F32, Activation | None]


def rows_by_matrix(
    weight_CO: F32, bias_O: F32, activation: Activation | None, workers: int, pre: Pre | None = None
) -> Kernel:
    """Rows [..., C] times a matrix: a linear layer, and a 1×1 convolution whose rows are pixels.

    Args:
        weight_CO: the matrix.
        bias_O: is added.
        activation: goes last.
        workers: that share the rows.
        pre: factor [C], shift [C] and activation that rows go through before, in scratch memory.
    """
    channels, out_channels = weight_CO.shape
    finish = finisher(bias_O if bias_O.any() else None, activation)
    block_rows = max(_FEWEST_ROWS, _BLOCK // (channels + out_channels))
    act = in_place(pre[2]) if pre else None

    def bind(inputs: Sequence[Array], out: Array, scratch: Sequence[F32]) -> list[Block]:
        x_RC, out_RO = _as_rows(inputs[0]), _as_rows(out)
        residual_RO = _as_rows(inputs[1]) if len(inputs) > 1 else None
        return [block(x_RC[a:b], out_RO[a:b], None if residual_RO is None else residual_RO[a:b], scratch)
                for a, b in cuts(len(x_RC), block_rows, workers if len(x_RC) >= 8 * workers else 1)]  # fmt: skip

    def block(x_RC: Array, out_RO: Array, residual_RO: Array | None, scratch: Sequence[F32]) -> Block:
        ready = [memory[: x_RC.size].reshape(x_RC.shape) for memory in scratch] if pre else []

        def run(worker: int) -> None:
            rows = x_RC
            if pre:
                rows = ready[worker]
                np.multiply(x_RC, pre[0], out=rows)
                np.add(rows, pre[1], out=rows)
                if act:
                    act(rows)
            np.matmul(rows, weight_CO, out=out_RO)
            finish(out_RO, residual_RO)

        return run

    return Kernel(block_rows * channels if pre else 0, bind)


def _as_rows(x: Array) -> Array:
    """[..., C] as [R, C] without a copy: from row to row there is one stride, whatever the axes."""
    shape = (size_of(*x.shape[:-1]), x.shape[-1])
    return np.lib.stride_tricks.as_strided(x, shape, (_row_stride(x), x.itemsize))


def _row_stride(x: Array) -> int:
    """The one stride from row to row that all axes but the last agree on."""
    return next((x.strides[axis] for axis in range(x.ndim - 2, -1, -1) if x.shape[axis] != 1), x.shape[-1] * x.itemsize)


def gathered_windows(
    weight_OCKL: F32,
    bias_O: F32,
    window: Window,
    out_shape: tuple[int, ...],
    activation: Activation | None,
    workers: int,
) -> Kernel:
    """Convolution with any kernel, steps, dilation and padding: windows [R, K·L·C] times weights [K·L·C, O].

    Args:
        weight_OCKL: the kernels.
        bias_O: is added.
        window: how they move.
        out_shape: [N, O, P, Q].
        activation: goes last.
        workers: that share the rows of the output.
    """
    n, out_channels, rows, columns = out_shape
    channels, kernel = weight_OCKL.shape[1], window.kernel
    weight_KLCO = np.ascontiguousarray(weight_OCKL.transpose(2, 3, 1, 0)).reshape(-1, out_channels)
    finish = finisher(bias_O if bias_O.any() else None, activation)
    depth = len(weight_KLCO)
    block_rows = min(rows, max(-(-_FEWEST_ROWS // columns), _BLOCK // (columns * (depth + out_channels))))
    strip = window.span(0, block_rows), window.span(1, columns)
    pieces = cuts(rows, block_rows, -(-workers // n))

    def bind(inputs: Sequence[Array], out: Array, scratch: Sequence[F32]) -> list[Block]:
        x_NHWC, out_NPQO = nhwc(inputs[0]), nhwc(out)
        residual = nhwc(inputs[1]) if len(inputs) > 1 else None
        blocks = []
        for image in range(n):
            for a, b in pieces:
                shortcut = None if residual is None else residual[image, a:b]
                blocks.append(block(x_NHWC[image], out_NPQO[image, a:b], shortcut, a, scratch))
        return blocks

    def block(x_HWC: Array, out_PQO: Array, residual: Array | None, first: int, scratch: Sequence[F32]) -> Block:
        top, left, count = first * window.stride[0] - window.before[0], -window.before[1], len(out_PQO)
        height = window.span(0, count)
        parts = []
        for memory in scratch:
            carver = Carver(memory)
            padded = carver.take(height, strip[1], channels)
            seen = windows(padded, count, columns, kernel, window.stride, window.dilation)
            gathered = carver.take(*seen.shape)
            parts.append((padded, _merge(seen), _merge(gathered), gathered.reshape(-1, depth)))
        product = _as_rows(out_PQO)

        def run(worker: int) -> None:
            padded, seen, gathered, matrix_RD = parts[worker]
            copy_padded(padded, x_HWC, top, left)
            np.copyto(gathered, seen)
            np.matmul(matrix_RD, weight_KLCO, out=product)
            finish(out_PQO, residual)

        return run

    def _merge(seen: Array) -> Array:
        """Columns of a window are neighbours in memory: [P, Q, K, L, C] as [P, Q, K, L·C] copies in longer runs."""
        if window.dilation[1] != 1:
            return seen
        shape = (*seen.shape[:3], seen.shape[3] * seen.shape[4])
        return np.lib.stride_tricks.as_strided(seen, shape, (*seen.strides[:3], seen.itemsize))

    return Kernel(round_up(size_of(*strip, channels)) + block_rows * columns * depth, bind)
