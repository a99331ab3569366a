"""Checks the sizes of a convolution, chooses a path for it, and runs that path.

A *path* is a module with ``AXES`` (how it lays arrays in memory), ``forward``, ``input_gradient`` and
``weight_gradient``.

Shapes: N batch, C/O channels in/out, H/W in, P/Q out, K/L kernel. With groups, kernels have C/groups channels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from svertka.engine.arrays import Array, is_finite
from svertka.engine.fast import batch_last, channels_last, depthwise, winograd
from svertka.engine.fast.threads import share_copy
from svertka.engine.geometry import NO_PADS, Padding, PaddingMode, Pair, Window, check_mode, remembered
from svertka.engine.padding import Pads, fill_border, inside
from svertka.errors import ShapeError

_FEW_CHANNELS = 8
"""Up to here a window's row of pixels is so short a piece of memory that the batch does better innermost."""


@dataclass(frozen=True, slots=True)
class ConvolutionPlan:
    """A checked convolution."""

    window: Window
    pads: Pads
    """Of zeros, written when the input is laid out for a path."""
    border: Pads
    """Pads of the other modes, put around the input beforehand."""
    mode: PaddingMode
    """Of the border."""
    groups: int
    size: Pair
    """Of the input, rows and columns."""
    output: Pair

    @property
    def padded_size(self) -> Pair:
        """Rows and columns that a path sees."""
        return self.size[0] + sum(self.pads[0]), self.size[1] + sum(self.pads[1])


@remembered
def plan_convolution(
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    stride: int | Sequence[int],
    padding: Padding,
    dilation: int | Sequence[int],
    groups: int,
    mode: PaddingMode,
) -> ConvolutionPlan:
    """Checks the sizes of a convolution.

    Raises:
        ShapeError: sizes or channels don't fit, or an argument is out of range.
    """
    O, C_group = w_shape[:2]
    if O < 1:
        raise ShapeError(f"w has shape {list(w_shape)}; expected at least one kernel.")
    if not hasattr(groups, "__index__") or isinstance(groups, bool) or groups < 1:
        raise ShapeError(f"groups is {groups!r}; expected a whole number, at least 1.")
    if O % groups or x_shape[1] != C_group * groups:
        raise ShapeError(
            f"x has {x_shape[1]} channels and w has {O} kernels of {C_group} in {groups} groups; expected "
            f"x channels = kernel channels × groups, and kernels to be divisible by groups."
        )
    window, size = Window.of(w_shape[2:], stride, padding, dilation), (x_shape[2], x_shape[3])
    check_mode(mode)
    output = window.output_size(size)
    bare = replace(window, pads=NO_PADS)
    if mode == "zeros":
        return ConvolutionPlan(bare, window.pads, NO_PADS, mode, groups, size, output)
    return ConvolutionPlan(bare, NO_PADS, window.pads, mode, groups, window.padded_size(size), output)


# --- choosing and running a path ----------------------------------------------------------------------------------


def _path(w_shape: tuple[int, ...], plan: ConvolutionPlan, *operands: Array) -> ModuleType | None:
    """The module that computes a convolution of these sizes; None where each group is a convolution by itself.

    Of the operands a batch comes first. Winograd would spread a NaN over its whole tile, so it gets none.
    """
    O, C = w_shape[:2]
    if plan.groups == O > 1 == C:
        return depthwise
    if plan.groups > 1:
        return None
    if winograd.suits((O, C), plan.window, len(operands[0]), plan.output) and is_finite(*operands):
        return winograd
    return batch_last if C <= _FEW_CHANNELS else channels_last


def _in_groups(
    plan: ConvolutionPlan, run: Callable[[slice, slice, ConvolutionPlan], Array], w_shape: tuple[int, ...], axis: int
) -> Array:
    """Runs each group by itself (slices of input and of output channels) and joins the results."""
    alone = replace(plan, groups=1)
    O, C = w_shape[0] // plan.groups, w_shape[1]
    parts = [run(slice(g * C, g * C + C), slice(g * O, g * O + O), alone) for g in range(plan.groups)]
    return np.concatenate(parts, axis=axis)


def _laid_out(x_NCHW: Array, axes: tuple[int, ...], pads: Pads) -> Array:
    """Padded with zeros, and contiguous in the order of axes that a path wants; copied at most once."""
    laid: Array = x_NCHW.transpose(axes)
    if pads == NO_PADS and laid.flags.c_contiguous:
        return laid
    shape = (*x_NCHW.shape[:2], *(size + sum(pair) for size, pair in zip(x_NCHW.shape[2:], pads, strict=True)))
    padded = np.empty([shape[axis] for axis in axes], x_NCHW.dtype)
    as_NCHW = _as_NCHW(padded, axes)
    fill_border(as_NCHW, pads, 0.0)
    share_copy(inside(as_NCHW, pads), x_NCHW)
    return padded


def _as_NCHW(array: Array, axes: tuple[int, ...]) -> Array:
    """The same memory, seen as [N, C, H, W]."""
    return array.transpose(np.argsort(axes))


def forward(x_NCHW: Array, w_OCKL: Array, plan: ConvolutionPlan) -> Array:
    """The convolution, [N, O, P, Q]; a border other than zeros is there already."""
    path = _path(w_OCKL.shape, plan, x_NCHW, w_OCKL)
    if path is None:
        return _in_groups(plan, lambda c, o, alone: forward(x_NCHW[:, c], w_OCKL[o], alone), w_OCKL.shape, 1)
    return _as_NCHW(path.forward(_laid_out(x_NCHW, path.AXES, plan.pads), w_OCKL, plan.window), path.AXES)


def input_gradient(dy_NOPQ: Array, w_OCKL: Array, plan: ConvolutionPlan) -> Array:
    """Gradient of what ``forward`` took, [N, C, H, W]."""
    path = _path(w_OCKL.shape, plan, dy_NOPQ, w_OCKL)
    if path is None:
        return _in_groups(plan, lambda c, o, alone: input_gradient(dy_NOPQ[:, o], w_OCKL[o], alone), w_OCKL.shape, 1)
    dy = _laid_out(dy_NOPQ, path.AXES, NO_PADS)
    return _as_NCHW(path.input_gradient(dy, w_OCKL, plan.window, plan.padded_size, plan.pads), path.AXES)


def weight_gradient(dy_NOPQ: Array, x_NCHW: Array, w_shape: tuple[int, ...], plan: ConvolutionPlan) -> Array:
    """Gradient of the kernels, [O, C, K, L]; ``x_NCHW`` as ``forward`` took it."""
    path = _path(w_shape, plan, dy_NOPQ, x_NCHW)
    if path is None:
        shape = (w_shape[0] // plan.groups, *w_shape[1:])
        return _in_groups(
            plan, lambda c, o, alone: weight_gradient(dy_NOPQ[:, o], x_NCHW[:, c], shape, alone), w_shape, 0
        )
    dy = _laid_out(dy_NOPQ, path.AXES, NO_PADS)
    dw: Array = path.weight_gradient(dy, _laid_out(x_NCHW, path.AXES, plan.pads), plan.window)
    return dw
