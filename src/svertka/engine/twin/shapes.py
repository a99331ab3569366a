"""Type and sizes of every tensor for one size of the input, and the constants and nodes that depend on sizes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from svertka.engine.geometry import Pair, Window
from svertka.engine.twin.graph import Array, Graph, Node, Port
from svertka.engine.twin.operators import evaluate, reshape_target
from svertka.errors import GraphError, ShapeError

SAME_SIZES = {
    *("Relu", "LeakyRelu", "Elu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Erf", "Gelu", "Softplus"),
    *("Softmax", "LogSoftmax", "LayerNormalization", "BatchNormalization", "LRN", "Sqrt", "Exp", "Neg", "Abs"),
}
"""Operators whose result has the sizes and the type of their first input."""

_SIZES_FROM = {
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL2"), (1,)),
    **dict.fromkeys(("Reshape", "Expand", "Tile", "Squeeze", "Unsqueeze", "Split"), (1,)),
    **{"Slice": (1, 2, 3, 4), "Pad": (1, 3), "Range": (0, 1, 2), "ConstantOfShape": (0,)},
}
"""Inputs (by place) whose numbers decide the sizes of an operator's result."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of a tensor, as ONNX counts them: [N, C, H, W]."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def window_of(node: Node, kernel: Sequence[int], sizes: Sequence[int]) -> Window:
    """The window of a Conv or a pool on a map of ``sizes`` (H, W).

    Raises:
        GraphError: it isn't two-dimensional.
        ShapeError: the kernel is larger than the padded map.
    """
    if len(kernel) != 2 or len(sizes) != 2:
        raise GraphError(f"Node {node.name!r} is a {node.op} over {len(kernel)} axes; expected 2 (rows and columns).")
    strides, dilations = node.get("strides", (1, 1)), node.get("dilations", (1, 1))
    pads = node.get("pads", (0, 0, 0, 0))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    if (auto := node.get("auto_pad", "NOTSET")) in ("SAME_UPPER", "SAME_LOWER"):
        total = [max((-(-s // t) - 1) * t + r - s, 0) for s, t, r in zip(sizes, strides, reach, strict=True)]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = (*small, *large) if auto == "SAME_UPPER" else (*large, *small)
    elif auto == "VALID":
        pads = (0, 0, 0, 0)
    after = list(pads[2:])
    if node.get("ceil_mode", 0):
        for axis in (0, 1):
            left = (sizes[axis] + pads[axis] + after[axis] - reach[axis]) % strides[axis]
            places = -(-(sizes[axis] + pads[axis] + after[axis] - reach[axis]) // strides[axis])
            if left and places * strides[axis] < sizes[axis] + pads[axis]:  # the last window must start on the map
                after[axis] += strides[axis] - left
    padding = ((int(pads[0]), int(after[0])), (int(pads[1]), int(after[1])))
    window = Window(_pair(kernel), _pair(strides), _pair(dilations), padding)
    try:
        window.output_size(_pair(sizes))
    except ShapeError:
        raise ShapeError(
            f"Node {node.name!r} moves a {kernel[0]}×{kernel[1]} kernel over a map of {sizes[0]}×{sizes[1]} with "
            f"padding {tuple(pads)}: it doesn't fit. Give the network a larger image."
        ) from None
    return window


def _pair(values: Sequence[int]) -> Pair:
    return int(values[0]), int(values[1])


def fold_sizes(graph: Graph) -> Graph:
    """Replaces what a graph computes from the sizes of its own tensors by constants, where only N is free.

    A traced network works out paddings and reshapes from the sizes of its input. What comes out equal for two N is a
    constant. Where N is fixed, everything from sizes is.
    """
    if not any(node.op == "Shape" for node in graph.nodes) or any(None in port.shape[1:] for port in graph.inputs):
        return graph

    def for_batch(n: int) -> dict[str, Array]:
        def sizes(port: Port) -> Sizes:
            return Sizes(tuple(n if size is None else size for size in port.shape), port.dtype)

        return infer(graph, {port.name: sizes(port) for port in graph.inputs})[1]

    first = for_batch(2)
    second = for_batch(3) if any(None in port.shape for port in graph.inputs) else first
    same = {
        name: value
        for name, value in first.items()
        if name in second and (second[name] is value or np.array_equal(value, second[name]))
    }
    kept = tuple(node for node in graph.nodes if not same.keys() >= set(node.outputs))
    return replace(graph, nodes=kept, constants=same)


def infer(graph: Graph, given: Mapping[str, Sizes]) -> tuple[dict[str, Sizes], dict[str, Array]]:
    """Sizes of all tensors, and all constants: the graph's, and those that its input's sizes decide.

    Raises:
        ShapeError: sizes don't fit each other.
    """
    sizes, constants = dict(given), dict(graph.constants)
    for node in graph.nodes:
        if node.op == "Shape" or all(name in constants or not name for name in node.inputs):
            x = _stand_in(node.inputs[0], sizes, constants) if node.op == "Shape" else None
            values = evaluate(node, [x if node.op == "Shape" else constants.get(name) for name in node.inputs])
            constants.update(zip(node.outputs, values, strict=False))
            continue
        try:
            found = _of_node(node, sizes, constants)
        except ValueError as error:
            if isinstance(error, ShapeError | GraphError):
                raise
            shapes = [list(sizes[name].shape) for name in node.inputs if name in sizes]
            raise ShapeError(
                f"Node {node.name!r}, a {node.op}, doesn't fit inputs of sizes {shapes}: {error}."
            ) from None
        sizes.update(zip(node.outputs, found, strict=False))
    return sizes, constants


def sized(graph: Graph, given: Mapping[str, Sizes]) -> tuple[Graph, dict[str, Sizes], dict[str, Array]]:
    """A graph for one size of its input: a shortcut that has to be broadcast leaves the convolution that it had joined.

    Args:
        graph: from ``passes.optimise``.
        given: sizes of its inputs.

    Returns:
        The graph, and what ``infer`` says of it.

    Raises:
        ShapeError: sizes don't fit each other.
    """
    sizes, constants = infer(graph, given)
    nodes: list[Node] = []
    for node in graph.nodes:
        if "residual" in node.attributes and not _adds_equal_sizes(node, sizes, constants):
            nodes += _without_shortcut(node)
        else:
            nodes.append(node)
    if len(nodes) > len(graph.nodes):
        graph = replace(graph, nodes=tuple(nodes))
        sizes, constants = infer(graph, given)
    return graph, sizes, constants


def _adds_equal_sizes(node: Node, sizes: Mapping[str, Sizes], constants: Mapping[str, Array]) -> bool:
    shortcut = sizes.get(node.inputs[3])
    own = _conv(node, sizes[node.inputs[0]].shape, constants[node.inputs[1]].shape)
    return shortcut is not None and shortcut.shape == own


def _without_shortcut(node: Node) -> list[Node]:
    """Convolution, sum and activation one after the other."""
    own, total = node.attributes["residual"]
    kept = {name: value for name, value in node.attributes.items() if name not in ("residual", "activation")}
    parts = [
        replace(node, inputs=node.inputs[:3], outputs=(own,), attributes=kept),
        Node("Add", total, (own, node.inputs[3]), (total,)),
    ]
    if "activation" in node.attributes:
        parts.append(
            Node("Act", node.outputs[0], (total,), node.outputs, {"activation": node.attributes["activation"]})
        )
    return parts


def _of_node(node: Node, sizes: Mapping[str, Sizes], constants: Mapping[str, Array]) -> list[Sizes]:
    for place in _SIZES_FROM.get(node.op, ()):
        if place < len(node.inputs) and (name := node.inputs[place]) and name not in constants:
            raise GraphError(
                f"Node {node.name!r}, a {node.op}, takes sizes from the numbers of {name!r}; expected constants, or "
                "what follows from the input's sizes. Run this model with ONNX Runtime."
            )
    x = sizes.get(node.inputs[0])
    if x is None:
        return _by_running(node, sizes, constants)
    match node.op:
        case "Conv" if node.inputs[1] not in constants:
            raise GraphError(f"Node {node.name!r}, a Conv, computes its weights; expected constant ones.")
        case "Conv":
            shape = _conv(node, x.shape, constants[node.inputs[1]].shape)
            if "residual" in node.attributes:
                shape = np.broadcast_shapes(shape, _stand_in(node.inputs[3], sizes, constants).shape)
            return [Sizes(shape, x.dtype)]
        case "MaxPool" | "AveragePool":
            window = window_of(node, node.attributes["kernel_shape"], x.shape[2:])
            return [Sizes((*x.shape[:2], *window.output_size(_pair(x.shape[2:]))), x.dtype)]
        case "Linear":
            weight = constants[node.inputs[1]]
            if x.shape[-1] != weight.shape[0]:
                raise ShapeError(
                    f"Node {node.name!r} multiplies {x.shape[-1]} features with a weight for {weight.shape[0]}. "
                    "Give the network images of the size that it was made for."
                )
            return [Sizes((*x.shape[:-1], weight.shape[1]), x.dtype)]
        case "Affine" | "Act":
            return [x]
        case op if op in SAME_SIZES:
            return [x]
        case "MatMul" if node.inputs[1] in constants:
            return [Sizes((*x.shape[:-1], constants[node.inputs[1]].shape[-1]), x.dtype)]
        case "Gemm" if node.inputs[1] in constants:
            rows, features = x.shape[node.get("transA", 0)], constants[node.inputs[1]].shape
            return [Sizes((rows, features[1 - node.get("transB", 0)]), x.dtype)]
        case "Reshape":
            shape = reshape_target(node, x.shape, constants[node.inputs[1]].tolist())
            if int(np.prod(shape)) != int(np.prod(x.shape)):
                raise ShapeError(f"Node {node.name!r} cannot bring {list(x.shape)} to {list(shape)}.")
            return [Sizes(shape, x.dtype)]
    return _by_running(node, sizes, constants)


def _conv(node: Node, x: tuple[int, ...], weight: tuple[int, ...]) -> tuple[int, ...]:
    groups = node.get("group", 1)
    if len(x) != 4 or x[1] != weight[1] * groups:
        raise ShapeError(
            f"Node {node.name!r} convolves an input of sizes {list(x)} with weights {list(weight)} in {groups} groups; "
            f"expected [N, {weight[1] * groups}, H, W]."
        )
    window = window_of(node, weight[2:], x[2:])
    return x[0], weight[0], *window.output_size(_pair(x[2:]))


def _by_running(node: Node, sizes: Mapping[str, Sizes], constants: Mapping[str, Array]) -> list[Sizes]:
    """Runs a cheap node on stand-ins: what comes out has the right sizes, whatever its values."""
    inputs = [_stand_in(name, sizes, constants) if name else None for name in node.inputs]
    with np.errstate(all="ignore"):
        return [Sizes(value.shape, value.dtype) for value in evaluate(node, inputs)]


def _stand_in(name: str, sizes: Mapping[str, Sizes], constants: Mapping[str, Array]) -> Array:
    """A constant itself, else an array of the right sizes that takes no memory."""
    if name in constants:
        return constants[name]
    return np.broadcast_to(np.ones((), sizes[name].dtype), sizes[name].shape)
