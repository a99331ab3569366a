"""Operators that a classifier may use: those of the NumPy backend, and some that only ONNX Runtime runs.

Nothing is allocated here. What isn't listed isn't run: control flow, sequences, strings, random numbers, and results
whose size depends on the pixels (NonZero, Compress, Unique, NonMaxSuppression).

Semantics: https://onnx.ai/onnx/operators.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from svertka.inference.numpy_backend.arguments import Shape, axes_of, axis_of, scalar
from svertka.inference.numpy_backend.shape_rules import STANDARD_RULES, Rule, Sizes, Values, numbers_of, shapes_of
from svertka.onnx_graph.graph import Node
from svertka.onnx_graph.standard import result_type

Shapes = list[Any]
"""Of a node's inputs, None where one is left out."""


def results_of(node: Node, inputs: Sequence[Sizes | None], values: Values) -> list[Sizes]:
    """Type and sizes of a node's results; ``values`` are the numbers of those inputs where they are known.

    Raises:
        ShapeError: sizes don't fit each other.
        GraphError: sizes depend on numbers that aren't known before the graph runs.
        ValueError: it does what no classifier needs: it trains, divides whole numbers by what may be 0, or takes places
            that aren't there.
    """
    _check_use(node, inputs, values)
    shapes = list(shapes_of(node, inputs, values, RULES))
    if node.op in SAME_SIZES or node.op == "MaxPool":  # a mask, statistics, places: as large as the result
        shapes += shapes[:1] * (len(node.outputs) - 1)
    dtypes = [None if one is None else one.dtype for one in inputs]
    like = {"CastLike": 1, "OneHot": 2}.get(node.op)
    first = dtypes[like] if like is not None else _RESULTS.get(node.op) or result_type(node, dtypes)
    more = {"Dropout": _BOOL, "MaxPool": _INT64, "TopK": _INT64}.get(node.op, first)
    return [Sizes(shape, np.dtype(more if place else first)) for place, shape in enumerate(shapes)]


def _check_use(node: Node, inputs: Sequence[Sizes | None], values: Values) -> None:
    if node.get("training_mode", 0) or (node.op == "BatchNormalization" and len(node.outputs) > 1):
        raise ValueError("it is in training mode")
    second, known = (inputs[1], values[1]) if len(inputs) > 1 else (None, None)
    # By 0 or by -1, processors stop the program.
    if node.op in ("Div", "Mod") and second and second.dtype.kind in "iu" and (known is None or (known < 1).any()):
        raise ValueError("it divides whole numbers by what is 0 or below, or only known when it runs")
    if node.op == "Gather" and inputs[0] and known is not None:
        size = inputs[0].shape[axis_of(node.get("axis", 0), len(inputs[0].shape))]
        if not ((-size <= known) & (known < size)).all():
            raise ValueError(f"it takes places that are not among the {size} of its input")


# --- sizes by operator -------------------------------------------------------------------------------------------


def _same(node: Node, shapes: Shapes, values: Values) -> list[Shape]:
    return [shapes[0]]


def _broadcast(node: Node, shapes: Shapes, values: Values) -> list[Shape]:
    return [np.broadcast_shapes(*shapes)]


def _einsum(node: Node, shapes: Shapes, values: Values) -> list[Shape]:
    """Of one or two tensors, each letter once in each; what more could mean no classifier needs."""
    lengths, result = einsum_lengths(node, shapes)
    return [tuple(lengths[letter] for letter in result)]


def einsum_lengths(node: Node, shapes: Sequence[Shape]) -> tuple[dict[str, int], str]:
    """How long the axis of each letter in an equation is, and the letters of the result."""
    equation = node.attributes["equation"].replace(" ", "")
    terms, arrow, result = equation.partition("->")
    named, lengths = terms.split(","), dict[str, int]()
    plain = arrow and len(named) == len(shapes) <= 2 and all(len(set(t)) == len(t) for t in (*named, result))
    pairs = [pair for term, shape in zip(named, shapes, strict=True) for pair in zip(term, shape, strict=True)]
    if not plain or any(not letter.isalpha() or lengths.setdefault(letter, size) != size for letter, size in pairs):
        raise ValueError(f"equation {equation!r:.80}")
    return lengths, result


def _place_of_largest(node: Node, shapes: Shapes, values: Values) -> list[Shape]:
    axis, kept = axis_of(node.get("axis", 0), len(shapes[0])), (1,) if node.get("keepdims", 1) else ()
    return [(*shapes[0][:axis], *kept, *shapes[0][axis + 1 :])]


def _largest(node: Node, shapes: Shapes, values: Values) -> list[Shape]:
    x, axis = shapes[0], axis_of(node.get("axis", -1), len(shapes[0]))
    k = _number(node, values, 1) if len(shapes) > 1 else node.get("k", 0)
    if not 0 <= k <= x[axis]:
        raise ValueError(f"it takes the {k} largest of {x[axis]}")
    return [(*x[:axis], k, *x[axis + 1 :])] * 2


def _one_hot(node: Node, shapes: Shapes, values: Values) -> list[Shape]:
    axis = axis_of(node.get("axis", -1), len(shapes[0]) + 1)
    return [(*shapes[0][:axis], int(_number(node, values, 1)), *shapes[0][axis:])]


def _number(node: Node, values: Values, place: int) -> Any:
    given = numbers_of(node, values, place)
    if given is None:
        raise ValueError(f"input {place} is missing")
    return scalar(given).item()


def _resize(node: Node, shapes: Shapes, values: Values) -> list[Shape]:
    older = len(shapes) == 2 or node.op == "Upsample"
    scales = numbers_of(node, values, 1 if older else 2)
    sizes = None if older else numbers_of(node, values, 3)
    if node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise ValueError("sizes that keep the aspect ratio aren't read")
    shape, axes = list(shapes[0]), axes_of(node, None, len(shapes[0])) or range(len(shapes[0]))
    if sizes is not None and sizes.size:
        targets = [int(size) for size in sizes.tolist()]
    else:
        factors = scales.tolist() if scales is not None and scales.size else node.get("scales", ())
        if not all(math.isfinite(scale) and scale > 0 for scale in factors):
            raise ValueError(f"scales {factors}")
        targets = [math.floor(shape[axis] * scale) for axis, scale in zip(axes, factors, strict=True)]
    for axis, size in zip(axes, targets, strict=True):
        shape[axis] = size
    return [tuple(shape)]


def _depth_to_space(node: Node, shapes: Shapes, values: Values) -> list[Shape]:
    side, (n, c, h, w) = node.attributes["blocksize"], shapes[0]
    if side < 1 or (c % side**2 if node.op == "DepthToSpace" else h % side or w % side):
        raise ValueError(f"blocks of {side}")
    if node.op == "DepthToSpace":
        return [(n, c // side**2, h * side, w * side)]
    return [(n, c * side**2, h // side, w // side)]


SAME_SIZES = frozenset(
    "Abs Acos Acosh Asin Asinh Atan Atanh BatchNormalization BitwiseNot Ceil Celu Clip Cos Cosh CumSum Dropout Elu Erf "
    "Exp Floor Gelu GroupNormalization Hardmax HardSigmoid HardSwish Identity InstanceNormalization LRN "
    "LayerNormalization LeakyRelu Log LogSoftmax LpNormalization MeanVarianceNormalization Mish Neg Not PRelu "
    "RMSNormalization Reciprocal Relu Round ScatterElements ScatterND Selu Shrink Sigmoid Sign Sin Sinh Softmax "
    "Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu Trilu".split()
)
"""Operators whose result may take the place of their first input."""

_BOOL, _INT64 = np.dtype(np.bool_), np.dtype(np.int64)
_RESULTS = {**dict.fromkeys(("IsInf", "IsNaN", "Xor"), _BOOL), **dict.fromkeys(("ArgMax", "ArgMin"), _INT64)}

RULES: Final[Mapping[str, Rule]] = {
    **dict.fromkeys(SAME_SIZES, _same),
    **dict.fromkeys("BitwiseAnd BitwiseOr BitwiseXor IsInf IsNaN Mean Sum Xor".split(), _broadcast),
    **dict.fromkeys("ReduceL1 ReduceLogSum ReduceLogSumExp ReduceSumSquare".split(), STANDARD_RULES["ReduceSum"]),
    **dict.fromkeys(("ArgMax", "ArgMin"), _place_of_largest),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), _depth_to_space),
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    **{"CastLike": _same, "Einsum": _einsum, "GatherElements": lambda node, shapes, values: [shapes[1]]},
    **{"LpPool": STANDARD_RULES["MaxPool"], "GlobalLpPool": STANDARD_RULES["GlobalMaxPool"]},
    **{"OneHot": _one_hot, "TopK": _largest},
    **STANDARD_RULES,
}
"""The operators that a classifier may use."""
