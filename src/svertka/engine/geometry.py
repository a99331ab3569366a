"""Geometry of convolution and pooling: windows, output sizes, receptive fields. Plain integers, no arrays.

Shapes: H/W rows and columns in, P/Q out, K/L kernel.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any, Literal, ParamSpec, TypeVar, get_args

from svertka.errors import ShapeError, did_you_mean

Pair = tuple[int, int]
Padding = int | Sequence[int] | Literal["same", "valid"]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
NO_PADS = ((0, 0), (0, 0))

_P = ParamSpec("_P")
_R = TypeVar("_R")


def remembered(plan: Callable[_P, _R]) -> Callable[_P, _R]:
    """Keeps what a function of sizes has found: a network asks for the same at every step."""

    @lru_cache(256, typed=True)
    def kept(_: tuple[type, ...], *args: Any) -> _R:
        return plan(*args)  # type: ignore[call-arg]

    @wraps(plan)
    def find(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        # Inside of a tuple the cache takes 2.0 and 2 for the same, and the first is a mistake.
        kinds = tuple(type(number) for argument in args if isinstance(argument, tuple) for number in argument)
        known = not kwargs
        try:
            hash(args)
        except TypeError:  # a list, say, which can't be looked up
            known = False
        return kept(kinds, *args) if known else plan(*args, **kwargs)

    return find


def pair(value: int | Sequence[int], name: str, at_least: int) -> Pair:
    """One number for both axes, or one each for rows and columns.

    Raises:
        ShapeError: not one or two whole numbers, or one below ``at_least``.
    """
    value = value.tolist() if hasattr(value, "tolist") else value  # an array of two numbers
    numbers = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value, value)
    whole = all(hasattr(number, "__index__") and not isinstance(number, bool) for number in numbers)
    if len(numbers) != 2 or not whole:
        raise ShapeError(f"{name} is {value!r}; expected a whole number, or two for rows and columns.")
    rows, columns = (int(number) for number in numbers)
    if min(rows, columns) < at_least:
        raise ShapeError(f"{name} is {value!r}; expected at least {at_least}.")
    return rows, columns


@dataclass(frozen=True, slots=True)
class Window:
    """A kernel's size and its steps over a plane."""

    kernel: Pair
    """Rows and columns (K, L)."""
    stride: Pair = (1, 1)
    """Pixels from one output to the next."""
    dilation: Pair = (1, 1)
    """Pixels from one kernel element to the next."""
    pads: tuple[Pair, Pair] = NO_PADS
    """Rows added above and below, columns added left and right."""

    @classmethod
    def of(
        cls,
        kernel: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: Padding = 0,
        dilation: int | Sequence[int] = 1,
    ) -> "Window":
        """Checks and resolves the arguments of a convolution or pooling.

        Raises:
            ShapeError: a number is out of range, or ``padding`` is no known word.
        """
        size, steps, gaps = pair(kernel, "kernel", 1), pair(stride, "stride", 1), pair(dilation, "dilation", 1)
        if padding == "same" and steps != (1, 1):
            raise ShapeError(
                f'padding is "same" with stride {stride}; expected stride 1. Give the padding as a number.'
            )
        if padding == "same":  # an odd pixel goes below and right, as in torch
            totals = [gap * (length - 1) for gap, length in zip(gaps, size, strict=True)]
            vertical, horizontal = ((total // 2, total - total // 2) for total in totals)
        elif isinstance(padding, str) and padding != "valid":
            raise ShapeError(f'padding is {padding!r}; expected a number, a pair, "same" or "valid".')
        else:
            rows, columns = (0, 0) if isinstance(padding, str) else pair(padding, "padding", 0)
            vertical, horizontal = (rows, rows), (columns, columns)
        return cls(size, steps, gaps, (vertical, horizontal))

    def output_size(self, size: Pair) -> Pair:
        """Rows and columns of the output for an input of ``size``.

        Raises:
            ShapeError: the kernel is larger than the padded input.
        """
        P, Q = (
            output_size(length, self.kernel[axis], self.stride[axis], self.pads[axis], self.dilation[axis])
            for axis, length in enumerate(size)
        )
        return P, Q

    @property
    def before(self) -> Pair:
        """Rows added above and columns added left."""
        return self.pads[0][0], self.pads[1][0]

    def span(self, axis: int, outputs: int) -> int:
        """How many rows (axis 0) or columns (1) of the padded plane that many neighbouring outputs see together."""
        return (outputs - 1) * self.stride[axis] + (self.kernel[axis] - 1) * self.dilation[axis] + 1

    def padded_size(self, size: Pair) -> Pair:
        """Rows and columns after padding."""
        return size[0] + sum(self.pads[0]), size[1] + sum(self.pads[1])

    def taps(self, output: Pair) -> Iterator[tuple[int, int, slice, slice]]:
        """For each kernel element (k, l): the rows and columns of the padded plane that it meets over all outputs."""
        for k in range(self.kernel[0]):
            for l in range(self.kernel[1]):
                yield k, l, self.steps(0, k, output[0]), self.steps(1, l, output[1])

    def steps(self, axis: int, element: int, outputs: int) -> slice:
        """The rows (axis 0) or columns (1) of the padded plane that one kernel element meets over all outputs."""
        start, stride = element * self.dilation[axis], self.stride[axis]
        return slice(start, start + (outputs - 1) * stride + 1, stride)


def output_size(size: int, kernel: int, stride: int = 1, padding: int | Pair = 0, dilation: int = 1) -> int:
    """Output length along one axis: ``floor((size + pads - dilation·(kernel - 1) - 1) / stride) + 1``.

    Raises:
        ShapeError: a number is out of range, or the kernel is larger than the padded input.
    """
    before, after = pair(padding, "padding", 0)
    for name, value in (("size", size), ("kernel", kernel), ("stride", stride), ("dilation", dilation)):
        if value < 1:
            raise ShapeError(f"{name} is {value}; expected at least 1.")
    padded, extent = size + before + after, dilation * (kernel - 1) + 1
    if extent > padded:
        raise ShapeError(
            f"A kernel of {kernel} with dilation {dilation} spans {extent} pixels, but the input has {size} and "
            f"padding adds {before + after}; expected a kernel no larger than the padded input. Pad more."
        )
    return (padded - extent) // stride + 1


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """What one number of a feature map sees of the input, along one axis.

    Source: Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019.
    """

    size_px: int = 1
    """Pixels that can change it."""
    stride_px: int = 1
    """Pixels between the fields of two neighbours."""
    start_px: int = 0
    """First pixel that the first number sees; negative where it begins in the padding."""

    def through(self, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> "ReceptiveField":
        """The field after one more convolution or pooling.

        Raises:
            ShapeError: a number is out of range.
        """
        numbers = (("kernel", kernel, 1), ("stride", stride, 1), ("padding", padding, 0), ("dilation", dilation, 1))
        for name, value, least in numbers:
            if value < least:
                raise ShapeError(f"{name} is {value}; expected at least {least}.")
        return ReceptiveField(
            self.size_px + dilation * (kernel - 1) * self.stride_px,
            self.stride_px * stride,
            self.start_px - padding * self.stride_px,
        )

    def within(self, number: int, length_px: int) -> Pair:
        """First pixel, and the one behind the last, that a number sees of an input of this length; at least one."""
        start = self.start_px + self.stride_px * number
        first = min(max(0, start), length_px - 1)
        return first, max(first + 1, min(length_px, start + self.size_px))


def receptive_field(layers: Iterable[tuple[int, ...]]) -> ReceptiveField:
    """The receptive field after a stack of convolutions and poolings, the first layer first.

    Each is (kernel, stride, padding) or (kernel, stride, padding, dilation).

    Raises:
        ShapeError: a number is out of range.
    """
    field = ReceptiveField()
    for layer in layers:
        field = field.through(*layer)
    return field


def check_mode(mode: str) -> None:
    """Raises ShapeError unless ``mode`` names a way to pad."""
    known = get_args(PaddingMode)
    if mode not in known:
        raise ShapeError(f"padding_mode is {mode!r}; expected one of {', '.join(known)}.{did_you_mean(mode, known)}")
