"""Memory layout of tensors: strided views of buffers, and buffers that share one block of memory.

A tensor keeps ONNX's order of axes (N, C, H, W) while its numbers lie in the order N, H, W, C: only strides tell. So
every operator means what ONNX says, and channels, over which convolutions sum, are neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from svertka.onnx_graph.graph import Array

_ALIGNMENT = 64  # bytes of a cache line


@dataclass(frozen=True, slots=True)
class Layout:
    """A strided view of a buffer.

    Attributes:
        buffer: its number in the plan.
        shape: in ONNX's order.
        strides: in elements.
        dtype: of the elements.
        offset: of the first element, in elements.
    """

    buffer: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int = 0

    @classmethod
    def new(cls, buffer: int, shape: tuple[int, ...], dtype: np.dtype[Any], order: Sequence[int]) -> "Layout":
        """A tensor alone in its buffer, axes laid out in ``order``, the last one with neighbouring elements."""
        strides, step = [0] * len(shape), 1
        for axis in reversed(order):
            strides[axis] = step
            step *= shape[axis]
        return cls(buffer, shape, tuple(strides), dtype)

    @property
    def order(self) -> tuple[int, ...]:
        """Axes from the widest stride to the narrowest; axes of one element keep their place where they can."""
        return tuple(sorted(range(len(self.shape)), key=lambda axis: (-self.strides[axis], axis)))

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie without gaps in ONNX's order."""
        step = 1
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size != 1 and stride != step:
                return False
            step *= size
        return True

    def transposed(self, axes: Sequence[int]) -> "Layout":
        """The same elements with axes in another order."""
        shape, strides = (tuple(values[axis] for axis in axes) for values in (self.shape, self.strides))
        return replace(self, shape=shape, strides=strides)

    def reshaped(self, shape: tuple[int, ...]) -> "Layout | None":
        """The same elements with other sizes, or None where that takes a copy."""
        if not self.contiguous:
            return None
        return replace(Layout.new(self.buffer, shape, self.dtype, range(len(shape))), offset=self.offset)

    def part(self, axis: int, start: int, size: int) -> "Layout":
        """A run of places along one axis."""
        shape = (*self.shape[:axis], size, *self.shape[axis + 1 :])
        return replace(self, shape=shape, offset=self.offset + start * self.strides[axis])

    def view(self, memory: Array, start: int) -> Array:
        """The tensor itself, if its buffer begins at byte ``start`` of ``memory``."""
        size = self.dtype.itemsize
        strides = [stride * size for stride in self.strides]
        return np.ndarray(self.shape, self.dtype, memory, start + self.offset * size, strides)


@dataclass(slots=True)
class Buffer:
    """A run of bytes that holds something from one step to another."""

    size: int
    first: int
    last: int


def place(buffers: Sequence[Buffer]) -> tuple[list[int], int]:
    """Gives each buffer a place so that those that are alive at the same time don't overlap.

    The largest goes first, each to the lowest free place (Pisarchyk and Lee 2020, arXiv 2001.03288, "greedy by size").

    Returns:
        Where each begins, in bytes, and how many bytes that takes in all.
    """
    starts, total = [0] * len(buffers), 0
    placed = np.empty((4, len(buffers)), np.int64)  # start, end, first and last step; by start
    order = sorted(range(len(buffers)), key=lambda index: -buffers[index].size)
    for count, index in enumerate(order):
        buffer, (start, end, first, last) = buffers[index], placed[:, :count]
        alive = np.flatnonzero((first <= buffer.last) & (buffer.first <= last))
        ends = np.concatenate([[0], np.maximum.accumulate(end[alive])])  # of all that lies below
        gaps = np.flatnonzero(start[alive] - ends[:-1] >= buffer.size)
        at = starts[index] = int(ends[gaps[0] if len(gaps) else -1])
        total = max(total, at + buffer.size)
        behind = int(np.searchsorted(start, at))
        placed[:, behind + 1 : count + 1] = placed[:, behind:count]
        placed[:, behind] = at, -(-(at + buffer.size) // _ALIGNMENT) * _ALIGNMENT, buffer.first, buffer.last
    return starts, total


def aligned(size: int) -> Array:
    """Uninitialised bytes that begin at a cache line."""
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size]
