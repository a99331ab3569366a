"""Edits of ONNX graphs that need the ``onnx`` package alone: a second run appends a new head without torch.

A *features graph* takes ``image`` (uint8 RGB, [N, S, S, 3]) and gives ``features`` (float32, [N, D]). A *classifier
graph* is the same graph with a head: it gives ``logits`` and ``probabilities``, both [N, K], and, where it remembers
training images, ``distance`` [N] to the nearest of them.

Shapes: N images, S side in pixels, D features, K classes, A axes, R remembered images.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from svertka.errors import BundleError
from svertka.features.linear_head import LinearHead
from svertka.features.ood import SHORTEST, Neighbourhood
from svertka.inference.onnxruntime_session import DISTANCE, FEATURES, IMAGE, LOGITS, PROBABILITIES
from svertka.inference.simplify import _has_branches, share_initializers

if TYPE_CHECKING:
    import onnx


_LARGEST_BYTES = 2_000_000_000
"""Of a graph: protobuf's limit is 2 GiB, and head and remembered images come on top."""


def join_features(graphs: Sequence["onnx.ModelProto"]) -> "onnx.ModelProto":
    """One graph that gives the features of several networks side by side: [N, D1 + D2 + …]. See ``check_joinable``.

    The graphs are features graphs for images of one size. What networks have in common, as stages that neither has
    trained, is stored once. The features of each are the tensor ``networkN/features``, N from 1.
    """
    import onnx
    from onnx import TensorProto, helper

    model = onnx.ModelProto()
    model.CopyFrom(graphs[0])
    for field in ("node", "initializer", "value_info", "output"):
        model.graph.ClearField(field)
    for number, one in enumerate(graphs, 1):
        for kind, parts in (("initializer", one.graph.initializer), ("node", one.graph.node)):
            getattr(model.graph, kind).extend(_renamed(part, f"network{number}/") for part in parts)
    names = [f"network{number}/{FEATURES}" for number in range(1, len(graphs) + 1)]
    model.graph.node.append(helper.make_node("Concat", names, [FEATURES], name="join", axis=1))
    sizes = [_last_size(one.graph.output[0]) for one in graphs]
    width = sum(size for size in sizes if size is not None) if None not in sizes else "D"
    model.graph.output.append(helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["N", width]))
    share_initializers(model)
    onnx.checker.check_model(model)
    return model


def check_joinable(graph: "onnx.ModelProto", count: int) -> None:
    """Whether so many networks, each with a graph like this one, fit into one.

    Raises:
        BundleError: it has control flow, whose branches would have to be renamed too, or they exceed what ONNX holds.
    """
    if _has_branches(graph.graph):
        raise BundleError(
            "A network with control flow (If, Loop) can't be averaged over folds; train one, with folds 0."
        )
    size = graph.ByteSize()
    if count * size > _LARGEST_BYTES:
        raise BundleError(
            f"{count} networks of {size / 1e6:.0f} MB don't fit into one ONNX file (2 GB); take fewer folds, or a "
            "smaller network."
        )


def _renamed(part: Any, prefix: str) -> Any:
    """A copy of a node or an initializer, with a prefix to all its names but the image's and those left out."""
    copy = type(part).FromString(part.SerializeToString())
    copy.name = part.name and prefix + part.name
    for field in ("input", "output"):
        if hasattr(part, field):
            names = getattr(copy, field)
            names[:] = [name if name in ("", IMAGE) else prefix + name for name in names]
    return copy


def attach_head(
    features: "onnx.ModelProto",
    head: LinearHead,
    temperature: float = 1.0,
) -> "onnx.ModelProto":
    """Appends ``logits = head.logits(features)`` and ``probabilities = softmax(logits / temperature)`` to a copy.

    Raises:
        BundleError: the graph has no output ``features`` alone, shapes don't fit, or a number isn't finite.
    """
    outputs = [output.name for output in features.graph.output]
    if outputs != [FEATURES]:
        raise BundleError(f"The graph's outputs are {outputs}; expected one, {FEATURES!r}. Export the backbone again.")
    _check_head(_last_size(features.graph.output[0]), head, temperature)

    constants = {
        "head.mean": head.mean_D,
        "head.weight": np.ascontiguousarray(head.scaled_weight_KD),
        "head.bias": head.bias_K,
        "head.temperature": np.array(temperature),
    }
    steps: list[_Step] = [
        ("Sub", [FEATURES, "head.mean"], "head.centred", "head/centre", {}),
        ("Gemm", ["head.centred", "head.weight", "head.bias"], LOGITS, "head/gemm", {"transB": 1}),
        ("Div", [LOGITS, "head.temperature"], "head.scaled", "head/temperature", {}),
        ("Softmax", ["head.scaled"], PROBABILITIES, "head/softmax", {"axis": -1}),
    ]
    classes = len(head.bias_K)
    return _appended(features, constants, steps, {LOGITS: ["N", classes], PROBABILITIES: ["N", classes]}, instead=True)


def head_of(classifier: "onnx.ModelProto") -> dict[str, NDArray[np.float32]]:
    """What ``attach_head`` wrote of a head: ``mean``, ``weight``, ``bias``, ``temperature``; {} if it didn't."""
    from onnx import numpy_helper

    found = {
        tensor.name.removeprefix("head."): numpy_helper.to_array(tensor)
        for tensor in classifier.graph.initializer
        if tensor.name.startswith("head.")
    }
    return found if {"mean", "weight", "temperature"} <= found.keys() else {}


def attach_distance(classifier: "onnx.ModelProto", known: Neighbourhood) -> "onnx.ModelProto":
    """Appends ``distance`` to a copy: of each image's features to the nearest remembered training image, float32 [N].

    The graph, from ``attach_head``, then computes what ``Neighbourhood.distances`` computes.

    Raises:
        BundleError: a number isn't finite.
    """
    constants: dict[str, NDArray[np.floating]] = {
        "known.mean": known.mean_D,
        "known.scale": known.scale_D,
        "known.axes": known.axes_DA,
        "known.points": np.ascontiguousarray(known.points_RA.T),
        "known.shortest": np.array(SHORTEST, np.float32),
        "known.one": np.array(1, np.float32),
    }
    if not all(np.isfinite(value).all() for value in constants.values()):
        raise BundleError("The remembered images hold numbers that are not finite (have features overflowed?).")
    steps: list[_Step] = [
        ("Sub", [FEATURES, "known.mean"], "known.centred", "known/centred", {}),
        ("Div", ["known.centred", "known.scale"], "known.scaled", "known/scaled", {}),
        ("ReduceL2", ["known.scaled"], "known.length", "known/length", {"axes": [1], "keepdims": 1}),
        ("Max", ["known.length", "known.shortest"], "known.safe_length", "known/safe_length", {}),
        ("Div", ["known.scaled", "known.safe_length"], "known.unit", "known/unit", {}),
        ("MatMul", ["known.unit", "known.axes"], "known.projected", "known/projected", {}),
        ("MatMul", ["known.projected", "known.points"], "known.likeness", "known/likeness", {}),
        ("ReduceMax", ["known.likeness"], "known.nearest", "known/nearest", {"axes": [1], "keepdims": 0}),
        ("Sub", ["known.one", "known.nearest"], DISTANCE, DISTANCE, {}),
    ]
    return _appended(classifier, constants, steps, {DISTANCE: ["N"]})


_Step = tuple[str, list[str], str, str, dict[str, object]]
"""Operator, inputs, output, name and attributes of a node."""


def _appended(
    graph: "onnx.ModelProto",
    constants: Mapping[str, NDArray[np.floating]],
    steps: Sequence[_Step],
    outputs: Mapping[str, Sequence[object]],
    *,
    instead: bool = False,
) -> "onnx.ModelProto":
    """A copy with more nodes and outputs, ``instead`` of those that it has or beside them; checked."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.ModelProto()
    model.CopyFrom(graph)
    arrays = {name: np.asarray(value, np.float32) for name, value in constants.items()}
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in arrays.items())
    model.graph.node.extend(
        helper.make_node(operator, inputs, [output], name=name, **attributes)
        for operator, inputs, output, name, attributes in steps
    )
    if instead:
        del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(x, TensorProto.FLOAT, s) for x, s in outputs.items())
    onnx.checker.check_model(model)
    return model


def _check_head(num_features: int | None, head: LinearHead, temperature: float) -> None:
    shape, classes = list(head.weight_KD.shape), len(head.bias_K)
    if len(shape) != 2 or shape[0] != classes or (num_features is not None and shape[1] != num_features):
        expected = f"[{classes}, {num_features if num_features is not None else 'D'}]"
        raise BundleError(f"The head's weight has shape {shape} and its bias [{classes}]; expected weight {expected}.")
    if not all(np.isfinite(part).all() for part in (head.mean_D, head.scaled_weight_KD, head.bias_K)):
        raise BundleError("The head holds numbers that are not finite; fit it again (have features overflowed?).")
    if not (np.isfinite(temperature) and temperature > 0):
        raise BundleError(f"temperature is {temperature}; expected a finite number above 0.")


def _last_size(value: "onnx.ValueInfoProto") -> int | None:
    """Size of the last axis where the graph states it."""
    sizes = value.type.tensor_type.shape.dim
    return sizes[-1].dim_value if sizes and sizes[-1].HasField("dim_value") else None
