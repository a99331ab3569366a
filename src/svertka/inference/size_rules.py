"""Which operators a classifier may use, and the sizes of what each of them gives, by arithmetic alone.

Nothing is allocated here. What isn't listed isn't run: control flow, sequences, strings, random numbers, and results
whose size depends on the pixels (NonZero, Compress, Unique, NonMaxSuppression).

Semantics: https://onnx.ai/onnx/operators. One file, although long: a table of operators, and a few lines for each.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from svertka.onnx_graph.graph import Array, Node
from svertka.onnx_graph.reader import dtype_of

Shape = tuple[int, ...]

FEW = 4096
"""Numbers of a tensor that sizes may be computed from."""

MOST_AXES = 16
"""Of a tensor."""


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """What is known of a tensor: sizes, type, and its numbers where they are few and don't depend on the pixels."""

    shape: Shape
    dtype: np.dtype[Any]
    value: Array | None = None

    @property
    def count(self) -> int:
        """Of its numbers."""
        return math.prod(self.shape)


Inputs = Sequence[Tensor | None]
Rule = Callable[[Node, Inputs], list[Tensor]]

_BOOL, _INT64 = np.dtype(np.bool_), np.dtype(np.int64)


# --- helpers -----------------------------------------------------------------------------------------------------


def _first(inputs: Inputs) -> Tensor:
    x = inputs[0] if inputs else None
    if x is None:
        raise ValueError("its first input is missing")
    return x


def _optional(inputs: Inputs, place: int) -> Tensor | None:
    return inputs[place] if place < len(inputs) else None


def _numbers(inputs: Inputs, place: int) -> list[Any] | None:
    """An input whose numbers decide sizes; None where it is left out.

    Raises:
        ValueError: its numbers aren't known before the graph runs.
    """
    given = _optional(inputs, place)
    if given is None:
        return None
    if given.value is None:
        raise ValueError("sizes depend on numbers that are only known when it runs")
    found: list[Any] = given.value.ravel().tolist()
    return found


def _number(inputs: Inputs, place: int) -> Any:
    """The same where one number is expected."""
    given = _numbers(inputs, place)
    if given is None or len(given) != 1:
        raise ValueError(f"input {place} is not one number")
    return given[0]


def _axis(node: Node, default: int, ndim: int) -> int:
    return _from_front(node.get("axis", default), ndim)


def _from_front(axis: int, ndim: int) -> int:
    if not -ndim <= axis < ndim:
        raise ValueError(f"axis {axis} of {ndim}")
    return axis % ndim


def _axes(node: Node, given: list[Any] | None, ndim: int) -> Shape | None:
    """Axes from the front, of an attribute (older operator sets) or an input (newer ones); None where left out."""
    axes = node.get("axes", None) if given is None else given
    return None if axes is None else tuple(_from_front(int(axis), ndim) for axis in axes)


def _positive(values: Sequence[int], what: str) -> Shape:
    if any(value < 1 for value in values):
        raise ValueError(f"{what} {list(values)}; expected 1 or more")
    return tuple(values)


# --- element by element ------------------------------------------------------------------------------------------


def _like_first(node: Node, inputs: Inputs) -> list[Tensor]:
    x = _first(inputs)
    if node.get("training_mode", 0) or (node.op == "BatchNormalization" and len(node.outputs) > 1):
        raise ValueError("it is in training mode")
    rest = [Tensor(x.shape, _BOOL if node.op == "Dropout" else x.dtype) for _ in node.outputs[1:]]
    return [Tensor(x.shape, x.dtype), *rest]


def _as_bool(node: Node, inputs: Inputs) -> list[Tensor]:
    return [Tensor(np.broadcast_shapes(*(x.shape for x in inputs if x)), _BOOL)]


def _broadcast(node: Node, inputs: Inputs) -> list[Tensor]:
    _first(inputs)
    return [Tensor(np.broadcast_shapes(*(x.shape for x in inputs if x)), _first(inputs).dtype)]


def _divided(node: Node, inputs: Inputs) -> list[Tensor]:
    """Integers need a known divisor above 0: by 0 or by -1, processors stop the program."""
    divisor = inputs[1] if len(inputs) > 1 else None
    if divisor is not None and divisor.dtype.kind in "iu" and (divisor.value is None or (divisor.value < 1).any()):
        raise ValueError("it divides whole numbers by what is 0 or below, or only known when it runs")
    return _broadcast(node, inputs)


def _where(node: Node, inputs: Inputs) -> list[Tensor]:
    return [Tensor(np.broadcast_shapes(*(x.shape for x in inputs if x)), inputs[1].dtype)]  # type: ignore[union-attr]


def _cast(node: Node, inputs: Inputs) -> list[Tensor]:
    x, like = _first(inputs), _optional(inputs, 1)
    return [Tensor(x.shape, like.dtype if like else dtype_of(node.attributes["to"]))]


# --- layers ------------------------------------------------------------------------------------------------------


def _window(node: Node, kernel: Sequence[int], sizes: Shape) -> Shape:
    """Sizes of the map behind a convolution or a pool."""
    n = len(sizes)
    strides = _positive(node.get("strides", (1,) * n), "strides")
    dilations = _positive(node.get("dilations", (1,) * n), "dilations")
    pads, auto = tuple(node.get("pads", (0,) * 2 * n)), node.get("auto_pad", "NOTSET")
    _positive(kernel, "kernel")
    if not n == len(kernel) == len(strides) == len(dilations) == len(pads) // 2 or len(pads) % 2 or min(pads) < 0:
        raise ValueError(f"kernel {list(kernel)}, strides {list(strides)}, pads {list(pads)} on sizes {list(sizes)}")
    found = []
    for axis, (size, k, step, gap) in enumerate(zip(sizes, kernel, strides, dilations, strict=True)):
        reach, padded = (k - 1) * gap + 1, size + pads[axis] + pads[n + axis]
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            found.append(-(-size // step))
            continue
        left = (size if auto == "VALID" else padded) - reach
        places = (-(-left // step) if node.get("ceil_mode", 0) else left // step) + 1
        if places < 1:
            raise ValueError(f"a kernel that reaches over {reach} does not fit a map of {padded}")
        found.append(places)
    return tuple(found)


def _conv(node: Node, inputs: Inputs) -> list[Tensor]:
    x, weight = _first(inputs), inputs[1]
    groups = node.get("group", 1)
    if weight is None or len(weight.shape) != len(x.shape) or len(x.shape) < 3 or groups < 1:
        raise ValueError("expected an input [N, C, …], weights with as many axes and one or more groups")
    if x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise ValueError(f"weights {list(weight.shape)} in {groups} groups for an input of {list(x.shape)}")
    kernel = weight.shape[2:]
    if tuple(node.get("kernel_shape", kernel)) != kernel:
        raise ValueError(f"kernel_shape {list(node.get('kernel_shape', ()))} with weights {list(weight.shape)}")
    return [Tensor((x.shape[0], weight.shape[0], *_window(node, kernel, x.shape[2:])), x.dtype)]


def _pool(node: Node, inputs: Inputs) -> list[Tensor]:
    x = _first(inputs)
    shape = (*x.shape[:2], *_window(node, node.attributes["kernel_shape"], x.shape[2:]))
    return [Tensor(shape, x.dtype), *(Tensor(shape, _INT64) for _ in node.outputs[1:])]


def _global_pool(node: Node, inputs: Inputs) -> list[Tensor]:
    x = _first(inputs)
    if len(x.shape) < 3:
        raise ValueError("expected an input [N, C, …]")
    return [Tensor((*x.shape[:2], *(1 for _ in x.shape[2:])), x.dtype)]


def _matmul_shape(a: Shape, b: Shape) -> Shape:
    if not a or not b or a[-1] != b[-2 if len(b) > 1 else 0]:
        raise ValueError("inner sizes differ")
    left, right = (a if len(a) > 1 else (1, *a)), (b if len(b) > 1 else (*b, 1))
    shape = (*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])
    shape = shape if len(a) > 1 else (*shape[:-2], shape[-1])
    return shape if len(b) > 1 else shape[:-1]


def _matmul(node: Node, inputs: Inputs) -> list[Tensor]:
    a, b = inputs
    return [Tensor(_matmul_shape(a.shape, b.shape), a.dtype)]  # type: ignore[union-attr]


def _gemm(node: Node, inputs: Inputs) -> list[Tensor]:
    a, b, c = _first(inputs), inputs[1], _optional(inputs, 2)
    if b is None or len(a.shape) != 2 or len(b.shape) != 2:
        raise ValueError("expected two matrices")
    left = a.shape[::-1] if node.get("transA", 0) else a.shape
    shape = _matmul_shape(left, b.shape[::-1] if node.get("transB", 0) else b.shape)
    if c is not None and np.broadcast_shapes(shape, c.shape) != shape:
        raise ValueError(f"a sum with {list(c.shape)}")
    return [Tensor(shape, a.dtype)]


def _einsum(node: Node, inputs: Inputs) -> list[Tensor]:
    """Of one or two tensors, each letter once in each; what more could mean no classifier needs."""
    terms, arrow, result = node.attributes["equation"].replace(" ", "").partition("->")
    sizes: dict[str, int] = {}
    named = terms.split(",")
    if not arrow or len(named) != len(inputs) or len(named) > 2 or any(len(set(t)) < len(t) for t in (*named, result)):
        raise ValueError(f"equation {node.attributes['equation']!r:.80}")
    for term, x in zip(named, inputs, strict=True):
        for letter, size in zip(term, x.shape, strict=True):  # type: ignore[union-attr]
            if not letter.isalpha() or sizes.setdefault(letter, size) != size:
                raise ValueError(f"equation {node.attributes['equation']!r:.80}")
    return [Tensor(tuple(sizes[letter] for letter in result), _first(inputs).dtype)]


# --- reductions --------------------------------------------------------------------------------------------------


def _reduced(node: Node, inputs: Inputs) -> list[Tensor]:
    x = _first(inputs)
    axes = _axes(node, _numbers(inputs, 1), len(x.shape))
    if not axes:
        if node.get("noop_with_empty_axes", 0):
            return [Tensor(x.shape, x.dtype)]
        axes = tuple(range(len(x.shape)))
    return [Tensor(_without(x.shape, axes, node.get("keepdims", 1)), x.dtype)]


def _arg(node: Node, inputs: Inputs) -> list[Tensor]:
    x = _first(inputs)
    return [Tensor(_without(x.shape, (_axis(node, 0, len(x.shape)),), node.get("keepdims", 1)), _INT64)]


def _without(shape: Shape, axes: Shape, keep: int) -> Shape:
    return tuple(1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes)


def _top(node: Node, inputs: Inputs) -> list[Tensor]:
    x = _first(inputs)
    k = _number(inputs, 1) if len(inputs) > 1 else node.get("k", 0)
    axis = _axis(node, -1, len(x.shape))
    if not 0 <= k <= x.shape[axis]:
        raise ValueError(f"the {k} largest of {x.shape[axis]}")
    shape = (*x.shape[:axis], k, *x.shape[axis + 1 :])
    return [Tensor(shape, x.dtype), Tensor(shape, _INT64)]


# --- sizes and places --------------------------------------------------------------------------------------------


def _constant(node: Node, inputs: Inputs) -> list[Tensor]:
    for name, dtype in (("value", None), ("value_float", np.float32), ("value_int", np.int64)):
        for found in (node.get(name, None), node.get(f"{name}s", None)):
            if found is not None:
                value = np.asarray(found, dtype)
                return [Tensor(value.shape, value.dtype, value if value.size <= FEW else None)]
    raise ValueError("expected numbers")


def _shape(node: Node, inputs: Inputs) -> list[Tensor]:
    sizes = np.array(_first(inputs).shape[node.get("start", 0) : node.get("end", None)], np.int64)
    return [Tensor(sizes.shape, _INT64, sizes)]


def _size(node: Node, inputs: Inputs) -> list[Tensor]:
    return [Tensor((), _INT64, np.array(_first(inputs).count))]


def _reshape(node: Node, inputs: Inputs) -> list[Tensor]:
    x, target = _first(inputs), _numbers(inputs, 1) if len(inputs) > 1 else list(node.attributes["shape"])
    if target is None or target.count(-1) > 1 or min(target, default=0) < -1:
        raise ValueError(f"target {target}")
    if not node.get("allowzero", 0):
        target = [x.shape[axis] if size == 0 else size for axis, size in enumerate(target)]
    known = math.prod(size for size in target if size != -1)
    shape = tuple(x.count // max(known, 1) if size == -1 else size for size in target)
    if math.prod(shape) != x.count:
        raise ValueError(f"{list(x.shape)} cannot become {list(shape)}")
    return [Tensor(shape, x.dtype)]


def _flatten(node: Node, inputs: Inputs) -> list[Tensor]:
    x = _first(inputs)
    axis = node.get("axis", 1)
    if not -len(x.shape) <= axis <= len(x.shape):
        raise ValueError(f"axis {axis} of {len(x.shape)}")
    axis += len(x.shape) if axis < 0 else 0
    return [Tensor((math.prod(x.shape[:axis]), math.prod(x.shape[axis:])), x.dtype)]


def _squeeze(node: Node, inputs: Inputs) -> list[Tensor]:
    x = _first(inputs)
    axes = _axes(node, _numbers(inputs, 1), len(x.shape))
    over = tuple(axis for axis, size in enumerate(x.shape) if size == 1) if axes is None else axes
    if any(x.shape[axis] != 1 for axis in over):
        raise ValueError(f"axes {list(over)} of {list(x.shape)} are not all of size 1")
    return [Tensor(_without(x.shape, over, 0), x.dtype)]


def _unsqueeze(node: Node, inputs: Inputs) -> list[Tensor]:
    x, given = _first(inputs), _numbers(inputs, 1)
    axes = _axes(node, given, len(x.shape) + len(node.get("axes", ()) if given is None else given)) or ()
    if len(set(axes)) < len(axes):
        raise ValueError(f"axes {list(axes)}")
    sizes = iter(x.shape)
    return [Tensor(tuple(1 if a in axes else next(sizes) for a in range(len(x.shape) + len(axes))), x.dtype)]


def _transpose(node: Node, inputs: Inputs) -> list[Tensor]:
    x = _first(inputs)
    order = node.get("perm", tuple(reversed(range(len(x.shape)))))
    if sorted(order) != list(range(len(x.shape))):
        raise ValueError(f"perm {list(order)}")
    return [Tensor(tuple(x.shape[axis] for axis in order), x.dtype)]


def _concat(node: Node, inputs: Inputs) -> list[Tensor]:
    x = _first(inputs)
    axis = _from_front(node.attributes["axis"], len(x.shape))
    if any(y is None or len(y.shape) != len(x.shape) for y in inputs):
        raise ValueError("inputs have different numbers of axes")
    shapes = [y.shape for y in inputs if y]
    if len({(shape[:axis], shape[axis + 1 :]) for shape in shapes}) > 1:
        raise ValueError(f"they differ in more than axis {axis}")
    return [Tensor((*x.shape[:axis], sum(shape[axis] for shape in shapes), *x.shape[axis + 1 :]), x.dtype)]


def _split(node: Node, inputs: Inputs) -> list[Tensor]:
    x, given = _first(inputs), _numbers(inputs, 1)
    axis = _axis(node, 0, len(x.shape))
    parts = list(node.get("split", ())) if given is None else given
    if not parts:
        largest = -(-x.shape[axis] // len(node.outputs))
        parts = [min(largest, x.shape[axis] - start) for start in range(0, x.shape[axis], largest)]
    if len(parts) != len(node.outputs) or sum(parts) != x.shape[axis] or min(parts) < 0:
        raise ValueError(f"parts {parts} of {x.shape[axis]}")
    return [Tensor((*x.shape[:axis], part, *x.shape[axis + 1 :]), x.dtype) for part in parts]


def _slice(node: Node, inputs: Inputs) -> list[Tensor]:
    x = _first(inputs)
    starts = list(node.get("starts", ())) if len(inputs) < 2 else _numbers(inputs, 1) or []
    ends = list(node.get("ends", ())) if len(inputs) < 3 else _numbers(inputs, 2) or []
    axes = _axes(node, _numbers(inputs, 3), len(x.shape)) or tuple(range(len(starts)))
    steps = _numbers(inputs, 4) or [1] * len(starts)
    shape = list(x.shape)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        last = None if step < 0 and end < -x.shape[axis] else end
        shape[axis] = len(range(x.shape[axis])[slice(start, last, step)])
    return [Tensor(tuple(shape), x.dtype)]


def _pad(node: Node, inputs: Inputs) -> list[Tensor]:
    x = _first(inputs)
    pads = list(node.get("pads", ())) if len(inputs) < 2 else _numbers(inputs, 1) or []
    axes = _axes(node, _numbers(inputs, 3), len(x.shape)) or tuple(range(len(x.shape)))
    if len(pads) != 2 * len(axes):
        raise ValueError(f"{len(pads)} pads for {len(axes)} axes")
    shape = list(x.shape)
    for place, axis in enumerate(axes):
        shape[axis] += pads[place] + pads[len(axes) + place]
    return [Tensor(tuple(shape), x.dtype)]


def _gather(node: Node, inputs: Inputs) -> list[Tensor]:
    x, indices = _first(inputs), inputs[1]
    axis = _axis(node, 0, len(x.shape))
    if indices is None or (
        indices.value is not None and not ((-x.shape[axis] <= indices.value) & (indices.value < x.shape[axis])).all()
    ):
        raise ValueError(f"it takes places that are not among the {x.shape[axis]} of its input")
    return [Tensor((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)]


def _gather_elements(node: Node, inputs: Inputs) -> list[Tensor]:
    return [Tensor(inputs[1].shape, _first(inputs).dtype)]  # type: ignore[union-attr]


def _expand(node: Node, inputs: Inputs) -> list[Tensor]:
    x = _first(inputs)
    target = tuple(_numbers(inputs, 1) or ())
    if min(target, default=0) < 0:
        raise ValueError(f"target {list(target)}")
    return [Tensor(np.broadcast_shapes(x.shape, target), x.dtype)]


def _tile(node: Node, inputs: Inputs) -> list[Tensor]:
    x, repeats = _first(inputs), _numbers(inputs, 1) or []
    return [Tensor(tuple(size * times for size, times in zip(x.shape, repeats, strict=True)), x.dtype)]


def _range(node: Node, inputs: Inputs) -> list[Tensor]:
    start, stop, step = (_number(inputs, place) for place in range(3))
    return [Tensor((max(0, math.ceil((stop - start) / step)),), _first(inputs).dtype)]


def _constant_of_shape(node: Node, inputs: Inputs) -> list[Tensor]:
    value = node.get("value", np.zeros(1, np.float32))
    return [Tensor(tuple(_numbers(inputs, 0) or ()), value.dtype)]


def _one_hot(node: Node, inputs: Inputs) -> list[Tensor]:
    x, values = _first(inputs), inputs[2]
    depth = _number(inputs, 1)
    axis = _axis(node, -1, len(x.shape) + 1)
    return [Tensor((*x.shape[:axis], int(depth), *x.shape[axis:]), values.dtype)]  # type: ignore[union-attr]


def _resize(node: Node, inputs: Inputs) -> list[Tensor]:
    x = _first(inputs)
    older = len(inputs) == 2 or node.op == "Upsample"
    scales = _numbers(inputs, 1 if older else 2) or list(node.get("scales", ()))
    sizes = None if older else _numbers(inputs, 3)
    axes = _axes(node, None, len(x.shape)) or tuple(range(len(x.shape)))
    if node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise ValueError("sizes that keep the aspect ratio aren't read")
    shape = list(x.shape)
    if sizes:
        targets = [int(size) for size in sizes]
    else:
        if not all(math.isfinite(scale) and scale > 0 for scale in scales):
            raise ValueError(f"scales {scales}")
        targets = [math.floor(x.shape[axis] * scale) for axis, scale in zip(axes, scales, strict=True)]
    for axis, size in zip(axes, targets, strict=True):
        shape[axis] = size
    return [Tensor(tuple(shape), x.dtype)]


def _depth_to_space(node: Node, inputs: Inputs) -> list[Tensor]:
    x, side = _first(inputs), node.attributes["blocksize"]
    n, c, h, w = x.shape
    if side < 1 or (c % side**2 if node.op == "DepthToSpace" else h % side or w % side):
        raise ValueError(f"blocks of {side} of {list(x.shape)}")
    if node.op == "DepthToSpace":
        return [Tensor((n, c // side**2, h * side, w * side), x.dtype)]
    return [Tensor((n, c * side**2, h // side, w // side), x.dtype)]


SAME_SIZES = frozenset(
    "Abs Acos Acosh Asin Asinh Atan Atanh BatchNormalization BitwiseNot Ceil Celu Clip Cos Cosh CumSum Dropout Elu Erf "
    "Exp Floor Gelu GroupNormalization Hardmax HardSigmoid HardSwish Identity InstanceNormalization LRN "
    "LayerNormalization LeakyRelu Log LogSoftmax LpNormalization MeanVarianceNormalization Mish Neg Not PRelu "
    "RMSNormalization Reciprocal Relu Round ScatterElements ScatterND Selu Shrink Sigmoid Sign Sin Sinh Softmax "
    "Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu Trilu".split()
)
"""Operators whose result may take the place of their first input."""

_REDUCTIONS = "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare".split()
_LOGIC = "And Equal Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Or Xor".split()

RULES: dict[str, Rule] = {
    **dict.fromkeys(SAME_SIZES, _like_first),
    **dict.fromkeys(_LOGIC, _as_bool),
    **dict.fromkeys("Add BitwiseAnd BitwiseOr BitwiseXor Max Mean Min Mul Pow Sub Sum".split(), _broadcast),
    **dict.fromkeys(("Div", "Mod"), _divided),
    **dict.fromkeys((f"Reduce{name}" for name in _REDUCTIONS), _reduced),
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg),
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"), _global_pool),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), _depth_to_space),
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    **dict.fromkeys(("Cast", "CastLike"), _cast),
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Conv": _conv,
    "Einsum": _einsum,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "TopK": _top,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
"""The operators that a classifier may use."""
