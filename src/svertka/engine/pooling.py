"""Pooling, forward and backward, and the trainable subsampling of 1998.

Shapes: N batch, C channels, H/W in, P/Q out, K/L kernel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from svertka.engine.arrays import Array, Gradients, floats, is_finite, same_shape
from svertka.engine.geometry import Pair, Window, pair, remembered
from svertka.engine.padding import inside, pad
from svertka.errors import ShapeError


def max_pool2d(
    x_NCHW: ArrayLike,
    kernel: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
) -> Array:
    """The largest value of each window; NaN where it holds a NaN. Padding never wins.

    Args:
        x_NCHW: input.
        kernel: rows and columns of a window.
        stride: from one window to the next; the kernel's size if not given.
        padding: at most half of the kernel.
        dilation: pixels from one kernel element to the next.

    Returns:
        Shape [N, C, P, Q].

    Raises:
        ShapeError: the kernel is larger than the padded input, or an argument is out of range.
    """
    (x,) = floats(x=(x_NCHW, 4))
    window, _, taps = _plan(kernel, stride, padding, dilation, x.shape[2:])
    first, *others = _seen(pad(x, window.pads, value=-np.inf), taps)
    y = first.copy(order="K")
    for here in others:
        np.maximum(y, here, out=y)
    return y


def max_pool2d_backward(
    dy_NCPQ: ArrayLike,
    x_NCHW: ArrayLike,
    y_NCPQ: ArrayLike,
    kernel: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
) -> Array:
    """Gradient of ``max_pool2d``, whose input was ``x`` and whose output ``y``.

    All of it goes to the window's first largest value (row by row), as in torch.

    Raises:
        ShapeError: as forward, or a shape differs from the output's.
    """
    dy, x, y = floats(dy=(dy_NCPQ, 4), x=(x_NCHW, 4), y=(y_NCPQ, 4))
    window, output, taps = _plan(kernel, stride, padding, dilation, x.shape[2:])
    same_shape("dy", dy, (*x.shape[:2], *output))
    same_shape("y", y, dy.shape)
    padded = pad(x, window.pads, value=-np.inf)
    dx, gradient, factor = np.zeros_like(padded), np.empty_like(y), np.empty_like(y)
    gradient[...] = dy  # whose memory may be laid out in another order
    waits = np.ones_like(y, dtype=bool)  # which windows have not given their gradient away yet
    has_nan, apart = not is_finite(y), all(window.span(axis, 1) <= window.stride[axis] for axis in (0, 1))
    for here, given in zip(_seen(padded, taps), _seen(dx, taps), strict=True):
        hit = (here == y) | (here != here) if has_nan else here == y
        hit &= waits
        waits ^= hit
        factor[...] = hit  # a product with it takes a third of the time of np.where
        if apart:  # each pixel belongs to one window
            np.multiply(factor, gradient, out=given)
        else:
            factor *= gradient
            given += factor
    return inside(dx, window.pads)


def avg_pool2d(
    x_NCHW: ArrayLike,
    kernel: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
) -> Array:
    """The mean of each window; zeros of the padding count, as in torch's default. Arguments as in ``max_pool2d``.

    Returns:
        Shape [N, C, P, Q].

    Raises:
        ShapeError: the kernel is larger than the padded input, or an argument is out of range.
    """
    (x,) = floats(x=(x_NCHW, 4))
    window, _, taps = _plan(kernel, stride, padding, 1, x.shape[2:])
    y = _window_sums(x, window, taps)
    y *= 1 / (window.kernel[0] * window.kernel[1])
    return y


def avg_pool2d_backward(
    dy_NCPQ: ArrayLike,
    size: Sequence[int],
    kernel: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
) -> Array:
    """Gradient of ``avg_pool2d`` for an input of ``size`` rows and columns: an equal share to each pixel.

    Raises:
        ShapeError: as forward, or the gradient has another shape than the output.
    """
    (dy,) = floats(dy=(dy_NCPQ, 4))
    window, output, taps = _plan(kernel, stride, padding, 1, pair(size, "size", 1))
    same_shape("dy", dy, (*dy.shape[:2], *output))
    return _spread(dy * (1 / (window.kernel[0] * window.kernel[1])), pair(size, "size", 1), window, taps)


def subsample2d(x_NCHW: ArrayLike, coefficient_C: ArrayLike, bias_C: ArrayLike, kernel: int = 2) -> Array:
    """Subsampling as in LeNet-5: the sum of a window, times a trainable coefficient, plus a trainable bias.

    Source: LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998, II.B.

    Returns:
        Shape [N, C, P, Q], before the squashing function.

    Raises:
        ShapeError: channels don't fit, or the window is larger than the input.
    """
    x, coefficient, bias = floats(x=(x_NCHW, 4), coefficient=(coefficient_C, 1), bias=(bias_C, 1))
    for name, array in (("coefficient", coefficient), ("bias", bias)):
        same_shape(name, array, (x.shape[1],))
    window, _, taps = _plan(kernel, kernel, 0, 1, x.shape[2:])
    return _window_sums(x, window, taps) * coefficient[:, None, None] + bias[:, None, None]


def subsample2d_backward(dy_NCPQ: ArrayLike, x_NCHW: ArrayLike, coefficient_C: ArrayLike, kernel: int = 2) -> Gradients:
    """Gradients of ``subsample2d``: of x, the coefficients (``w``) and the biases (``b``).

    Raises:
        ShapeError: as forward, or the gradient has another shape than the output.
    """
    dy, x, coefficient = floats(dy=(dy_NCPQ, 4), x=(x_NCHW, 4), coefficient=(coefficient_C, 1))
    window, _, taps = _plan(kernel, kernel, 0, 1, x.shape[2:])
    sums = _window_sums(x, window, taps)
    same_shape("dy", dy, sums.shape)
    dx = _spread(dy * coefficient[:, None, None], x.shape[2:], window, taps)
    return Gradients(dx, (dy * sums).sum(axis=(0, 2, 3)), dy.sum(axis=(0, 2, 3)))


@dataclass(frozen=True, eq=False, slots=True)
class Pooled:
    """How one output of a pooling comes about."""

    rows: Pair
    """Of the input that the window covers, from, to (exclusive); negative in the padding."""
    columns: Pair
    window: Array
    """[K, L] numbers; the padding is minus infinity for a maximum, zero for a mean."""
    winner: Pair | None
    """Row and column in the input of the largest number, the first of several row by row; None for a mean."""
    ties: int
    """How many numbers are as large as the winner, itself included; 0 for a mean."""
    value: float
    """The largest number, or the mean."""


def explain(
    plane_HW: ArrayLike,
    kernel: int | Sequence[int],
    at: Pair,
    *,
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    kind: Literal["max", "mean"] = "max",
) -> Pooled:
    """The window behind one output of ``max_pool2d`` or ``avg_pool2d`` on a plane without NaN, and which number won.

    Raises:
        ShapeError: the output has no such place, or as in ``max_pool2d``.
    """
    (plane,) = floats(plane=(plane_HW, 2))
    window, (P, Q), _ = _plan(kernel, stride, padding, 1, plane.shape)
    if not (0 <= at[0] < P and 0 <= at[1] < Q):
        raise ShapeError(f"there is no output {at[0]},{at[1]}; expected rows 0 to {P - 1}, columns 0 to {Q - 1}.")
    (K, L), top, left = window.kernel, at[0] * window.stride[0], at[1] * window.stride[1]
    padded = pad(plane[None, None], window.pads, value=-np.inf if kind == "max" else 0.0)[0, 0]
    seen = padded[top : top + K, left : left + L]
    row, column = top - window.before[0], left - window.before[1]
    rows, columns = (row, row + K), (column, column + L)
    if kind == "mean":
        return Pooled(rows, columns, seen, None, 0, float(seen.mean()))
    k, l = divmod(int(seen.argmax()), L)
    ties = int(np.count_nonzero(seen == seen.max()))
    return Pooled(rows, columns, seen, (row + k, column + l), ties, float(seen[k, l]))


Taps = tuple[tuple[slice, slice], ...]
"""For each element of a kernel, row by row, the rows and columns of the padded plane that it meets."""


@remembered
def _plan(
    kernel: int | Sequence[int],
    stride: int | Sequence[int] | None,
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
    size: Pair,
) -> tuple[Window, Pair, Taps]:
    """The checked window over a plane of ``size``, the output's rows and columns, and the taps."""
    window = Window.of(kernel, kernel if stride is None else stride, pair(padding, "padding", 0), dilation)
    if any(2 * pads[0] > length for pads, length in zip(window.pads, window.kernel, strict=True)):
        raise ShapeError(
            f"padding is {padding} for a pooling kernel of {kernel}; expected at most half of the kernel, or a window "
            "could hold nothing but padding."
        )
    output = window.output_size(size)
    return window, output, tuple((rows, columns) for _, _, rows, columns in window.taps(output))


def _seen(padded_NCHW: Array, taps: Taps) -> list[Array]:
    """A view [N, C, P, Q] for each element of the kernel, row by row."""
    return [padded_NCHW[:, :, rows, columns] for rows, columns in taps]


def _window_sums(x_NCHW: Array, window: Window, taps: Taps) -> Array:
    first, *others = _seen(pad(x_NCHW, window.pads), taps)
    y = first.copy(order="K")
    for here in others:
        y += here
    return y


def _spread(dy_NCPQ: Array, size: tuple[int, ...], window: Window, taps: Taps) -> Array:
    """Gradient of ``_window_sums``."""
    H, W = window.padded_size((size[0], size[1]))
    dx = np.zeros_like(dy_NCPQ, shape=(*dy_NCPQ.shape[:2], H, W))
    for given in _seen(dx, taps):
        given += dy_NCPQ
    return inside(dx, window.pads)
