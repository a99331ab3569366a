"""Convolution as matrix products, channels innermost in memory: the general path, and the fast one for many channels.

Each output pixel's window becomes one row of a matrix (im2col); the kernels are its other factor. With channels
innermost a window's row of pixels lies in one piece, so copying is cheap, and a 1 × 1 kernel needs no copy at all.

Source: Chellapilla, Puri, Simard, "High Performance Convolutional Neural Networks for Document Processing", 2006.

Shapes: N batch, C/O channels in/out, H/W in (padded), P/Q out, K/L kernel, D = K·L·C.
"""

import itertools
from collections.abc import Iterable

import numpy as np
from numpy.lib.stride_tricks import as_strided

from svertka.engine.arrays import Array
from svertka.engine.fast.cache_blocks import blocks
from svertka.engine.fast.threads import PRODUCTS, hands, matmul, runs, share, total
from svertka.engine.geometry import Pair, Window
from svertka.engine.padding import Pads, crop

AXES = (0, 2, 3, 1)
"""From the axes N, C, H, W to how this path lays them in memory."""
_BLOCK_BYTES = 2 << 20


def forward(x_NHWC: Array, w_OCKL: Array, window: Window) -> Array:
    """Returns [N, P, Q, O]; ``x_NHWC`` is already padded."""
    P, Q = window.output_size(x_NHWC.shape[1:3])
    w_DO = _kernel_matrix(w_OCKL)
    if _is_matrix(window, x_NHWC.shape, (P, Q)):
        return matmul(x_NHWC.reshape(-1, len(w_DO)), w_DO).reshape(-1, P, Q, len(w_OCKL))
    y_NPQO = np.empty((len(x_NHWC), P, Q, len(w_OCKL)), x_NHWC.dtype)
    windows = _windows(x_NHWC, window, (P, Q))

    def block(part: tuple[slice, slice]) -> None:
        np.matmul(_matrix(windows[part]), w_DO, out=y_NPQO[part].reshape(-1, len(w_OCKL)))

    share(block, _blocks(windows))
    return y_NPQO


def input_gradient(dy_NPQO: Array, w_OCKL: Array, window: Window, size: Pair, pads: Pads) -> Array:
    """Returns [N, H, W, C], the gradient of the input that was padded by ``pads`` to ``size``."""
    N, P, Q, O = dy_NPQO.shape
    C, K, L = w_OCKL.shape[1:]
    if _is_matrix(window, (N, *size, C), (P, Q)):
        return crop(matmul(dy_NPQO.reshape(-1, O), _kernel_matrix(w_OCKL).T).reshape(N, P, Q, C), pads)
    dx_NHWC = np.zeros((N, *size, C), dy_NPQO.dtype)

    def some_images(parts: Iterable[tuple[slice, slice]], channels: slice, w_OD: Array) -> None:
        for images, rows in parts:
            part = dy_NPQO[images, rows]
            d_windows = (part.reshape(-1, O) @ w_OD).reshape(*part.shape[:3], K, L, -1)
            below = dx_NHWC[images, rows.start * window.stride[0] :, :, channels]
            for k, l, down, across in window.taps((part.shape[1], Q)):
                below[:, down, across] += d_windows[:, :, :, k, l]

    # Blocks of one image overlap in dx, so they stay together; a single image is shared by channels.
    every = list(blocks(N, P, Q * C * K * L * dy_NPQO.itemsize, _BLOCK_BYTES))
    if N == 1:
        parts = runs(C, P * Q * O * C * K * L // PRODUCTS)
        share(lambda channels: some_images(every, channels, _kernel_matrix(w_OCKL[:, channels]).T), parts)
    else:
        w_OD = _kernel_matrix(w_OCKL).T
        images = [list(parts) for _, parts in itertools.groupby(every, lambda part: part[0].start)]
        share(lambda parts: some_images(parts, slice(None), w_OD), images)
    return crop(dx_NHWC, pads)


def weight_gradient(dy_NPQO: Array, x_NHWC: Array, window: Window) -> Array:
    """Returns [O, C, K, L]; ``x_NHWC`` is already padded."""
    P, Q, O = dy_NPQO.shape[1:]
    C, (K, L) = x_NHWC.shape[3], window.kernel
    if _is_matrix(window, x_NHWC.shape, (P, Q)):
        return matmul(dy_NPQO.reshape(-1, O).T, x_NHWC.reshape(-1, C)).reshape(O, C, 1, 1)
    windows = _windows(x_NHWC, window, (P, Q))

    def some_blocks(parts: Iterable[tuple[slice, slice]]) -> Array:
        dw_OD = np.zeros((O, K * L * C), dy_NPQO.dtype)
        for part in parts:
            dw_OD += dy_NPQO[part].reshape(-1, O).T @ _matrix(windows[part])
        return dw_OD

    dw_OD = total(share(some_blocks, hands(_blocks(windows))))
    return np.ascontiguousarray(dw_OD.reshape(O, K, L, C).transpose(0, 3, 1, 2))


def _is_matrix(window: Window, shape: tuple[int, ...], output: Pair) -> bool:
    """Whether the input as it lies is the matrix of windows: a 1 × 1 kernel that goes everywhere."""
    return window.kernel == window.stride == (1, 1) and shape[1:3] == output


def _kernel_matrix(w_OCKL: Array) -> Array:
    return np.ascontiguousarray(w_OCKL.transpose(2, 3, 1, 0)).reshape(-1, len(w_OCKL))


def _windows(x_NHWC: Array, window: Window, output: Pair) -> Array:
    """A view [N, P, Q, K, L, C] of all windows; nothing is copied."""
    N, H, W, C = x_NHWC.strides
    (down, across), (deep, wide) = window.stride, window.dilation
    shape = (len(x_NHWC), *output, *window.kernel, x_NHWC.shape[3])
    return as_strided(x_NHWC, shape, (N, H * down, W * across, H * deep, W * wide, C), writeable=False)


def _matrix(windows: Array) -> Array:
    return windows.reshape(-1, int(np.prod(windows.shape[3:])))


def _blocks(windows: Array) -> list[tuple[slice, slice]]:
    N, P, Q, K, L, C = windows.shape
    return list(blocks(N, P, Q * K * L * C * windows.itemsize, _BLOCK_BYTES))
