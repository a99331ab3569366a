"""Convolution as a matrix product: a 1×1 kernel multiplies the map as it lies, others gather their windows first.

Windows are gathered block by block (im2col: Chellapilla et al. 2006), so that they stay in the cache and take little
memory.

Shapes: N batch, C/O channels in/out, H/W in, P/Q out, K/L kernel, R rows of a matrix.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from svertka.engine.geometry import Window
from svertka.inference.numpy_backend.kernels.activations import Activation, in_place
from svertka.inference.numpy_backend.kernels.kernel import (
    Carver,
    Convolution,
    Kernel,
    Piece,
    copy_padded,
    cuts,
    finisher,
    image_cuts,
    nhwc,
    output_cuts,
    round_up,
    shares_outputs,
    size_of,
    windows,
)
from svertka.onnx_graph.graph import F32, Array

_FEWEST_ROWS = 512  # with fewer, packing the weights takes OpenBLAS a good part of the time
_BLOCK = 1 << 18  # float32 numbers of input and output of a block

Pre = tuple[F32, F32, Activation | None]


def rows_by_matrix(
    weight_CO: F32, bias_O: F32, activation: Activation | None, workers: int, pre: Pre | None = None
) -> Kernel:
    """Rows [..., C] times a matrix: a linear layer, and a 1×1 convolution whose rows are pixels.

    ``pre`` is a factor [C], a shift [C] and an activation that rows go through before, in scratch memory.
    """
    channels, out_channels = weight_CO.shape
    block_rows = max(_FEWEST_ROWS, _BLOCK // (channels + out_channels))
    act = in_place(pre[2]) if pre else None

    def bind(inputs: Sequence[Array], out: Array, scratch: Sequence[F32]) -> list[Piece]:
        x_RC, out_RO = _as_rows(inputs[0]), _as_rows(out)
        residual_RO = _as_rows(inputs[1]) if len(inputs) > 1 else None
        by_columns = shares_outputs(len(x_RC), out_channels, workers)
        columns = output_cuts(out_channels, workers) if by_columns else [(0, out_channels)]
        row_workers = workers if not by_columns and len(x_RC) >= 8 * workers else 1
        return [
            block(x_RC[a:b], out_RO[a:b, c:d], None if residual_RO is None else residual_RO[a:b, c:d], (c, d), scratch)
            for c, d in columns
            for a, b in cuts(len(x_RC), block_rows, row_workers)
        ]

    def block(
        x_RC: Array, out_RO: Array, residual_RO: Array | None, columns: tuple[int, int], scratch: Sequence[F32]
    ) -> Piece:
        part = slice(*columns)
        weight, finish = weight_CO[:, part], finisher(bias_O[part] if bias_O.any() else None, activation)
        ready = [memory[: x_RC.size].reshape(x_RC.shape) for memory in scratch] if pre else []

        def run(worker: int) -> None:
            rows = x_RC
            if pre:
                rows = ready[worker]
                np.multiply(x_RC, pre[0], out=rows)
                np.add(rows, pre[1], out=rows)
                if act:
                    act(rows)
            np.matmul(rows, weight, out=out_RO)
            finish(out_RO, residual_RO)

        return Piece(run, [x_RC] if residual_RO is None else [x_RC, residual_RO], out_RO)

    return Kernel(block_rows * channels if pre else 0, bind)


def _as_rows(x: Array) -> Array:
    """[..., C] as [R, C] without a copy: from row to row there is one stride, whatever the axes."""
    shape = (size_of(*x.shape[:-1]), x.shape[-1])
    return np.lib.stride_tricks.as_strided(x, shape, (_row_stride(x), x.itemsize))


def _row_stride(x: Array) -> int:
    """The one stride from row to row that all axes but the last agree on."""
    return next((x.strides[axis] for axis in range(x.ndim - 2, -1, -1) if x.shape[axis] != 1), x.shape[-1] * x.itemsize)


def gathered_windows(conv: Convolution) -> Kernel:
    """Convolution with any kernel, steps, dilation and padding: windows [R, K·L·C] times weights [K·L·C, O]."""
    gathered = _GatheredWindows(conv)
    return Kernel(gathered.scratch, gathered.bind)


class _GatheredWindows:
    """Which images, rows and outputs of a convolution go together, and the arithmetic on them."""

    def __init__(self, conv: Convolution) -> None:
        n, out_channels, rows, columns = conv.out_shape
        self.conv, self.channels, workers = conv, conv.weight_OCKL.shape[1], conv.workers
        self.weight_KLCO = np.ascontiguousarray(conv.weight_OCKL.transpose(2, 3, 1, 0)).reshape(-1, out_channels)
        depth, by_outputs = len(self.weight_KLCO), shares_outputs(n * rows * columns, out_channels, workers)
        row_workers = 1 if by_outputs else workers
        block_rows = min(rows, max(-(-_FEWEST_ROWS // columns), _BLOCK // (columns * (depth + out_channels))))
        # Small images go together: one product with all their rows.
        self.images = cuts(n, max(1, _FEWEST_ROWS // (rows * columns)) if block_rows == rows else 1, row_workers)
        self.rows = image_cuts(len(self.images), rows, block_rows, row_workers)
        self.outputs = output_cuts(out_channels, workers) if by_outputs else [(0, out_channels)]
        most_images = max(b - a for a, b in self.images)
        strip = round_up(size_of(conv.window.span(0, block_rows), conv.window.span(1, columns), self.channels))
        self.scratch = strip + most_images * block_rows * columns * depth

    def bind(self, inputs: Sequence[Array], out: Array, scratch: Sequence[F32]) -> list[Piece]:
        """As in ``Kernel``."""
        x_NHWC, out_NPQO = nhwc(inputs[0]), nhwc(out)
        residual = nhwc(inputs[1]) if len(inputs) > 1 else None
        pieces = []
        for (o, p), (i, j), (a, b) in itertools.product(self.outputs, self.images, self.rows):
            shortcut = None if residual is None else residual[i:j, a:b, :, o:p]
            pieces.append(self._piece(x_NHWC[i:j], out_NPQO[i:j, a:b, :, o:p], shortcut, a, slice(o, p), scratch))
        return pieces

    def _piece(
        self,
        x_NHWC: Array,
        out_NPQO: Array,
        residual: Array | None,
        first: int,
        outputs: slice,
        scratch: Sequence[F32],
    ) -> Piece:
        weight, finish, window = self.weight_KLCO[:, outputs], self.conv.finisher(outputs), self.conv.window
        images, count, columns = out_NPQO.shape[:3]
        top, left = first * window.stride[0] - window.before[0], -window.before[1]
        height = window.span(0, count)
        parts = []
        for memory in scratch:
            carver = Carver(memory)
            padded = carver.take(height, window.span(1, columns), self.channels)
            seen = windows(padded, count, columns, window.kernel, window.stride, window.dilation)
            gathered = carver.take(images, *seen.shape)
            matrix_RD = gathered.reshape(-1, len(weight))
            parts.append((padded, _merged(seen, window), [_merged(image, window) for image in gathered], matrix_RD))
        product = _as_rows(out_NPQO)

        def run(worker: int) -> None:
            padded, seen, gathered, matrix_RD = parts[worker]
            for x_HWC, image in zip(x_NHWC, gathered, strict=True):
                copy_padded(padded, x_HWC, top, left)
                np.copyto(image, seen)
            np.matmul(matrix_RD, weight, out=product)
            finish(out_NPQO, residual)

        seen_rows = x_NHWC[:, max(top, 0) : max(top + height, 0)]
        return Piece(run, [seen_rows] if residual is None else [seen_rows, residual], out_NPQO)


def _merged(seen: Array, window: Window) -> Array:
    """Columns of a window are neighbours in memory: [P, Q, K, L, C] as [P, Q, K, L·C] copies in longer runs."""
    if window.dilation[1] != 1:
        return seen
    shape = (*seen.shape[:3], seen.shape[3] * seen.shape[4])
    return np.lib.stride_tricks.as_strided(seen, shape, (*seen.strides[:3], seen.itemsize))
