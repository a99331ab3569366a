"""Makes an exported graph simpler before it is stored: sizes as constants, equal weights once. Needs ``onnx``."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from svertka.inference.onnxruntime_session import open_session, run

if TYPE_CHECKING:
    import onnx


OPSET = 17
"""Operator set of every graph here: the newest that the TorchScript exporter, ONNX Runtime from 1.12 on and the other
engines all know. Nothing in a convolutional network needs a later one."""


Batch = dict[str, NDArray[np.uint8]]
"""Inputs of a run: name to array."""


def fold_shape_arithmetic(model: "onnx.ModelProto", batches: Sequence[Batch]) -> None:
    """Replaces what a graph computes from the sizes of its own tensors by constants, in place.

    A traced network works out paddings and reshapes from the sizes of its input. Only N varies here, so nearly all of
    that is constant. The graph runs once a batch, each with another N: what comes out equal every time is a constant,
    what follows N stays. With constant paddings ONNX Runtime merges padding and convolution (EfficientNet-Lite0:
    12.1 ms an image before, 9.5 ms after).

    Args:
        model: with an N that varies.
        batches: inputs of at least two different N.
    """
    import onnx
    from onnx import numpy_helper

    graph = model.graph
    if _has_branches(graph):
        return
    names = list(_known_from_sizes(graph))
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    if not names:
        return
    session = open_session(probe.SerializeToString(), threads=1)
    first, *others = (dict(zip(names, run(session, names, batch), strict=True)) for batch in batches)
    constants = {
        name: value
        for name, value in first.items()
        if all(other[name].shape == value.shape and np.array_equal(other[name], value) for other in others)
    }
    kept = [node for node in graph.node if not constants.keys() >= set(node.output)]
    still_computed = {name for node in kept for name in node.output}
    _keep_what_is_used(graph, kept)
    graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in constants.items() if k not in still_computed)
    _drop_unused_initializers(graph)
    del graph.value_info[:]  # sizes noted by the exporter; whoever needs them infers them again


def share_initializers(model: "onnx.ModelProto") -> None:
    """Stores equal constants once, in place: a network that looks at several views is traced once for each of them."""
    graph = model.graph
    if _has_branches(graph):
        return
    first: dict[bytes, str] = {}
    kept_as: dict[str, str] = {}
    for initializer in graph.initializer:
        nameless = type(initializer).FromString(initializer.SerializeToString())
        nameless.ClearField("name")
        content = hashlib.sha256(nameless.SerializeToString(deterministic=True)).digest()
        kept_as[initializer.name] = first.setdefault(content, initializer.name)
    for node in graph.node:
        node.input[:] = [kept_as.get(name, name) for name in node.input]
    _drop_unused_initializers(graph)


def _has_branches(graph: "onnx.GraphProto") -> bool:
    """Control flow: a branch may read any tensor. Networks that we know have none."""
    return any(attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute)


def _known_from_sizes(graph: "onnx.GraphProto") -> Iterator[str]:
    """Names of tensors that depend on constants and on sizes alone, in the graph's order."""
    known = {initializer.name for initializer in graph.initializer} | {""}
    for node in graph.node:
        if node.op_type == "Constant":
            known.update(node.output)
        elif node.op_type == "Shape" or (node.input and known.issuperset(node.input)):
            known.update(node.output)
            yield from filter(None, node.output)


def _keep_what_is_used(graph: "onnx.GraphProto", nodes: list["onnx.NodeProto"]) -> None:
    """Leaves only those ``nodes`` in the graph that its outputs need."""
    used = {output.name for output in graph.output}
    kept = []
    for node in reversed(nodes):
        if used.intersection(node.output):
            kept.append(type(node).FromString(node.SerializeToString()))
            used.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))


def _drop_unused_initializers(graph: "onnx.GraphProto") -> None:
    used = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name not in used:
            del graph.initializer[index]
