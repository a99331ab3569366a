"""Convolution for few channels (a gray or colour image, LeNet-5): the batch innermost in memory.

With few channels the other layouts copy in pieces of a few numbers. With the batch innermost, the windows of one
output row and one kernel element are a single piece of Q·N numbers. One output row at a time keeps it in the cache.

Shapes: N batch, C/O channels in/out, H/W in (padded), P/Q out, K/L kernel, D = C·K·L.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from svertka.engine.arrays import Array
from svertka.engine.geometry import Pair, Window
from svertka.engine.padding import Pads, crop
from svertka.engine.threads import runs, share, total

AXES = (1, 2, 3, 0)
"""From the axes N, C, H, W to how this path lays them in memory."""


def forward(x_CHWN: Array, w_OCKL: Array, window: Window) -> Array:
    """Returns [O, P, Q, N]; ``x_CHWN`` is already padded."""
    P, Q = window.output_size(x_CHWN.shape[1:3])
    O, N = len(w_OCKL), x_CHWN.shape[3]
    w_OD = w_OCKL.reshape(O, -1)
    y_OPM = np.empty((O, P, Q * N), x_CHWN.dtype)
    windows = _windows(x_CHWN, window, (P, Q))

    def some_rows(rows: slice) -> None:
        for p in range(rows.start, rows.stop):
            np.matmul(w_OD, windows[p].reshape(-1, Q * N), out=y_OPM[:, p])

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

    def some_rows(run: slice) -> Array:
        """Fills the first rows of dx in place; later rows overlap with them, so they come in an array of their own."""
        first = run.start * down
        height = window.span(0, run.stop - run.start)
        part = np.zeros((C, height, size[1], N), dx_CHWN.dtype) if first else dx_CHWN
        d_windows = np.empty((C, K, L, Q, N), dx_CHWN.dtype)
        for p in range(run.start, run.stop):
            np.matmul(w_DO, dy_OPM[:, p], out=d_windows.reshape(-1, Q * N))
            rows = slice(p * down - first, p * down - first + deep * (K - 1) + 1, deep)
            for l in range(L):
                columns = slice(l * wide, l * wide + (Q - 1) * across + 1, across)
                part[:, rows, columns] += d_windows[:, :, l]
        return part

    parts = runs(P, dy_OPQN.size)
    for run, part in list(zip(parts, share(some_rows, parts), strict=True))[1:]:
        dx_CHWN[:, run.start * down : run.start * down + part.shape[1]] += part
    return crop(dx_CHWN, pads)


def weight_gradient(dy_OPQN: Array, x_CHWN: Array, window: Window) -> Array:
    """Returns [O, C, K, L]; ``x_CHWN`` is already padded."""
    O, P, Q, N = dy_OPQN.shape
    C, (K, L) = len(x_CHWN), window.kernel
    dy_OPM = dy_OPQN.reshape(O, P, Q * N)
    windows = _windows(x_CHWN, window, (P, Q))

    def some_rows(rows: slice) -> Array:
        dw_OD = np.zeros((O, C * K * L), dy_OPQN.dtype)
        for p in range(rows.start, rows.stop):
            dw_OD += dy_OPM[:, p] @ windows[p].reshape(-1, Q * N).T
        return dw_OD

    dw_OD = total(share(some_rows, runs(P, dy_OPM.size)))
    return dw_OD.reshape(O, C, K, L)


def _windows(x_CHWN: Array, window: Window, output: Pair) -> Array:
    """A view [P, C, K, L, Q, N] of all windows; nothing is copied."""
    C, H, W, N = x_CHWN.strides
    (down, across), (deep, wide) = window.stride, window.dilation
    shape = (output[0], len(x_CHWN), *window.kernel, output[1], x_CHWN.shape[3])
    return as_strided(x_CHWN, shape, (H * down, C, H * deep, W * wide, W * across, N), writeable=False)
