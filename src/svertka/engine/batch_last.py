"""Convolution for few channels (a gray or colour image, LeNet-5): the batch innermost in memory.

With few channels the other layouts copy in pieces of a few numbers. With the batch innermost, the windows of one
output row and one kernel element are a single piece of Q·N numbers. One output row at a time keeps it in the cache;
where the kernel is large, a part of a row.

Shapes: N batch, C/O channels in/out, H/W in (padded), P/Q out, K/L kernel, D = C·K·L.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from svertka.engine.arrays import Array
from svertka.engine.blocks import blocks
from svertka.engine.geometry import Pair, Window
from svertka.engine.padding import Pads, crop
from svertka.engine.threads import runs, share, total

AXES = (1, 2, 3, 0)
"""From the axes N, C, H, W to how this path lays them in memory."""
_BLOCK_BYTES = 4 << 20


def forward(x_CHWN: Array, w_OCKL: Array, window: Window) -> Array:
    """Returns [O, P, Q, N]; ``x_CHWN`` is already padded."""
    P, Q = window.output_size(x_CHWN.shape[1:3])
    O, N = len(w_OCKL), x_CHWN.shape[3]
    w_OD = w_OCKL.reshape(O, -1)
    y_OPM = np.empty((O, P, Q * N), x_CHWN.dtype)
    windows = _windows(x_CHWN, window, (P, Q))
    parts = _parts_of_row(Q, w_OD.shape[1] * N * x_CHWN.itemsize)

    def some_rows(rows: slice) -> None:
        for p in range(rows.start, rows.stop):
            for part in parts:
                seen = windows[p, ..., part, :].reshape(w_OD.shape[1], -1)
                np.matmul(w_OD, seen, out=y_OPM[:, p, part.start * N : part.stop * N])

    share(some_rows, runs(P, y_OPM.size))
    return y_OPM.reshape(O, P, Q, N)


def input_gradient(dy_OPQN: Array, w_OCKL: Array, window: Window, size: Pair, pads: Pads) -> Array:
    """Returns [C, H, W, N], the gradient of the input that was padded by ``pads`` to ``size``."""
    O, P, Q, N = dy_OPQN.shape
    C, K, L = w_OCKL.shape[1:]
    w_DO = np.ascontiguousarray(w_OCKL.reshape(O, -1).T)
    dy_OPM = dy_OPQN.reshape(O, P, Q * N)
    (down, across), (deep, wide) = window.stride, window.dilation
    dx_CHWN = np.zeros((C, *size, N), dy_OPQN.dtype)
    parts = _parts_of_row(Q, C * K * L * N * dy_OPQN.itemsize)

    def some_rows(run: slice) -> Array:
        """Fills the first rows of dx in place; later rows overlap with them, so they come in an array of their own."""
        first = run.start * down
        height = window.span(0, run.stop - run.start)
        below = np.zeros((C, height, size[1], N), dx_CHWN.dtype) if first else dx_CHWN
        buffer = np.empty((len(w_DO), parts[0].stop * N), dx_CHWN.dtype)
        for p in range(run.start, run.stop):
            rows = slice(p * down - first, p * down - first + deep * (K - 1) + 1, deep)
            for part in parts:
                d_windows = buffer[:, : (part.stop - part.start) * N]
                np.matmul(w_DO, dy_OPM[:, p, part.start * N : part.stop * N], out=d_windows)
                d_windows = d_windows.reshape(C, K, L, -1, N)
                for l in range(L):
                    left, right = (l * wide + q * across for q in (part.start, part.stop - 1))
                    below[:, rows, left : right + 1 : across] += d_windows[:, :, l]
        return below

    every = runs(P, dy_OPQN.size)
    for run, below in list(zip(every, share(some_rows, every), strict=True))[1:]:
        dx_CHWN[:, run.start * down : run.start * down + below.shape[1]] += below
    return crop(dx_CHWN, pads)


def weight_gradient(dy_OPQN: Array, x_CHWN: Array, window: Window) -> Array:
    """Returns [O, C, K, L]; ``x_CHWN`` is already padded."""
    O, P, Q, N = dy_OPQN.shape
    C, (K, L) = len(x_CHWN), window.kernel
    dy_OPM = dy_OPQN.reshape(O, P, Q * N)
    windows = _windows(x_CHWN, window, (P, Q))
    parts = _parts_of_row(Q, C * K * L * N * x_CHWN.itemsize)

    def some_rows(rows: slice) -> Array:
        dw_OD = np.zeros((O, C * K * L), dy_OPQN.dtype)
        for p in range(rows.start, rows.stop):
            for part in parts:
                seen = windows[p, ..., part, :].reshape(C * K * L, -1)
                dw_OD += dy_OPM[:, p, part.start * N : part.stop * N] @ seen.T
        return dw_OD

    dw_OD = total(share(some_rows, runs(P, dy_OPM.size)))
    return dw_OD.reshape(O, C, K, L)


def _parts_of_row(columns: int, column_bytes: int) -> list[slice]:
    """Runs of output columns whose windows take about ``_BLOCK_BYTES``; mostly a whole row."""
    return [part for _, part in blocks(1, columns, column_bytes, _BLOCK_BYTES)]


def _windows(x_CHWN: Array, window: Window, output: Pair) -> Array:
    """A view [P, C, K, L, Q, N] of all windows; nothing is copied."""
    C, H, W, N = x_CHWN.strides
    (down, across), (deep, wide) = window.stride, window.dilation
    shape = (output[0], len(x_CHWN), *window.kernel, output[1], x_CHWN.shape[3])
    return as_strided(x_CHWN, shape, (H * down, C, H * deep, W * wide, W * across, N), writeable=False)
