"""Folds frozen BatchNorm into the convolution before it, anew in every training step.

With frozen statistics BatchNorm is a fixed scale and shift a channel, yet its backward pass over the whole feature map
is a quarter of a training step. Scaling the convolution's weights instead gives the same network and the same
gradients of weight, scale and shift. Modules and parameter names stay as they are. Imports torch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d
from torch.overrides import TorchFunctionMode

from svertka.architectures.base import tensors_in
from svertka.training.bf16_gradients import convolve


@dataclass(frozen=True, slots=True)
class Norm:
    """What a frozen BatchNorm computes with: ``(x - mean) * weight / sqrt(var + eps) + bias``, each [C]."""

    mean: Tensor
    var: Tensor
    weight: Tensor | None
    bias: Tensor | None
    eps: float

    def folded_into(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """Weight [C, …] and bias [C] of the one convolution that does the work of both."""
        scale = torch.rsqrt(self.var + self.eps)
        scale = scale if self.weight is None else scale * self.weight
        shift = -self.mean if bias is None else bias - self.mean
        shift = shift * scale if self.bias is None else torch.addcmul(self.bias, shift, scale)
        return weight * scale[:, None, None, None], shift


class FoldedNorms(TorchFunctionMode):
    """While it is on (``with``), each convolution whose only reader is a BatchNorm does the work of both.

    Only BatchNorm layers that are in evaluation mode now are folded, and they must stay so while it is on.

    Args:
        model: looked at once, with an empty image: which convolution feeds which BatchNorm.
        size_px: side of that image.
        bf16_gradients: compute the gradients of all convolutions in bfloat16.
    """

    def __init__(self, model: nn.Module, size_px: int, *, bf16_gradients: bool = False) -> None:
        super().__init__()
        self._convolve = convolve if bf16_gradients else conv2d
        modes = [(module, module.training) for module in model.modules()]
        live = {id(module.running_mean) for module, training in modes if training and hasattr(module, "running_mean")}
        watch = _Watch()
        with watch, torch.no_grad():
            model.eval()(torch.zeros(1, 3, size_px, size_px))
        for module, training in modes:
            module.training = training
        self._norms = {weight: norm for weight, norm in watch.norms().items() if id(norm.mean) not in live}

    def __len__(self) -> int:
        """Number of pairs that were found."""
        return len(self._norms)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Computes what torch was asked for: two layers' work at the convolution, nothing at its BatchNorm."""
        if func is batch_norm and getattr(args[0], "_normed_by", None) is args[1]:
            return args[0]
        if func is not conv2d or len(args) < 2:
            return func(*args, **(kwargs or {}))
        x, weight, *rest = args
        named = dict(zip(("bias", "stride", "padding", "dilation", "groups"), rest, strict=False)) | dict(kwargs or {})
        norm = self._norms.get(id(weight))
        if norm is not None:
            weight, named["bias"] = norm.folded_into(weight, named.get("bias"))
        output: Any = self._convolve(x, weight, **named)
        if norm is not None:
            output._normed_by = norm.mean
        return output


class _Watch(TorchFunctionMode):
    """Notes who reads the outputs of convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []  # ids of the weights that were convolved with
        self.readers: dict[int, list[Norm | None]] = {}  # of their outputs; None is any reader but BatchNorm

    def norms(self) -> dict[int, Norm]:
        """The BatchNorm behind a convolution, by the id of its weight, where that is all that reads its output."""
        return {
            weight: readers[0]
            for weight, readers in self.readers.items()
            if self.calls.count(weight) == len(readers) == 1 and readers[0] is not None
        }

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if isinstance(output, Tensor | tuple | list):  # reading a size is no use of the numbers
            for tensor in tensors_in((*args, *kwargs.values())):
                if weight := getattr(tensor, "_convolved_with", None):
                    norm = None
                    if func is batch_norm and tensor is args[0]:
                        norm = Norm(args[1], args[2], kwargs["weight"], kwargs["bias"], kwargs["eps"])
                    self.readers.setdefault(weight, []).append(norm)
        if func is conv2d and len(args) > 1:
            self.calls.append(id(args[1]))
            output._convolved_with = id(args[1])
        return output
