"""Convolution of batches, forward and backward, by whichever way is fast for the sizes at hand.

A network's "convolution" is a cross-correlation: the kernel isn't flipped. ``conv2d`` keeps that name, as every
library does; on single planes ``cross_correlate2d`` and ``convolve2d`` (flipped, the mathematical one) are told apart.

Shapes: N batch, C/O channels in/out, H/W in, P/Q out, K/L kernel. With groups, kernels have C/groups channels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from svertka.engine import batch_last, channels_last, depthwise, winograd
from svertka.engine.arrays import Array, floats, is_finite, same_shape
from svertka.engine.geometry import (
    NO_PADS,
    Padding,
    PaddingMode,
    Pair,
    Window,
    check_mode,
    pair,
    transposed_output_size,
)
from svertka.engine.padding import Pads, fill_border, inside, pad, pad_gradient
from svertka.errors import ShapeError

_FEW_CHANNELS = 8
"""Up to here a window's row of pixels is so short a piece of memory that the batch does better innermost."""


class ConvGradients(NamedTuple):
    """Gradients of a convolution: of its input (None where it wasn't asked for), kernels and bias."""

    x: Array | None
    w: Array
    b: Array


@dataclass(frozen=True, slots=True)
class _Plan:
    """A checked convolution.

    Attributes:
        window: of the kernel over the padded plane.
        pads: of zeros, written when the input is laid out for a path.
        border: pads of the other modes, put around the input beforehand.
        mode: of the border.
        groups: into which the channels fall apart.
        size: of the input, rows and columns.
        output: rows and columns.
    """

    window: Window
    pads: Pads
    border: Pads
    mode: PaddingMode
    groups: int
    size: Pair
    output: Pair

    @property
    def padded_size(self) -> Pair:
        """Rows and columns that a path sees."""
        return self.size[0] + sum(self.pads[0]), self.size[1] + sum(self.pads[1])


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
    plan = _plan(x.shape, w.shape, stride, padding, dilation, groups, padding_mode)
    b = None if b_O is None else _bias(b_O, len(w), x.dtype)
    if len(x) == 0:
        return np.empty((0, len(w), *plan.output), x.dtype)
    y = _forward(pad(x, plan.border, plan.mode), w, plan)
    if b is not None:
        y += b[:, None, None]
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
) -> ConvGradients:
    """Gradients of ``conv2d`` with the same arguments.

    Args:
        dy_NOPQ: gradient of the output.
        x_NCHW: the input of the forward pass.
        w_OCKL: its kernels.
        stride: as forward.
        padding: as forward.
        dilation: as forward.
        groups: as forward.
        padding_mode: as forward.
        input_gradient: False saves a third of the work where nothing lies below (the first layer).

    Raises:
        ShapeError: as forward, or the gradient has another shape than the output.
    """
    dy, x, w = floats(dy=(dy_NOPQ, 4), x=(x_NCHW, 4), w=(w_OCKL, 4))
    plan = _plan(x.shape, w.shape, stride, padding, dilation, groups, padding_mode)
    same_shape("dy", dy, (len(x), len(w), *plan.output))
    if len(x) == 0:
        return ConvGradients(np.zeros_like(x) if input_gradient else None, np.zeros_like(w), np.zeros(len(w), w.dtype))
    dx = pad_gradient(_input_gradient(dy, w, plan), plan.border, plan.mode) if input_gradient else None
    dw = _weight_gradient(dy, pad(x, plan.border, plan.mode), w.shape, plan)
    return ConvGradients(dx, dw, dy.sum(axis=(0, 2, 3)))


def conv_transpose2d(
    x_NCHW: ArrayLike,
    w_COKL: ArrayLike,
    b_O: ArrayLike | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Array:
    """Transposed convolution: the input gradient of a convolution that has ``x`` for its output.

    Source: Zeiler, Krishnan, Taylor, Fergus, "Deconvolutional Networks", CVPR 2010; arguments as in torch.

    Args:
        x_NCHW: input.
        w_COKL: kernels; the first axis is the input's channels, the second O/groups.
        b_O: added to each output channel.
        stride: output pixels from one input pixel to the next.
        padding: taken off on every side of the output.
        output_padding: rows and columns added below and right, which a stride leaves open.
        dilation: pixels from one kernel element to the next.
        groups: as in ``conv2d``.

    Returns:
        Shape [N, O, P, Q].

    Raises:
        ShapeError: sizes or channels don't fit, or an argument is out of range.
    """
    x, w = floats(x=(x_NCHW, 4), w=(w_COKL, 4))
    plan = _transposed_plan(x.shape, w.shape, stride, padding, output_padding, dilation, groups)
    b = None if b_O is None else _bias(b_O, w.shape[1] * groups, x.dtype)
    if len(x) == 0:
        return np.empty((0, w.shape[1] * groups, *plan.size), x.dtype)
    y = _input_gradient(x, w, plan)
    return y if b is None else y + b[:, None, None]


def conv_transpose2d_backward(
    dy_NOPQ: ArrayLike,
    x_NCHW: ArrayLike,
    w_COKL: ArrayLike,
    *,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> ConvGradients:
    """Gradients of ``conv_transpose2d`` with the same arguments: a plain convolution, and its weight gradient.

    Raises:
        ShapeError: as forward, or the gradient has another shape than the output.
    """
    dy, x, w = floats(dy=(dy_NOPQ, 4), x=(x_NCHW, 4), w=(w_COKL, 4))
    plan = _transposed_plan(x.shape, w.shape, stride, padding, output_padding, dilation, groups)
    same_shape("dy", dy, (len(x), w.shape[1] * groups, *plan.size))
    if len(x) == 0:
        return ConvGradients(np.zeros_like(x), np.zeros_like(w), np.zeros(dy.shape[1], w.dtype))
    dx = _forward(dy, w, plan)[
        :, :, : x.shape[2], : x.shape[3]
    ]  # output padding as wide as the stride lets in one more
    return ConvGradients(dx, _weight_gradient(x, dy, w.shape, plan), dy.sum(axis=(0, 2, 3)))


def cross_correlate2d(
    plane_HW: ArrayLike,
    kernel_KL: ArrayLike,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    padding_mode: PaddingMode = "zeros",
) -> Array:
    """Cross-correlation of one plane: the kernel is laid on each window as it is, multiplied and summed.

    Returns:
        Shape [P, Q].

    Raises:
        ShapeError: sizes don't fit, or an argument is out of range.
    """
    plane, kernel = floats(plane=(plane_HW, 2), kernel=(kernel_KL, 2))
    y = conv2d(plane[None, None], kernel[None, None], stride=stride, padding=padding, padding_mode=padding_mode)
    plane_PQ: Array = y[0, 0]
    return plane_PQ


def convolve2d(
    plane_HW: ArrayLike,
    kernel_KL: ArrayLike,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    padding_mode: PaddingMode = "zeros",
) -> Array:
    """True convolution of one plane, ``Σ f[i, j] g[m - i, n - j]``: the kernel is turned by 180 degrees first.

    Returns:
        Shape [P, Q]: by default the part where the kernel lies inside the plane.

    Raises:
        ShapeError: sizes don't fit, or an argument is out of range.
    """
    (kernel,) = floats(kernel=(kernel_KL, 2))
    return cross_correlate2d(plane_HW, kernel[::-1, ::-1], stride=stride, padding=padding, padding_mode=padding_mode)


# --- checking -----------------------------------------------------------------------------------------------------


def _plan(
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    stride: int | Sequence[int],
    padding: Padding,
    dilation: int | Sequence[int],
    groups: int,
    mode: PaddingMode,
) -> _Plan:
    O, C_group = w_shape[:2]
    if O < 1:
        raise ShapeError(f"w has shape {list(w_shape)}; expected at least one kernel.")
    if groups < 1 or O % groups or x_shape[1] != C_group * groups:
        raise ShapeError(
            f"x has {x_shape[1]} channels and w has {O} kernels of {C_group} in {groups} groups; expected "
            f"x channels = kernel channels × groups, and kernels to be divisible by groups."
        )
    window, size = Window.of(w_shape[2:], stride, padding, dilation), (x_shape[2], x_shape[3])
    check_mode(mode)
    output = window.output_size(size)
    bare = replace(window, pads=NO_PADS)
    if mode == "zeros":
        return _Plan(bare, window.pads, NO_PADS, mode, groups, size, output)
    return _Plan(bare, NO_PADS, window.pads, mode, groups, window.padded_size(size), output)


def _transposed_plan(
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    stride: int | Sequence[int],
    padding: int | Sequence[int],
    output_padding: int | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
) -> _Plan:
    """The plan of the convolution whose gradient is meant: its output is our input."""
    window = Window.of(w_shape[2:], stride, pair(padding, "padding", 0), dilation)
    extra = pair(output_padding, "output_padding", 0)
    if groups < 1 or x_shape[1] != w_shape[0] or x_shape[1] % groups:
        raise ShapeError(
            f"x has {x_shape[1]} channels, w is for {w_shape[0]}, and there are {groups} groups; expected equal "
            "channels that are divisible by groups."
        )
    rows, columns = (
        transposed_output_size(
            x_shape[2 + axis],
            window.kernel[axis],
            window.stride[axis],
            window.pads[axis][0],
            extra[axis],
            window.dilation[axis],
        )
        for axis in (0, 1)
    )
    bare = replace(window, pads=NO_PADS)
    return _Plan(bare, window.pads, NO_PADS, "zeros", groups, (rows, columns), (x_shape[2], x_shape[3]))


def _bias(b_O: ArrayLike, channels: int, dtype: np.dtype[Any]) -> Array:
    (b,) = floats(b=(b_O, 1))
    same_shape("b", b, (channels,))
    return b.astype(dtype, copy=False)


# --- choosing and running a path ----------------------------------------------------------------------------------


def _path(w_shape: tuple[int, ...], plan: _Plan, *operands: Array) -> ModuleType:
    """The module that computes a convolution of these sizes; of the operands a batch comes first.

    Winograd would spread a NaN over its whole tile, so it gets none.
    """
    O, C = w_shape[:2]
    if winograd.suits((O, C), plan.window, len(operands[0]), plan.output) and is_finite(*operands):
        return winograd
    return batch_last if C <= _FEW_CHANNELS else channels_last


def _in_groups(plan: _Plan, run: Callable[[slice, slice, _Plan], Array], w_shape: tuple[int, ...], axis: int) -> Array:
    """Runs each group by itself (slices of input and of output channels) and joins the results."""
    alone = replace(plan, groups=1)
    O, C = w_shape[0] // plan.groups, w_shape[1]
    parts = [run(slice(g * C, g * C + C), slice(g * O, g * O + O), alone) for g in range(plan.groups)]
    return np.concatenate(parts, axis=axis)


def _is_depthwise(w_shape: tuple[int, ...], plan: _Plan) -> bool:
    return plan.groups == w_shape[0] > 1 and w_shape[1] == 1


def _laid_out(x_NCHW: Array, axes: tuple[int, ...], plan: _Plan) -> Array:
    """Padded with zeros, and contiguous in the order of axes that a path wants; copied at most once."""
    if plan.pads == NO_PADS:
        return np.ascontiguousarray(x_NCHW.transpose(axes))
    shape = (*x_NCHW.shape[:2], *plan.padded_size)
    padded = np.empty([shape[axis] for axis in axes], x_NCHW.dtype)
    as_NCHW = _as_NCHW(padded, axes)
    fill_border(as_NCHW, plan.pads, 0.0)
    inside(as_NCHW, plan.pads)[...] = x_NCHW
    return padded


def _as_NCHW(array: Array, axes: tuple[int, ...]) -> Array:
    """The same memory, seen as [N, C, H, W]."""
    return array.transpose(np.argsort(axes))


def _forward(x_NCHW: Array, w_OCKL: Array, plan: _Plan) -> Array:
    if _is_depthwise(w_OCKL.shape, plan):
        path: ModuleType = depthwise
    elif plan.groups > 1:
        return _in_groups(plan, lambda c, o, alone: _forward(x_NCHW[:, c], w_OCKL[o], alone), w_OCKL.shape, 1)
    else:
        path = _path(w_OCKL.shape, plan, x_NCHW, w_OCKL)
    return _as_NCHW(path.forward(_laid_out(x_NCHW, path.AXES, plan), w_OCKL, plan.window), path.AXES)


def _input_gradient(dy_NOPQ: Array, w_OCKL: Array, plan: _Plan) -> Array:
    if _is_depthwise(w_OCKL.shape, plan):
        path: ModuleType = depthwise
    elif plan.groups > 1:
        return _in_groups(plan, lambda c, o, alone: _input_gradient(dy_NOPQ[:, o], w_OCKL[o], alone), w_OCKL.shape, 1)
    else:
        path = _path(w_OCKL.shape, plan, dy_NOPQ, w_OCKL)
    dy = np.ascontiguousarray(dy_NOPQ.transpose(path.AXES))
    return _as_NCHW(path.input_gradient(dy, w_OCKL, plan.window, plan.padded_size, plan.pads), path.AXES)


def _weight_gradient(dy_NOPQ: Array, x_NCHW: Array, w_shape: tuple[int, ...], plan: _Plan) -> Array:
    if _is_depthwise(w_shape, plan):
        path: ModuleType = depthwise
    elif plan.groups > 1:
        return _in_groups(
            plan,
            lambda c, o, alone: _weight_gradient(dy_NOPQ[:, o], x_NCHW[:, c], (o.stop - o.start, *w_shape[1:]), alone),
            w_shape,
            0,
        )
    else:
        path = _path(w_shape, plan, dy_NOPQ, x_NCHW)
    dy = np.ascontiguousarray(dy_NOPQ.transpose(path.AXES))
    dw: Array = path.weight_gradient(dy, _laid_out(x_NCHW, path.AXES, plan), plan.window)
    return dw
