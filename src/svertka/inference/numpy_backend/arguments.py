"""Resolves the attributes and inputs of a node for the sizes at hand: axes, targets, cuts, pads, windows.

Source: https://onnx.ai/onnx/operators. Functions raise ValueError for what has no meaning; callers name the node.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from svertka.engine.geometry import Pair, Window
from svertka.errors import ShapeError
from svertka.onnx_graph.graph import Array, Node

Shape = tuple[int, ...]

_LARGEST = (2**31 - 1, 2**63 - 1)
"""As an end these mean that of an axis, whichever it is; going backwards, engines differ in what they take them for."""


def integers(values: Array | Sequence[int]) -> list[int]:
    """A vector of whole numbers as Python's own, which don't overflow."""
    array = np.asarray(values)
    if array.ndim > 1:
        raise ValueError(f"it takes an array of sizes {list(array.shape)} where a vector belongs")
    return [int(value) for value in array.ravel().tolist()]


def axis_of(axis: int, ndim: int, places: int | None = None) -> int:
    """An axis of ``ndim``, counted from the front; ``places``: values that it may take, if not the axes alone."""
    places = ndim if places is None else places
    if not -ndim <= axis < places:
        raise ValueError(f"it names axis {axis} of {ndim}")
    return axis + ndim if axis < 0 else axis


def axes_of(node: Node, given: Array | None, ndim: int) -> Shape | None:
    """Axes as an attribute (older operator sets) or as an input (newer ones), counted from the front; None for all."""
    axes = node.get("axes", None) if given is None else integers(given)
    if axes is None:
        return None
    found = tuple(axis_of(axis, ndim) for axis in axes)
    if len(set(found)) < len(found):
        raise ValueError(f"it names an axis twice: {list(axes)}")
    return found


def reduced_axes(node: Node, given: Array | None, ndim: int) -> Shape:
    """Axes that a reduction goes over; none named means all, or none at all if the node says so."""
    axes = axes_of(node, given, ndim)
    return axes or (() if node.get("noop_with_empty_axes", 0) else tuple(range(ndim)))


def softmax_axes(node: Node, ndim: int) -> Shape:
    """One axis; before operator set 13 all from there on, as one ("flattened" is noted by ``standard``)."""
    axis = axis_of(node.get("axis", -1), ndim)
    return tuple(range(axis, ndim)) if node.get("flattened", 0) else (axis,)


def reshape_target(node: Node, shape: Shape, target: Array | None) -> Shape:
    """The sizes that Reshape means: 0 keeps a size, -1 takes what is left."""
    sizes, keeps = integers(() if target is None else target), not node.get("allowzero", 0)
    if keeps:
        if any(size == 0 and axis >= len(shape) for axis, size in enumerate(sizes)):
            raise ValueError(f"the target {sizes} keeps an axis that isn't there")
        sizes = [shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    known, free = math.prod(size for size in sizes if size != -1), sizes.count(-1)
    if free > 1 or min(sizes, default=0) < -1 or (free and not keeps and 0 in sizes):
        raise ValueError(f"the target {sizes} has no meaning")
    if free and known == 0:
        raise ValueError(f"the target {sizes} leaves it open how long an axis is")
    found = tuple(math.prod(shape) // known if size == -1 else size for size in sizes)
    if math.prod(found) != math.prod(shape):
        raise ValueError(f"it cannot bring {list(shape)} to {sizes}")
    return found


def flatten_target(node: Node, shape: Shape) -> Shape:
    """Two axes: those before the node's axis, and the others."""
    axis = axis_of(node.get("axis", 1), len(shape), len(shape) + 1)
    return math.prod(shape[:axis]), math.prod(shape[axis:])


def squeezed(node: Node, shape: Shape, axes: Array | None) -> Shape:
    """Sizes without the axes of one element that are named, or without all of them."""
    over = axes_of(node, axes, len(shape))
    if over == ():
        raise ValueError("its list of axes is empty; the standard leaves open what that means")
    over = tuple(axis for axis, size in enumerate(shape) if size == 1) if over is None else over
    if any(shape[axis] != 1 for axis in over):
        raise ValueError(f"it drops the axes {list(over)}, which are not of size 1 each")
    return tuple(size for axis, size in enumerate(shape) if axis not in over)


def unsqueezed(node: Node, shape: Shape, axes: Array | None) -> Shape:
    """Sizes with axes of one element put in, which are named by their places in the result."""
    count = len(node.get("axes", ()) if axes is None else integers(axes))
    new, old = axes_of(node, axes, len(shape) + count) or (), iter(shape)
    return tuple(1 if axis in new else next(old) for axis in range(len(shape) + count))


def permutation(node: Node, ndim: int) -> Shape:
    """Which axis of the input each axis of a Transpose's result is."""
    axes = tuple(node.get("perm", tuple(reversed(range(ndim)))))
    if sorted(axes) != list(range(ndim)):
        raise ValueError(f"perm is {list(axes)}; expected each of {ndim} axes once")
    return axes


def split_sizes(node: Node, length: int, sizes: Array | None) -> list[int]:
    """How long each part of a Split is: as given, or equal (the last one may then be shorter)."""
    parts = node.get("split", None) if sizes is None else integers(sizes)
    count = len(node.outputs)
    if node.get("num_outputs", count) != count or (parts is not None and "num_outputs" in node.attributes):
        raise ValueError(f"num_outputs is {node.get('num_outputs', count)} beside {count} outputs")
    if parts is None:
        each = -(-length // count)
        if length % count and "num_outputs" not in node.attributes:
            raise ValueError(f"it splits {length} places into {count} equal parts")
        parts = [each] * (count - 1) + [length - each * (count - 1)]
    if len(parts) != count or sum(parts) != length or min(parts) < 0:
        raise ValueError(f"it splits {length} places into {count} parts of {list(parts)}")
    return list(parts)


def cuts_of(node: Node, shape: Shape, given: Sequence[Array | None]) -> tuple[slice, ...]:
    """For each axis the places that a Slice takes.

    ``given`` are starts, ends, axes and steps, None where left out; in older operator sets they are attributes.
    """
    starts, ends, axes, steps = [*given, None, None, None, None][:4]
    begin, end = (integers(node.get(n, ()) if v is None else v) for n, v in (("starts", starts), ("ends", ends)))
    over = axes_of(node, axes, len(shape))
    over = tuple(range(len(begin))) if over is None else over
    by = [1] * len(begin) if steps is None else integers(steps)
    if not len(begin) == len(end) == len(over) == len(by) or len(over) > len(shape):
        raise ValueError(f"it has {len(begin)} starts, {len(end)} ends, {len(over)} axes and {len(by)} steps")
    cuts = [slice(0, size, 1) for size in shape]
    for axis, first, last, step in zip(over, begin, end, by, strict=True):
        cuts[axis] = _cut(first, last, step, shape[axis])
    return tuple(cuts)


def _cut(first: int, last: int, step: int, size: int) -> slice:
    if step == 0 or (step < 0 and last in _LARGEST):
        raise ValueError(f"it goes from {first} to {last} in steps of {step}")
    first, last = (place + size if place < 0 else place for place in (first, last))
    if step > 0:
        return slice(min(max(first, 0), size), min(max(last, 0), size), step)
    first, last = min(max(first, 0), size - 1), min(max(last, -1), size - 1)
    return slice(first, None if last < 0 else last, step) if size else slice(0, 0, 1)


def pads_of(node: Node, shape: Shape, pads: Array | None, axes: Array | None) -> list[tuple[int, int]]:
    """For each axis the places that a Pad adds before and after; negative ones are cut off."""
    amounts = integers(node.get("pads", ()) if pads is None else pads)
    over = axes_of(node, axes, len(shape))
    over = tuple(range(len(shape))) if over is None else over
    if len(amounts) != 2 * len(over):
        raise ValueError(f"it has {len(amounts)} pads for {len(over)} axes")
    width, mode = [(0, 0)] * len(shape), node.get("mode", "constant")
    for axis, before, after in zip(over, amounts[: len(over)], amounts[len(over) :], strict=True):
        width[axis], size = (before, after), shape[axis]
        if mode == "constant":
            if min(before, 0) + min(after, 0) + size < 0:
                raise ValueError(f"it cuts {-before} and {-after} off {size} places")
            continue
        most = {"reflect": size - 1, "wrap": size}.get(mode, math.inf if size else 0)
        if not (0 <= before <= most and 0 <= after <= most):
            raise ValueError(f"it pads {size} places by {before} and {after} in mode {mode!r}")
    return width


def steps_and_pads(node: Node, kernel: Sequence[int], sizes: Sequence[int]) -> tuple[Shape, Shape, list[Pair]]:
    """Strides, dilations and padding (before and after) of a Conv or a pool on a map of ``sizes``, one an axis."""
    n = len(sizes)
    strides, dilations = node.get("strides", (1,) * n), node.get("dilations", (1,) * n)
    auto, pads = node.get("auto_pad", "NOTSET"), node.get("pads", (0,) * 2 * n)
    if (
        not n == len(kernel) == len(strides) == len(dilations) == len(pads) / 2
        or min(*kernel, *strides, *dilations) < 1
    ):
        raise ValueError(
            f"kernel {list(kernel)}, strides {list(strides)}, dilations {list(dilations)} and pads {list(pads)} are no "
            f"window over {n} axes"
        )
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        if max(dilations) > 1:  # ONNX Runtime leaves them out of account, or refuses
            raise ValueError(f"dilations are {list(dilations)} beside auto_pad {auto!r}")
        total = [max((-(-s // t) - 1) * t + r - s, 0) for s, t, r in zip(sizes, strides, reach, strict=True)]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = (*small, *large) if auto == "SAME_UPPER" else (*large, *small)
    elif auto == "VALID":
        pads = (0,) * 2 * n
    if min(pads) < 0 or (node.op != "Conv" and any(pad >= reach[i % n] for i, pad in enumerate(pads))):
        raise ValueError(f"pads are {list(pads)} for a window that spans {'×'.join(map(str, reach))}")
    before, after = list(pads[:n]), list(pads[n:])
    for axis, size in enumerate(sizes):
        room = size + before[axis] + after[axis] - reach[axis]
        left, places = room % strides[axis], -(-room // strides[axis])
        if node.get("ceil_mode", 0) and left and places * strides[axis] < size + before[axis]:
            after[axis] += strides[axis] - left  # the last window starts on the map
        if size + before[axis] + after[axis] < reach[axis]:
            raise ShapeError(
                f"Node {node.name!r} moves a {'×'.join(map(str, kernel))} kernel over a map of "
                f"{'×'.join(map(str, sizes))} with padding {tuple(pads)}: it doesn't fit. Give the network a larger "
                "image."
            )
    return strides, dilations, list(zip(before, after, strict=True))


def windowed(node: Node, kernel: Sequence[int], sizes: Sequence[int]) -> Shape:
    """Sizes of the map behind a Conv or a pool, over any number of axes."""
    strides, dilations, pads = steps_and_pads(node, kernel, sizes)
    axes = zip(sizes, kernel, strides, dilations, pads, strict=True)
    return tuple((size + sum(pad) - (k - 1) * gap - 1) // step + 1 for size, k, step, gap, pad in axes)


def window_of(node: Node, kernel: Sequence[int], sizes: Sequence[int]) -> Window:
    """The window of a Conv or a pool on a map of ``sizes`` (H, W).

    Raises:
        GraphError: it isn't two-dimensional.
        ShapeError: the kernel is larger than the padded map.
    """
    if len(kernel) != 2 or len(sizes) != 2:
        raise node.error(f"goes over {len(kernel)} axes; expected 2 (rows and columns)")
    strides, dilations, (rows, columns) = steps_and_pads(node, kernel, sizes)
    return Window(_pair(kernel), _pair(strides), _pair(dilations), (_pair(rows), _pair(columns)))


def _pair(values: Sequence[int]) -> Pair:
    rows, columns = values
    return int(rows), int(columns)


def scalar(value: Any) -> Any:
    """The one number of a tensor, as a tensor without axes; None stays."""
    if value is None or np.ndim(value) == 0:
        return value
    if np.size(value) != 1 or np.ndim(value) > 1:
        raise ValueError(f"it takes an array of sizes {list(np.shape(value))} where one number belongs")
    return np.reshape(value, ())
