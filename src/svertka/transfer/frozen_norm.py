"""Frozen BatchNorm at no cost: it is folded into the convolution before it, anew in every training step.

With frozen statistics BatchNorm is a fixed scale and shift a channel, yet its backward pass over the whole feature map
is a quarter of a training step. Scaling the convolution's weights instead gives the same network and the same
gradients of weight, scale and shift. Modules and parameter names stay as they are. Torch by nature.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, hardtanh, relu, relu6
from torch.overrides import TorchFunctionMode

from svertka.transfer.bf16_conv import convolve


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

    Only BatchNorm layers that are in evaluation mode now are folded, and they must stay so while it is on. Where torch
    computes in bfloat16 (``torch.autocast``), all convolutions go through ``convolve``, and a folded one does the work
    of the ReLU behind it too.

    Args:
        model: looked at once, with an empty image: which convolution feeds which BatchNorm, and that which ReLU.
        size_px: side of that image.
    """

    def __init__(self, model: nn.Module, size_px: int) -> None:
        super().__init__()
        modes = [(module, module.training) for module in model.modules()]
        live = {id(module.running_mean) for module, training in modes if training and hasattr(module, "running_mean")}
        watch = _Watch()
        with watch, torch.no_grad():
            model.eval()(torch.zeros(1, 3, size_px, size_px))
        for module, training in modes:
            module.training = training
        self._norms = {weight: norm for weight, norm in watch.norms().items() if id(norm.mean) not in live}
        self._limits = watch.limits()

    def __len__(self) -> int:
        """Number of pairs that were found."""
        return len(self._norms)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Computes what torch was asked for: all layers' work at the convolution, nothing at those behind it."""
        kwargs = kwargs or {}
        if func is batch_norm and getattr(args[0], "_normed_by", None) is args[1]:
            return args[0]
        if getattr(args[0] if args else None, "_cut_at", None) is not None and _limit(func, args, kwargs) is not None:
            return args[0]
        if func is not conv2d or len(args) < 2:
            return func(*args, **kwargs)
        x, weight, *rest = args
        norm, limit = self._norms.get(id(weight)), None
        if norm is not None:
            weight, bias = norm.folded_into(weight, rest[0] if rest else kwargs.get("bias"))
            rest, kwargs = [bias, *rest[1:]], {name: value for name, value in kwargs.items() if name != "bias"}
        if _computes_in_bf16() and not isinstance(rest[2] if len(rest) > 2 else kwargs.get("padding"), str):
            limit = self._limits.get(id(args[1])) if norm is not None else None
            output = convolve(x, weight, *rest, **kwargs, limit=limit)
        else:
            output = func(x, weight, *rest, **kwargs)
        if norm is not None:
            output._normed_by, output._cut_at = norm.mean, limit
        return output


def _computes_in_bf16() -> bool:
    return torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") is torch.bfloat16


def _limit(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> float | None:
    """Above what an activation cuts off: infinity for ReLU, 6 for ReLU6; None for anything else."""
    if func in (relu, torch.relu, torch.relu_):
        return math.inf
    if func is relu6:
        return 6.0
    if func is hardtanh:
        low, high = (*args[1:3], *(kwargs.get(name) for name in ("min_val", "max_val")[len(args) - 1 :]))
        return 6.0 if (low, high) == (0, 6) else None
    return None


class _Watch(TorchFunctionMode):
    """Notes who reads the outputs of convolutions, and of the BatchNorm behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []  # ids of the weights that were convolved with
        self.readers: dict[int, list[Norm | None]] = {}  # of their outputs; None is any reader but BatchNorm
        self.cuts: dict[int, list[float | None]] = {}  # limits of the readers of BatchNorm's; None is no ReLU

    def norms(self) -> dict[int, Norm]:
        """The BatchNorm behind a convolution, by the id of its weight, where that is all that reads its output."""
        return {
            weight: readers[0]
            for weight, readers in self.readers.items()
            if self.calls.count(weight) == len(readers) == 1 and readers[0] is not None
        }

    def limits(self) -> dict[int, float]:
        """The limit of the ReLU behind that BatchNorm, likewise."""
        return {weight: cuts[0] for weight, cuts in self.cuts.items() if len(cuts) == 1 and cuts[0] is not None}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if isinstance(output, Tensor | tuple | list):  # reading a size is no use of the numbers
            for tensor in _tensors((*args, *kwargs.values())):
                if weight := getattr(tensor, "_convolved_with", None):
                    norm = None
                    if func is batch_norm and tensor is args[0]:
                        norm = Norm(args[1], args[2], kwargs["weight"], kwargs["bias"], kwargs["eps"])
                        output._normed_after = weight
                    self.readers.setdefault(weight, []).append(norm)
                elif weight := getattr(tensor, "_normed_after", None):
                    self.cuts.setdefault(weight, []).append(_limit(func, args, kwargs))
                    if output is tensor:  # in place: who reads it from now on reads the activation
                        del output._normed_after
        if func is conv2d and len(args) > 1:
            self.calls.append(id(args[1]))
            output._convolved_with = id(args[1])
        return output


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from _tensors(value)
