"""Convolutions of a training step in bfloat16, by the quick kernels alone. Torch by nature.

oneDNN, which computes torch's convolutions on processors, has quick bfloat16 code for all passes of a dense convolution.
Of a depthwise one it has none for the input's gradient where the kernel strides, nor for the weight's where the kernel
is larger than 3 × 3: a plain loop does those, 10 to 60 times as slow. Both can be had from passes that are quick. An
activation is computed in the convolution's own pass, for in bfloat16 it costs as much as the convolution.
"""

from collections.abc import Sequence
from math import inf
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

_aten = torch.ops.aten


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    limit: float | None = None,
) -> Tensor:
    """``conv2d`` in bfloat16, with an activation.

    Args:
        x: [N, C, H, W]; it, weight and bias are rounded to bfloat16.
        weight: [O, C / groups, K, L].
        bias: [O].
        stride: of the kernel, likewise padding, dilation and groups.
        padding: zeros around.
        dilation: distance of the kernel's elements.
        groups: of channels.
        limit: None for no activation; infinity for ReLU, 6 for ReLU6.

    Returns:
        [N, O, P, Q] in bfloat16.
    """
    sizes = (_pair(stride), _pair(padding), _pair(dilation), groups)
    rounded = (None if tensor is None else tensor.to(torch.bfloat16) for tensor in (x, weight, bias))
    output: Tensor = _Convolution.apply(*rounded, sizes, limit)
    return output


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, sizes: tuple[Any, ...], limit: float | None
    ) -> Tensor:
        stride, padding, dilation, groups = sizes
        if limit is None:
            y = torch.conv2d(x, weight, bias, stride, padding, dilation, groups)
        else:
            activation = ("relu", []) if limit == inf else ("hardtanh", [0.0, limit])
            y = torch.ops.mkldnn._convolution_pointwise(
                x, weight, bias, padding, stride, dilation, groups, *activation, ""
            )
        ctx.save_for_backward(x, weight, y if limit is not None else None)
        ctx.sizes, ctx.limit, ctx.has_bias = sizes, limit, bias is not None
        return y

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, y = ctx.saved_tensors
        if ctx.limit is not None:
            g = _aten.threshold_backward(g, y, 0) if ctx.limit == inf else _aten.hardtanh_backward(g, y, 0, ctx.limit)
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        stride, padding, dilation, groups = ctx.sizes
        if not _is_depthwise(x, weight, ctx.sizes):
            found = _aten.convolution_backward(
                g, x, weight, [len(weight)] if ctx.has_bias else None,
                stride, padding, dilation, False, (0, 0), groups, (needs_x, needs_weight, needs_bias),
            )  # fmt: skip
            return (*found, None, None)
        return (
            _input_gradient(g, x, weight, stride[0], padding[0]) if needs_x else None,
            _weight_gradient(g, x, weight, stride[0], padding[0]) if needs_weight else None,
            g.sum((0, 2, 3)) if needs_bias else None,
            None,
            None,
        )


def _is_depthwise(x: Tensor, weight: Tensor, sizes: tuple[Any, ...]) -> bool:
    """Whether the two passes below can take it: one square odd kernel a channel, with nothing unusual about it."""
    stride, padding, dilation, groups = sizes
    side, across = weight.shape[2:]
    return bool(
        x.shape[1] == len(weight) == groups > 1
        and side == across
        and side % 2 == 1
        and side > 1
        and stride[0] == stride[1]
        and padding[0] == padding[1] < side
        and dilation == (1, 1)
    )


def _input_gradient(g: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """A forward pass of the turned kernel over the gradient, with zeros in the places that the stride passed over."""
    count, channels, height, width = x.shape
    side = weight.shape[-1]
    if stride > 1:
        shape = (count, channels, height + 2 * padding - side + 1, width + 2 * padding - side + 1)
        spread = torch.empty(shape, dtype=g.dtype, memory_format=torch.channels_last).zero_()
        spread[:, :, ::stride, ::stride] = g
        g = spread
    return torch.conv2d(g, weight.flip(2, 3), None, 1, side - 1 - padding, 1, channels)


def _weight_gradient(g: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """The gradient of a kernel, 3 × 3 elements at a time: those of a part are a small kernel's over a shifted input."""
    side, channels = weight.shape[-1], len(weight)

    def of_part(part: Tensor, around: int) -> Tensor:
        found: Tensor = _aten.convolution_backward(
            g, part, weight[:, :, :3, :3], None,
            (stride, stride), (around, around), (1, 1), False, (0, 0), channels, (False, True, False),
        )[1]  # fmt: skip
        return found

    if side == 3:
        return of_part(x, padding)
    padded = pad(x, (padding,) * 4)
    rows, columns = (stride * (length - 1) + 3 for length in g.shape[2:])
    gradient = torch.empty_like(weight)
    for top in range(0, side - 2, 2):
        for left in range(0, side - 2, 2):
            part = padded[:, :, top : top + rows, left : left + columns]
            part = part.contiguous(memory_format=torch.channels_last)
            gradient[:, :, top : top + 3, left : left + 3] = of_part(part, 0)
    return gradient


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    first, second = value if len(value) == 2 else (value[0], value[0])
    return first, second
