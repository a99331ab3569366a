"""An ONNX graph as plain records."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svertka.errors import GraphError

Array = NDArray[Any]
F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Node:
    """One operation.

    Attributes:
        op: the operator, such as ``"Conv"``.
        name: of the node; where the file gives none, that of its first output.
        inputs: names of tensors; an optional one that is left out is ``""``.
        outputs: names of tensors.
        attributes: by name, as Python numbers, strings, arrays or tuples.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def get(self, name: str, default: Any) -> Any:
        """An attribute, or what the standard says where it is left out."""
        return self.attributes.get(name, default)

    def error(self, what: str, *, elsewhere: bool = False) -> GraphError:
        """An error that names the node and says what it does; ``elsewhere``: ONNX Runtime may run it."""
        advice = " Run this model with ONNX Runtime." if elsewhere else ""
        return GraphError(f"Node {self.name!r}, a {self.op}, {what}.{advice}")

    def with_attributes(self, **more: Any) -> "Node":
        """The same node with attributes added or replaced."""
        return replace(self, attributes={**self.attributes, **more})


@dataclass(frozen=True, slots=True)
class Port:
    """An input of the graph: its name, type and sizes (None where they are free)."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in an order in which they can run, and their constants.

    Attributes:
        inputs: without those that have a constant as their default.
        outputs: names of tensors.
        nodes: each after those whose results it takes.
        constants: weights and other fixed tensors by name.
        operator_set: the version of the standard that the operators are meant by.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    operator_set: int

    def uses(self) -> dict[str, int]:
        """How many times each tensor is read; being an output of the graph counts once more."""
        count = dict.fromkeys(self.outputs, 1)
        for node in self.nodes:
            for name in node.inputs:
                count[name] = count.get(name, 0) + 1
        return count

    def tensors(self) -> list[str]:
        """Names of everything that is computed, in order."""
        return [name for node in self.nodes for name in node.outputs if name]


def needed(graph: Graph, outputs: Iterable[str]) -> Graph:
    """The part of a graph that some tensors depend on, with these as its outputs."""
    outputs = tuple(outputs)
    wanted, kept = set(outputs), []
    for node in reversed(graph.nodes):
        if wanted.intersection(node.outputs):
            kept.append(node)
            wanted.update(node.inputs)
    constants = {name: value for name, value in graph.constants.items() if name in wanted}
    return replace(graph, outputs=outputs, nodes=tuple(reversed(kept)), constants=constants)


def check_order(graph: Graph) -> None:
    """Raises GraphError unless each tensor is made once, and read only after that: so no node waits for itself."""
    made = {port.name for port in graph.inputs} | graph.constants.keys()
    for node in graph.nodes:
        for name in node.inputs:
            if name and name not in made:
                raise node.error(
                    f"reads {name!r}, which no node before it makes; expected nodes in an order in which they can run, "
                    "without cycles"
                )
        if not any(node.outputs):
            raise node.error("makes nothing")
        for name in filter(None, node.outputs):
            if name in made:
                raise node.error(f"makes {name!r} a second time")
            made.add(name)
    if not graph.outputs or len(set(graph.outputs)) < len(graph.outputs):
        raise GraphError(f"The graph has the outputs {graph.outputs!r:.200}; expected one or more, each once.")
    if missing := [name for name in graph.outputs if name not in made]:
        raise GraphError(f"The graph's output {missing[0]!r} is made by no node.")
