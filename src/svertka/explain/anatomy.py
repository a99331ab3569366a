"""Takes a bundle's graph apart: stages, head, first filters, receptive fields.

Nothing here runs the network. The classifier is linear on the means of the stages' maps (see ``training.classifier``),
so the head's weights are all the gradients that a class activation map needs, and no torch is needed for it.

Shapes: K classes, D features, C channels of a stage, H/W rows and columns, O filters, K/L kernel.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svertka.errors import BundleError
from svertka.explain.receptive_field import MapField, receptive_fields
from svertka.features.linear_head import LinearHead
from svertka.inference.onnxruntime_session import FEATURES
from svertka.onnx_graph.graph import Graph, Node
from svertka.onnx_graph.reader import read

# Operators that only reshape or join what is pooled already.
_LAYOUT = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Concat"})
_MOST_MAPS = 1000  # a graph that joins its own joins over and over has no stages
_POOLS = frozenset({"AveragePool", "GlobalAveragePool", "ReduceMean"})


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """Names and numbers found in a classifier graph.

    Attributes:
        stages: names of the maps [N, C, H, W] that features are means of: for each view of the image (one, or one a
            flip where the network judges several), early to late; where networks are averaged, those of one after those
            of the other. Empty where features are no means of maps.
        networks: that are averaged; each has as many stages.
        fields: what one number of each stage sees; None means the whole image.
        head: on the features.
        temperature: that logits are divided by.
        first_filters_OCKL: of the first convolution; None without one.
        weights: names of the body's weights, input to output, one network after the other.
        constants: all fixed tensors by name.
    """

    stages: tuple[tuple[str, ...], ...]
    networks: int
    fields: tuple[MapField | None, ...]
    head: LinearHead
    temperature: float
    first_filters_OCKL: NDArray[np.float32] | None
    weights: tuple[str, ...]
    constants: Mapping[str, NDArray[Any]]


def dissect(model: bytes) -> Anatomy:
    """Reads a classifier graph.

    Raises:
        GraphError: the bytes are no ONNX model.
        BundleError: it has no linear head on features, as svertka's bundles have.
    """
    graph = read(model)
    producers = {output: node for node in graph.nodes for output in node.outputs}
    if FEATURES not in producers or "head.weight" not in graph.constants:
        raise BundleError(f"The graph has no tensor {FEATURES!r} with a linear head; expected a bundle of svertka's.")
    networks = _networks(producers)
    stages = _joined([_views(producers, name) for name in networks])
    seen = receptive_fields(graph)
    return Anatomy(
        stages=stages,
        networks=len(networks),
        fields=tuple(seen.get(name) for name in stages[0]) if stages else (),
        head=_head(graph),
        temperature=float(graph.constants["head.temperature"]),
        first_filters_OCKL=_first_filters(graph),
        weights=tuple(_weights(graph)),
        constants=graph.constants,
    )


def _head(graph: Graph) -> LinearHead:
    mean_D, weight_KD, bias_K = (graph.constants[f"head.{name}"] for name in ("mean", "weight", "bias"))
    return LinearHead(mean_D, np.ones_like(mean_D), weight_KD, bias_K)


def _networks(producers: Mapping[str, Node]) -> list[str]:
    """Names of the features of each network, as ``classifier_graph.join_features`` joins them."""
    node = producers[FEATURES]
    joined = node.op == "Concat" and all(name.endswith(f"/{FEATURES}") for name in node.inputs)
    return list(node.inputs) if joined else [FEATURES]


def _joined(networks: Sequence[tuple[tuple[str, ...], ...]]) -> tuple[tuple[str, ...], ...]:
    """Maps view by view, one network's after the other's; none where networks differ in views or stages."""
    alike = len({tuple(map(len, views)) for views in networks}) == 1
    return tuple(tuple(chain.from_iterable(view)) for view in zip(*networks, strict=True)) if alike else ()


def _views(producers: Mapping[str, Node], features: str) -> tuple[tuple[str, ...], ...]:
    """Maps behind features, view by view; none where they aren't means of maps, or views differ in number."""
    node = producers[features]
    roots = [features]
    if node.op == "ReduceMean" and node.get("axes", ()) == (0,):  # the mean over stacked views
        stack = producers.get(node.inputs[0])
        roots = list(stack.inputs) if stack is not None and stack.op == "Concat" else roots
    known: dict[str, tuple[str, ...]] = {}
    views = tuple(_pooled(producers, root, known) for root in roots)
    return views if all(views) and len({len(view) for view in views}) == 1 else ()


def _pooled(producers: Mapping[str, Node], name: str, known: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Names of the maps whose means are joined in a tensor; empty if it is anything else."""
    if name not in known:
        known[name] = _maps_behind(producers, name, known)
    return known[name] if len(known[name]) <= _MOST_MAPS else ()


def _maps_behind(producers: Mapping[str, Node], name: str, known: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    node = producers.get(name)
    if node is None:
        return ()
    if node.op in _POOLS:
        inner = producers.get(node.inputs[0])  # a mean along the rows, then along the columns
        return (inner.inputs[0] if inner is not None and inner.op == "AveragePool" == node.op else node.inputs[0],)
    if node.op == "Concat":
        parts = [_pooled(producers, part, known) for part in node.inputs]
        return tuple(chain.from_iterable(parts)) if all(parts) else ()
    return _pooled(producers, node.inputs[0], known) if node.op in _LAYOUT else ()


def _weights(graph: Graph) -> Iterator[str]:
    """Weights and biases of layers, in the order of computation."""
    for node in graph.nodes:
        if node.op in {"Conv", "Gemm", "MatMul"} and FEATURES not in node.inputs:
            yield from (
                name
                for name in node.inputs[1:]
                if name in graph.constants
                and graph.constants[name].dtype == np.float32
                and name.split(".")[0] != "head"
            )


def _first_filters(graph: Graph) -> NDArray[np.float32] | None:
    for node in graph.nodes:
        weight = graph.constants.get(node.inputs[1]) if node.op == "Conv" else None
        if weight is not None and weight.ndim == 4 and weight.shape[1] == 3:
            return np.asarray(weight, np.float32)
    return None
