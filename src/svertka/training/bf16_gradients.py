"""A dense convolution whose gradients are computed in bfloat16. Imports torch.

Where the processor has units that multiply bfloat16 matrices (Intel's AMX), the gradients take a fifth to a ninth of
their time, and they are two thirds of a training step. They are also the only part of it that may be rough: rounded
gradients are off by about a hundredth, in no direction. A forward pass in bfloat16 moves features by a fixed amount, up
to many of their standard deviations, and the network is then judged on others than it was trained on (fine-tuned on
100 digits a class, it had an accuracy of 0.83 instead of 0.94). So the forward pass stays as it is.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d
from torch.overrides import TorchFunctionMode

from svertka.config import FineTune
from svertka.errors import ConfigError

WORTH_IT = 24
"""Multiply-adds of a gradient for each number that must be rounded, from which on rounding costs less than it saves."""


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """``torch.nn.functional.conv2d``, with its arguments and result; gradients in bfloat16 where that saves time."""
    if isinstance(padding, str) or groups > 1 or weight.numel() < WORTH_IT * sum(weight.shape[:2]):
        return conv2d(x, weight, bias, stride, padding, dilation, groups)
    output: Tensor = _Convolution.apply(x, weight, bias, (_pair(stride), _pair(padding), _pair(dilation)))
    return output


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, sizes: tuple[Any, ...]) -> Tensor:
        ctx.save_for_backward(x.to(torch.bfloat16), weight.to(torch.bfloat16))
        ctx.sizes, ctx.bias_sizes = sizes, None if bias is None else [len(bias)]
        return conv2d(x, weight, bias, *sizes)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradients = torch.ops.aten.convolution_backward(
            g.to(torch.bfloat16), x, weight, ctx.bias_sizes, *ctx.sizes, False, (0, 0), 1, ctx.needs_input_grad[:3]
        )
        return (*gradients, None)


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    first, second = value if len(value) == 2 else (value[0], value[0])
    return first, second


class Bf16Gradients(TorchFunctionMode):
    """While it is on (``with``), convolutions compute their gradients in bfloat16 where that saves time."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """``convolve`` instead of ``conv2d``, anything else as it is."""
        return (convolve if func is conv2d else func)(*args, **(kwargs or {}))


def quick_gradients() -> AbstractContextManager[object]:
    """``Bf16Gradients`` where the processor has matrix units, nothing elsewhere."""
    return Bf16Gradients() if has_matrix_units() else nullcontext()


def wants_bf16(settings: FineTune) -> bool:
    """Whether gradients are computed in bfloat16: as asked for, else where the processor multiplies matrices of it."""
    if settings.precision == "auto":
        return has_matrix_units()
    return settings.precision == "bf16"


def has_matrix_units() -> bool:
    """Whether the processor has units for products of bfloat16 matrices (Intel's AMX), and torch uses them."""
    return bool(torch.backends.mkldnn.enabled) and torch.cpu._is_amx_tile_supported()


def check_precision(settings: FineTune) -> None:
    """Refuses bfloat16 where the processor would only imitate it.

    Raises:
        ConfigError: it has no instructions for it.
    """
    if settings.precision == "bf16" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        raise ConfigError(
            "precision is 'bf16', but this processor has no bfloat16 instructions; expected 'float32' or 'auto'."
        )
