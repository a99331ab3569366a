"""Convolution and pooling as loops, the way they are taught; ``convolution`` and ``pooling`` must agree with these.

Shapes: N batch, C/O channels in/out, H/W in, P/Q out, K/L kernel.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from svertka.engine.arrays import Array
from svertka.engine.geometry import Window


def conv2d(x_NCHW: Array, w_OCKL: Array, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    """Cross-correlation of a batch with O kernels: every output is one window times one kernel, summed.

    Returns:
        Shape [N, O, P, Q].
    """
    window = Window.of(w_OCKL.shape[2:], stride, padding, dilation)
    P, Q = window.output_size((x_NCHW.shape[2], x_NCHW.shape[3]))
    x = np.pad(x_NCHW, ((0, 0), (0, 0), *window.pads))
    K, L = window.kernel
    y_NOPQ = np.zeros((len(x), len(w_OCKL), P, Q), np.result_type(x, w_OCKL))
    for n in range(len(x)):
        for o in range(len(w_OCKL)):
            for p in range(P):
                for q in range(Q):
                    rows = slice(p * stride, p * stride + dilation * (K - 1) + 1, dilation)
                    columns = slice(q * stride, q * stride + dilation * (L - 1) + 1, dilation)
                    y_NOPQ[n, o, p, q] = np.sum(x[n, :, rows, columns] * w_OCKL[o])
    return y_NOPQ


def max_pool2d(x_NCHW: Array, kernel: int, stride: int) -> Array:
    """The largest value of each window, shape [N, C, P, Q]."""
    return _pool(x_NCHW, kernel, stride, np.max)


def avg_pool2d(x_NCHW: Array, kernel: int, stride: int) -> Array:
    """The mean of each window, shape [N, C, P, Q]."""
    return _pool(x_NCHW, kernel, stride, np.mean)


def _pool(x_NCHW: Array, kernel: int, stride: int, reduce: Callable[[Array], Any]) -> Array:
    N, C, H, W = x_NCHW.shape
    P, Q = Window.of(kernel, stride).output_size((H, W))
    y_NCPQ = np.empty((N, C, P, Q), x_NCHW.dtype)
    for n in range(N):
        for c in range(C):
            for p in range(P):
                for q in range(Q):
                    rows = slice(p * stride, p * stride + kernel)
                    columns = slice(q * stride, q * stride + kernel)
                    y_NCPQ[n, c, p, q] = reduce(x_NCHW[n, c, rows, columns])
    return y_NCPQ
