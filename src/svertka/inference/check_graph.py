"""Checks a stranger's graph before it runs: known operators in order, and sizes that are known in advance.

Every tensor's sizes are worked out for every number of images that a call may hold, so a graph cannot be small when it
is looked at and large when it runs. What would need more memory or arithmetic than a classifier does isn't opened.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from svertka.errors import BundleError, GraphError, ShapeError, one_line
from svertka.inference.numpy_backend.operators import evaluate
from svertka.inference.numpy_backend.shape_rules import Sizes
from svertka.inference.onnxruntime_session import IMAGE, batch_size
from svertka.inference.size_rules import RULES, SAME_SIZES, einsum_lengths, results_of
from svertka.onnx_graph.graph import Array, Graph, Node, Port
from svertka.onnx_graph.reader import read
from svertka.onnx_graph.self_contained import check_self_contained

MOST_BYTES = 1 << 30
"""Of the tensors that are alive at the same time, without the weights. VGG-19 on four images of 512 px takes 0.5 GB."""

MOST_PRODUCTS = 2 * 10**12
"""Multiplications a call. ConvNeXt-XXL on four images of 256 px takes 0.8 · 10¹²."""

_FEW = 4096
"""Numbers of a tensor that sizes may be computed from."""

_MOST_AXES = 16
"""Of a tensor."""

_EXACT = 2**53
_WHOLE = frozenset(
    "allowzero axes axis batch_dims blocksize ceil_mode count_include_pad dilations end exclusive fmod group k "
    "keepdims kernel_shape largest noop_with_empty_axes num_groups num_outputs p pads perm select_last_index size "
    "sorted split start storage_order strides to training_mode transA transB upper value_int value_ints".split()
)
_REAL = frozenset("alpha beta bias epsilon gamma lambd max min momentum scales value_float value_floats".split())
_MISFITS = (ValueError, IndexError, TypeError, KeyError, OverflowError, ZeroDivisionError, AttributeError)

# Operators that compute sizes from sizes; small results are followed through them.
_FOLLOWED = frozenset(
    "Add And Cast Ceil Concat Constant ConstantOfShape Div Equal Expand Flatten Floor Gather Greater GreaterOrEqual "
    "Identity Less LessOrEqual Max Min Mod Mul Neg Not Or Range ReduceMax ReduceMin ReduceProd ReduceSum Reshape Shape "
    "Size Slice Split Sqrt Squeeze Sub Tile Transpose Unsqueeze Where".split()
)


def check_graph(content: bytes, side: int, name: str = "model.onnx") -> Mapping[str, tuple[int, ...]]:
    """Refuses a graph that no classifier needs, before anything of it is run.

    Args:
        content: the serialised model.
        side: of the images, in pixels.
        name: for the message.

    Returns:
        Sizes of the graph's outputs for one image.

    Raises:
        BundleError: it is no plain ONNX model (see ``self_contained``), takes something else than images, has an
            operator that isn't known, a circle, too many nodes, sizes that don't fit or aren't known, or needs too much
            memory or arithmetic.
    """
    check_self_contained(content, name)
    try:
        graph = read(content, copy=False)
    except (GraphError, *_MISFITS, MemoryError) as error:
        raise BundleError(f"{name} cannot be read: {one_line(error)}") from None
    port = _image_port(graph, side, name)
    _check_operators(graph, name)
    found = {}
    for n in _counts(graph, port, side):
        found = _Walk(graph, name).outputs(Sizes((n, side, side, 3), port.dtype))
        rows = next((one for one, shape in found.items() if shape[:1] != (n,)), None)
        if rows is not None:
            raise BundleError(f"{name} gives {list(found[rows])} as {rows!r:.80} for {n} images; expected {n} rows.")
    return found


def _counts(graph: Graph, port: Port, side: int) -> Sequence[int]:
    """Numbers of images that tell all: sizes that are computed from sizes may be others for each."""
    if port.shape[0] is not None:
        return (port.shape[0],)
    if any(node.op in ("Shape", "Size") for node in graph.nodes):
        return range(batch_size(side), 0, -1)
    return sorted({batch_size(side), 1}, reverse=True)


def _image_port(graph: Graph, side: int, name: str) -> Port:
    port = graph.inputs[0] if len(graph.inputs) == 1 else None
    fits = port is not None and (port.name, str(port.dtype), len(port.shape)) == (IMAGE, "uint8", 4)
    if (
        port is None
        or not fits
        or any(a not in (None, b) for a, b in zip(port.shape[1:], (side, side, 3), strict=True))
    ):
        takes = [(port.name[:80], str(port.dtype), list(port.shape[1:])) for port in graph.inputs[:3]]
        raise BundleError(
            f"{name} takes {takes}; expected one input, {IMAGE!r}, uint8 [N, {side}, {side}, 3], as the manifest's "
            "preprocess says. The files belong to different bundles."
        )
    if port.shape[0] is not None and not 1 <= port.shape[0] <= batch_size(side):
        raise BundleError(f"{name} takes {port.shape[0]} images a call; expected any number.")
    return port


def _check_operators(graph: Graph, name: str) -> None:
    for node in graph.nodes:
        if node.op not in RULES:
            raise BundleError(
                f"{name} has a {node.op:.80} (node {node.name!r:.80}); expected operators of an image classifier: "
                "plain arithmetic on tensors. It was not opened."
            )
        wrong = next((key for key, value in node.attributes.items() if not _is_of_kind(key, value)), None)
        if wrong is not None:
            raise BundleError(
                f"{name}: node {node.name!r:.80} has {wrong} {node.attributes[wrong]!r:.80}; that is no number."
            )


def _is_of_kind(key: str, value: object) -> bool:
    """Whether a setting of an operator that holds numbers holds numbers of the right kind."""
    kind = int if key in _WHOLE else float if key in _REAL else None
    return kind is None or all(type(one) is kind for one in (value if isinstance(value, tuple) else (value,)))


class _Walk:
    """Sizes of all tensors for one size of the input, in the order in which they are made."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name
        self.sizes = {key: Sizes(value.shape, value.dtype) for key, value in graph.constants.items()}
        self.numbers = {key: value for key, value in graph.constants.items() if value.size <= _FEW}
        self.last = {one: at for at, node in enumerate(graph.nodes) for one in node.inputs}
        self.last |= dict.fromkeys(graph.outputs, len(graph.nodes))
        self.alive = self.products = 0

    def outputs(self, image: Sizes) -> dict[str, tuple[int, ...]]:
        self.sizes[IMAGE] = image
        self.alive = image.count
        for at, node in enumerate(self.graph.nodes):
            inputs = [self.sizes[one] if one else None for one in node.inputs]
            found = self._results(node, inputs)
            self._count(at, node, inputs, found)
        return {one: self.sizes[one].shape for one in self.graph.outputs}

    def _results(self, node: Node, inputs: list[Sizes | None]) -> list[Sizes]:
        values = [self.numbers.get(one) if one else None for one in node.inputs]
        try:
            found = results_of(node, inputs, values)
            if any(len(one.shape) > _MOST_AXES or not all(0 <= size < _EXACT for size in one.shape) for one in found):
                raise ValueError(f"it would give {[list(one.shape) for one in found][:3]}")
            self._follow(node, inputs, values, found)
        except (GraphError, ShapeError) as error:  # it names the node
            raise BundleError(f"{self.name}: {one_line(error)}. It was not opened.") from None
        except _MISFITS as error:
            sizes = [list(one.shape) if one else None for one in inputs[:4]]
            missing = isinstance(error, IndexError | TypeError) and (not inputs or None in inputs)
            why = "an input that it needs is missing" if missing else one_line(error)
            raise BundleError(
                f"{self.name}: node {node.name!r:.80}, a {node.op}, cannot take inputs of sizes {sizes}: {why}. "
                "It was not opened."
            ) from None
        if len(found) < len(node.outputs):
            raise BundleError(f"{self.name}: node {node.name!r:.80}, a {node.op}, gives {len(found)} tensors.")
        return found

    def _follow(
        self, node: Node, inputs: list[Sizes | None], values: list[Array | None], found: Sequence[Sizes]
    ) -> None:
        """Keeps the numbers of a node's results, where these are few and follow from known ones, or from sizes."""
        if node.op in ("Shape", "Size") and inputs[0]:
            values = [np.broadcast_to(np.ones((), inputs[0].dtype), inputs[0].shape)]  # takes no memory
        known = all(value is not None for one, value in zip(inputs, values, strict=True) if one)
        if node.op not in _FOLLOWED or not known or any(one.count > _FEW for one in found):
            return
        if node.op == "Cast" and not _fits(values[0]):
            return
        with np.errstate(all="ignore"):
            results = evaluate(node, values)
        for name, sizes, value in zip(node.outputs, found, results, strict=False):
            alike = (value.shape, value.dtype) == (sizes.shape, sizes.dtype)
            if name and alike and (node.op == "Constant" or _fits(value)):
                self.numbers[name] = value

    def _count(self, at: int, node: Node, inputs: list[Sizes | None], found: list[Sizes]) -> None:
        """Adds up memory and arithmetic."""
        made = {one: sizes for one, sizes in zip(node.outputs, found, strict=False) if one}
        self.sizes |= made
        ended = [
            one
            for one in dict.fromkeys(node.inputs)
            if one and self.last[one] == at and one not in self.graph.constants
        ]
        freed = sum(self.sizes[one].bytes for one in ended)
        reused = node.op in SAME_SIZES and bool(ended) and node.inputs[0] == ended[0]
        self.alive += sum(sizes.bytes for sizes in made.values())
        peak = self.alive - (self.sizes[ended[0]].bytes if reused else 0)
        self.products += _products(node, inputs, found)
        if peak > MOST_BYTES or self.products > MOST_PRODUCTS:
            n, side = self.sizes[IMAGE].shape[:2]
            needs = (
                f"{peak / 1e9:.3g} GB of memory; expected at most {MOST_BYTES / 1e9:.2g}"
                if peak > MOST_BYTES
                else f"{self.products:.2g} multiplications; expected at most {MOST_PRODUCTS:.0g}"
            )
            raise BundleError(
                f"{self.name}: up to node {node.name!r:.80}, a {node.op}, {n} images of {side} px take {needs}. "
                "It was not opened."
            )
        self.alive -= freed + sum(sizes.bytes for one, sizes in made.items() if one not in self.last)


def _products(node: Node, inputs: list[Sizes | None], found: list[Sizes]) -> int:
    """Multiplications of a node, or the numbers that it reads and writes."""
    out = found[0].count
    sizes = [one.shape for one in inputs if one is not None]
    if node.op == "Conv":
        return out * int(np.prod(sizes[1][1:], dtype=object))
    if node.op in ("MatMul", "Gemm"):
        return out * (sizes[0][0] if node.get("transA", 0) else sizes[0][-1])
    if node.op.endswith("Pool") and "kernel_shape" in node.attributes:
        reach = zip(node.attributes["kernel_shape"], sizes[0][2:], strict=True)
        return out * int(np.prod([min(k, size) for k, size in reach], dtype=object))
    if node.op == "Einsum":
        return int(np.prod(list(einsum_lengths(node, sizes)[0].values()), dtype=object))
    if node.op == "LRN":
        return out * int(node.get("size", 1))
    return max(out, *(one.count for one in inputs if one is not None), 1)


def _fits(value: Array | None) -> bool:
    """Whether all numbers are whole enough for any engine to compute the same sizes from them."""
    if value is None:
        return False
    wide: Any = value.astype(np.float64) if value.dtype.kind in "fiub" else np.array(np.nan)
    return bool((np.abs(wide) < _EXACT).all())
