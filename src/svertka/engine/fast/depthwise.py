"""Depthwise convolution, one kernel a channel: there is no sum over channels, so products of planes beat matrices.

Shapes: N batch, C channels, H/W in (padded), P/Q out, K/L kernel.
"""

import numpy as np

from svertka.engine.arrays import Array
from svertka.engine.fast.channels_last import AXES
from svertka.engine.fast.threads import runs, share, total
from svertka.engine.geometry import Pair, Window
from svertka.engine.padding import Pads, crop

__all__ = ["AXES", "forward", "input_gradient", "weight_gradient"]


def forward(x_NHWC: Array, w_C1KL: Array, window: Window) -> Array:
    """Returns [N, P, Q, C]; ``x_NHWC`` is already padded. Image by image, to stay in the cache."""
    P, Q = window.output_size(x_NHWC.shape[1:3])
    y_NPQC = np.zeros((len(x_NHWC), P, Q, x_NHWC.shape[3]), x_NHWC.dtype)

    def some_images(images: slice) -> None:
        product = np.empty(y_NPQC.shape[1:], x_NHWC.dtype)
        for x_HWC, y_PQC in zip(x_NHWC[images], y_NPQC[images], strict=True):
            for k, l, rows, columns in window.taps((P, Q)):
                np.multiply(x_HWC[rows, columns], w_C1KL[:, 0, k, l], out=product)
                y_PQC += product

    share(some_images, runs(len(x_NHWC), y_NPQC.size))
    return y_NPQC


def input_gradient(dy_NPQC: Array, w_C1KL: Array, window: Window, size: Pair, pads: Pads) -> Array:
    """Returns [N, H, W, C], the gradient of the input that was padded by ``pads`` to ``size``."""
    N, P, Q, C = dy_NPQC.shape
    dx_NHWC = np.zeros((N, *size, C), dy_NPQC.dtype)

    def some_images(images: slice) -> None:
        product = np.empty((P, Q, C), dy_NPQC.dtype)
        for dy_PQC, dx_HWC in zip(dy_NPQC[images], dx_NHWC[images], strict=True):
            for k, l, rows, columns in window.taps((P, Q)):
                np.multiply(dy_PQC, w_C1KL[:, 0, k, l], out=product)
                dx_HWC[rows, columns] += product

    share(some_images, runs(N, dy_NPQC.size))
    return crop(dx_NHWC, pads)


def weight_gradient(dy_NPQC: Array, x_NHWC: Array, window: Window) -> Array:
    """Returns [C, 1, K, L]; ``x_NHWC`` is already padded."""
    P, Q, C = dy_NPQC.shape[1:]

    def some_images(images: slice) -> Array:
        dw_C1KL = np.zeros((C, 1, *window.kernel), dy_NPQC.dtype)
        for dy_PQC, x_HWC in zip(dy_NPQC[images], x_NHWC[images], strict=True):
            for k, l, rows, columns in window.taps((P, Q)):
                dw_C1KL[:, 0, k, l] += np.einsum("pqc,pqc->c", dy_PQC, x_HWC[rows, columns])
        return dw_C1KL

    return total(share(some_images, runs(len(x_NHWC), dy_NPQC.size)))
