"""What a stranger's graph may ask for: known operators, in order, and sizes that are known before it runs.

Every tensor's sizes are worked out for every number of images that a call may hold, so a graph cannot be small when it
is looked at and large when it runs. What would need more memory or arithmetic than a classifier does isn't opened.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from svertka.errors import BundleError, GraphError, ShapeError
from svertka.inference.numpy_backend.operators import OPERATORS, evaluate
from svertka.inference.onnxruntime_session import IMAGE, batch_size
from svertka.inference.size_rules import FEW, MOST_AXES, RULES, SAME_SIZES, Tensor
from svertka.onnx_graph.graph import Array, Graph, Node, Port
from svertka.onnx_graph.reader import read
from svertka.onnx_graph.self_contained import check_self_contained

MOST_BYTES = 1 << 30
"""Of the tensors that are alive at the same time, without the weights. VGG-19 on four images of 512 px takes 0.5 GB."""

MOST_PRODUCTS = 2 * 10**12
"""Multiplications a call. ConvNeXt-XXL on four images of 256 px takes 0.8 · 10¹²."""

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
    "Add And Cast Ceil Concat ConstantOfShape Div Equal Expand Flatten Floor Gather Greater GreaterOrEqual Identity "
    "Less LessOrEqual Max Min Mod Mul Neg Not Or Range ReduceMax ReduceMin ReduceProd ReduceSum Reshape Slice Split "
    "Sqrt Squeeze Sub Tile Transpose Unsqueeze Where".split()
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
        BundleError: it is no plain ONNX model (see ``protobuf``), takes something else than images, has an operator
            that isn't known, a circle, too many nodes, sizes that don't fit or aren't known, or needs too much memory
            or arithmetic.
    """
    check_self_contained(content, name)
    try:
        graph = read(content, copy=False)
    except (GraphError, *_MISFITS, MemoryError) as error:
        raise BundleError(f"{name} cannot be read: {_short(error)}") from None
    port = _image_port(graph, side, name)
    _check_order(graph, name)
    found = {}
    for n in _counts(graph, port, side):
        found = _Walk(graph, name).outputs(Tensor((n, side, side, 3), port.dtype))
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


def _check_order(graph: Graph, name: str) -> None:
    """Each node has an operator that is known and takes what was made before it; each tensor is made once."""
    made = {IMAGE, *graph.constants}
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
        missing = next((one for one in node.inputs if one and one not in made), None)
        if missing is not None:
            raise BundleError(
                f"{name}: node {node.name!r:.80} takes {missing!r:.80}, which no node before it makes; expected an "
                "order without circles. It was not opened."
            )
        outputs = [one for one in node.outputs if one]
        if not outputs or made.intersection(outputs) or len(set(outputs)) < len(outputs):
            raise BundleError(f"{name}: node {node.name!r:.80} makes what is there already, or nothing.")
        made.update(outputs)
    lost = [one for one in graph.outputs if one not in made]
    if len(set(graph.outputs)) < len(graph.outputs):
        raise BundleError(f"{name} has the outputs {graph.outputs!r:.200}; expected each once. It was not opened.")
    if lost or not graph.outputs:
        raise BundleError(f"{name}: no node makes the output {lost[0] if lost else ''!r:.80}. It was not opened.")


def _is_of_kind(key: str, value: object) -> bool:
    """Whether a setting of an operator that holds numbers holds numbers of the right kind."""
    kind = int if key in _WHOLE else float if key in _REAL else None
    return kind is None or all(type(one) is kind for one in (value if isinstance(value, tuple) else (value,)))


class _Walk:
    """Sizes of all tensors for one size of the input, in the order in which they are made."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name
        self.tensors: dict[str, Tensor] = {
            key: Tensor(value.shape, value.dtype, value if value.size <= FEW else None)
            for key, value in graph.constants.items()
        }
        self.last = {one: at for at, node in enumerate(graph.nodes) for one in node.inputs}
        self.last |= dict.fromkeys(graph.outputs, len(graph.nodes))
        self.alive = self.products = 0

    def outputs(self, image: Tensor) -> dict[str, tuple[int, ...]]:
        self.tensors[IMAGE] = image
        self.alive = image.count
        for at, node in enumerate(self.graph.nodes):
            inputs = [self.tensors[one] if one else None for one in node.inputs]
            self._count(at, node, inputs, self._of(node, inputs))
        return {one: self.tensors[one].shape for one in self.graph.outputs}

    def _of(self, node: Node, inputs: list[Tensor | None]) -> list[Tensor]:
        try:
            found = RULES[node.op](node, inputs)
            if any(len(one.shape) > MOST_AXES or not all(0 <= size < _EXACT for size in one.shape) for one in found):
                raise ValueError(f"it would give {[list(tensor.shape) for tensor in found][:3]}")
            found = self._followed(node, inputs, found)
        except (GraphError, ShapeError, *_MISFITS) as error:
            sizes = [list(one.shape) if one else None for one in inputs[:4]]
            raise BundleError(
                f"{self.name}: node {node.name!r:.80}, a {node.op}, cannot take inputs of sizes {sizes}: "
                f"{_short(error)}. It was not opened."
            ) from None
        if len(found) < len(node.outputs):
            raise BundleError(f"{self.name}: node {node.name!r:.80}, a {node.op}, gives {len(found)} tensors.")
        return found

    def _followed(self, node: Node, inputs: list[Tensor | None], found: list[Tensor]) -> list[Tensor]:
        """The same with their numbers, where these are few and follow from known ones."""
        known = all(one is None or one.value is not None for one in inputs)
        if node.op not in _FOLLOWED & OPERATORS.keys() or not known or any(one.count > FEW for one in found):
            return found
        values = [one.value if one else None for one in inputs]
        if node.op == "Cast" and not _fits(values[0]):
            return found
        with np.errstate(all="ignore"):
            results = evaluate(node, values)
        return [
            Tensor(one.shape, one.dtype, value)
            if (value.shape, value.dtype) == (one.shape, one.dtype) and _fits(value)
            else one
            for one, value in zip(found, results, strict=False)
        ]

    def _count(self, at: int, node: Node, inputs: list[Tensor | None], found: list[Tensor]) -> None:
        """Adds up memory and arithmetic."""
        made = {one: tensor for one, tensor in zip(node.outputs, found, strict=False) if one}
        self.tensors |= made
        ended = [
            one
            for one in dict.fromkeys(node.inputs)
            if one and self.last[one] == at and one not in self.graph.constants
        ]
        freed = _bytes(self.tensors[one] for one in ended)
        reused = node.op in SAME_SIZES and bool(ended) and node.inputs[0] == ended[0]
        self.alive += _bytes(made.values())
        peak = self.alive - (_bytes([self.tensors[ended[0]]]) if reused else 0)
        self.products += _products(node, inputs, found)
        if peak > MOST_BYTES or self.products > MOST_PRODUCTS:
            n = self.tensors[IMAGE].shape[0]
            needs = (
                f"{peak / 1e9:.3g} GB of memory; expected at most {MOST_BYTES / 1e9:.2g}"
                if peak > MOST_BYTES
                else f"{self.products:.2g} multiplications; expected at most {MOST_PRODUCTS:.0g}"
            )
            raise BundleError(
                f"{self.name}: up to node {node.name!r:.80}, a {node.op}, {n} images of "
                f"{self.tensors[IMAGE].shape[1]} px take {needs}. It was not opened."
            )
        self.alive -= freed + _bytes(tensor for one, tensor in made.items() if one not in self.last)


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(one.count * one.dtype.itemsize for one in tensors)


def _products(node: Node, inputs: list[Tensor | None], found: list[Tensor]) -> int:
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
        terms = set(node.attributes["equation"].partition("->")[0]) - {",", " "}
        lengths = dict(
            zip(
                node.attributes["equation"].replace(" ", "").partition("->")[0].replace(",", ""),
                (s for shape in sizes for s in shape),
                strict=True,
            )
        )
        return int(np.prod([lengths[one] for one in terms], dtype=object))
    if node.op == "LRN":
        return out * int(node.get("size", 1))
    return max(out, *(one.count for one in inputs if one is not None), 1)


def _fits(value: Array | None) -> bool:
    """Whether all numbers are whole enough for any engine to compute the same sizes from them."""
    if value is None:
        return False
    wide: Any = value.astype(np.float64) if value.dtype.kind in "fiub" else np.array(np.nan)
    return bool((np.abs(wide) < _EXACT).all())


def _short(error: BaseException) -> str:
    return f"{' '.join(str(error).split()) or type(error).__name__:.300}".rstrip(".")
