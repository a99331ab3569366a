"""The base class of all architectures: what input a network takes, and clear errors for the rest. Imports torch."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from svertka.errors import ConfigError, ShapeError

Entry = TypeVar("Entry")


class Network(nn.Module):
    """A classifier of images [N, C, H, W].

    Attributes:
        in_channels: C.
        smallest_px: the smallest H and W at which no layer fails and none that strides sees a single pixel.
    """

    def __init__(self, in_channels: int, smallest_px: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.smallest_px = smallest_px
        self.register_forward_pre_hook(_check_input)


def _check_input(network: Network, args: tuple[Any, ...]) -> None:
    """Raises ShapeError on what the network cannot take; while it is traced, shapes are no numbers to ask."""
    x = args[0] if args else None
    if not isinstance(x, Tensor) or torch.jit.is_tracing():  # type: ignore[attr-defined,no-untyped-call]
        return
    name, channels, smallest = type(network).__name__, network.in_channels, network.smallest_px
    expected = f"expected [N, {channels}, H, W] with H and W of at least {smallest}"
    if x.ndim != 4:
        raise ShapeError(
            f"{name} was given a tensor of shape {list(x.shape)}; {expected}. Add the missing axes with x[None]."
        )
    if x.shape[1] != channels:
        raise ShapeError(
            f"{name} was given images with {_count(x.shape[1], 'channel')}, shape {list(x.shape)}; {expected}. "
            f"Build it with in_channels={x.shape[1]}, or convert the images."
        )
    if min(x.shape[2:]) < smallest:
        raise ShapeError(
            f"{name} was given images of {x.shape[2]}×{x.shape[3]} px, too small for its stem; {expected}. "
            "Enlarge the images, or take its form for small images if it has one: --small on the command line, "
            "small_images=True in Python."
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def of_depth(table: Mapping[int, Entry], depth: int, family: str) -> Entry:
    """What the table of a paper says of a depth.

    Raises:
        ConfigError: the paper has none of this depth.
    """
    if depth not in table:
        raise ConfigError(f"depth of {family} is {depth}; expected one of {', '.join(map(str, table))}.")
    return table[depth]


@contextmanager
def as_shape_error(name: str, size: str, what_to_do: str) -> Iterator[None]:
    """Turns what networks of any library raise where an image doesn't fit them into a ShapeError.

    Raises:
        ShapeError: the network ``name`` cannot take images of this size.
    """
    try:
        yield
    except ShapeError:
        raise
    except (RuntimeError, AssertionError, ValueError) as error:  # each library has its own
        said = str(error).partition("\n")[0]
        raise ShapeError(f"{name} cannot take an image of {size} ({said}); {what_to_do}") from error


def he_initialise(network: nn.Module, mode: Literal["fan_in", "fan_out"] = "fan_out") -> None:
    """Draws convolutions from N(0, 2/fan); biases start at zero (He et al. 2015, arXiv 1502.01852, section 2.2).

    ``"fan_out"`` keeps the variance of gradients, ``"fan_in"`` that of activations.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def tensors_in(values: Sequence[Any]) -> Iterator[Tensor]:
    """All tensors in an operation's arguments or outputs, also those in tuples and lists."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from tensors_in(value)
