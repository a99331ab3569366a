"""Convolution of batches, forward and backward; the fastest path for the sizes at hand is chosen.

A network's "convolution" is a cross-correlation: the kernel isn't flipped. ``conv2d`` keeps that name, as every
library does; ``filters`` has both for images: ``correlate``, and ``convolve``, which flips the kernel.

Shapes: N batch, C/O channels in/out, H/W in, P/Q out, K/L kernel. With groups, kernels have C/groups channels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from svertka.engine.arrays import Array, Gradients, floats, same_shape
from svertka.engine.fast import paths
from svertka.engine.fast.sums import channel_sums
from svertka.engine.fast.threads import runs, share, total
from svertka.engine.geometry import Padding, PaddingMode
from svertka.engine.padding import pad, pad_gradient


def conv2d(
    x_NCHW: ArrayLike,
    w_OCKL: ArrayLike,
    b_O: ArrayLike | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
) -> Array:
    """Cross-correlates a batch with O kernels.

    Args:
        x_NCHW: input.
        w_OCKL: kernels, with C/groups channels.
        b_O: added to each output channel.
        stride: pixels from one output to the next; a number, or two for rows and columns.
        padding: pixels added on every side; a number, two, ``"valid"`` (none) or ``"same"`` (with stride 1 the output
            is as large as the input).
        dilation: pixels from one kernel element to the next.
        groups: each group of output channels sees its own group of input channels.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.

    Returns:
        Shape [N, O, P, Q]; float32 or float64 by NumPy's promotion of the inputs.

    Raises:
        ShapeError: sizes or channels don't fit, or an argument is out of range.
    """
    x, w = floats(x=(x_NCHW, 4), w=(w_OCKL, 4))
    plan = paths.plan_convolution(x.shape, w.shape, stride, padding, dilation, groups, padding_mode)
    b = None if b_O is None else _bias(b_O, len(w), x.dtype)
    if len(x) == 0:
        return np.empty((0, len(w), *plan.output), x.dtype)
    y = paths.forward(pad(x, plan.border, plan.mode), w, plan)
    if b is not None:
        _add_bias(y, b)
    return y


def conv2d_backward(
    dy_NOPQ: ArrayLike,
    x_NCHW: ArrayLike,
    w_OCKL: ArrayLike,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    input_gradient: bool = True,
) -> Gradients:
    """Gradients of ``conv2d`` with the same arguments; ``dy_NOPQ`` is that of its output.

    ``input_gradient=False`` saves a third of the work where nothing lies below (the first layer).

    Raises:
        ShapeError: as forward, or the gradient has another shape than the output.
    """
    dy, x, w = floats(dy=(dy_NOPQ, 4), x=(x_NCHW, 4), w=(w_OCKL, 4))
    plan = paths.plan_convolution(x.shape, w.shape, stride, padding, dilation, groups, padding_mode)
    same_shape("dy", dy, (len(x), len(w), *plan.output))
    if len(x) == 0:
        return Gradients(np.zeros_like(x) if input_gradient else None, np.zeros_like(w), np.zeros(len(w), w.dtype))
    dx = pad_gradient(paths.input_gradient(dy, w, plan), plan.border, plan.mode) if input_gradient else None
    dw = paths.weight_gradient(dy, pad(x, plan.border, plan.mode), w.shape, plan)
    return Gradients(dx, dw, _bias_gradient(dy))


def _add_bias(y_NOPQ: Array, b_O: Array) -> None:
    def add(images: slice) -> None:
        y_NOPQ[images] += b_O[:, None, None]

    share(add, runs(len(y_NOPQ), y_NOPQ.size))


def _bias_gradient(dy_NOPQ: Array) -> Array:
    sums = share(lambda images: channel_sums(dy_NOPQ[images]), runs(len(dy_NOPQ), dy_NOPQ.size))
    return total(sums).astype(dy_NOPQ.dtype)


def _bias(b_O: ArrayLike, channels: int, dtype: np.dtype[Any]) -> Array:
    (b,) = floats(b=(b_O, 1))
    same_shape("b", b, (channels,))
    return b.astype(dtype, copy=False)
