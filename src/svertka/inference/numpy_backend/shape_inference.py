"""Shape inference for a whole graph: type and sizes of every tensor, and constants that follow from sizes."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from svertka.inference.numpy_backend.operators import evaluate
from svertka.inference.numpy_backend.shape_rules import Sizes, budget, check_budget, conv_shape, sizes_of
from svertka.onnx_graph.graph import Array, Graph, Node, Port


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
        GraphError: a tensor is larger than the budget allows, or a constant cannot be computed.
    """
    folding = Folding(graph.constants, budget(given.values()))
    sizes, constants = dict(given), folding.constants
    for node in graph.nodes:
        if node.op in ("Shape", "Size"):
            folding.fold(node, [_stand_in(node.inputs[0], sizes, constants)])
        elif all(name in constants or not name for name in node.inputs):
            folding.fold(node)
        else:
            inputs = [_sizes_of_tensor(name, sizes, constants) if name else None for name in node.inputs]
            values = [constants.get(name) if name else None for name in node.inputs]
            sizes.update(zip(node.outputs, sizes_of(node, inputs, values, folding.most), strict=False))
    return sizes, constants


class Folding:
    """Constants of a graph, to which those that nodes compute are added, up to a budget.

    Attributes:
        constants: by name.
        most: bytes that new ones may take together.
    """

    def __init__(self, constants: Mapping[str, Array], most: int) -> None:
        self.constants, self.most = dict(constants), most
        self._taken = 0

    def fold(self, node: Node, inputs: list[Array | None] | None = None) -> None:
        """Runs a node whose inputs are constants, or given."""
        seen = inputs or [self.constants[name] if name else None for name in node.inputs]
        for name, value in zip(node.outputs, evaluate(node, seen, self.most), strict=False):
            if not any(x is not None and np.may_share_memory(value, x) for x in seen):
                self._taken += value.nbytes
                check_budget(f"Node {node.name!r}, a {node.op}, with the constants before it", self._taken, self.most)
            if name:
                self.constants[name] = value


def sized(graph: Graph, given: Mapping[str, Sizes]) -> tuple[Graph, dict[str, Sizes], dict[str, Array]]:
    """A graph for one size of its input: a shortcut that has to be broadcast leaves the convolution that it had joined.

    Takes a graph from ``passes.optimise``; returns it with what ``infer`` says of it.

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
    own = conv_shape(node, sizes[node.inputs[0]].shape, constants[node.inputs[1]].shape, None)
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


def _sizes_of_tensor(name: str, sizes: Mapping[str, Sizes], constants: Mapping[str, Array]) -> Sizes:
    return Sizes(constants[name].shape, constants[name].dtype) if name in constants else sizes[name]


def _stand_in(name: str, sizes: Mapping[str, Sizes], constants: Mapping[str, Array]) -> Array:
    """A constant itself, else an array of the right sizes that takes no memory."""
    if name in constants:
        return constants[name]
    return np.broadcast_to(np.ones((), sizes[name].dtype), sizes[name].shape)
