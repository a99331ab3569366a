"""Shape inference for one operator: type and sizes of its results, known before anything is allocated."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from svertka.errors import GraphError, ShapeError
from svertka.inference.numpy_backend.arguments import (
    Shape,
    axis_of,
    cuts_of,
    flatten_target,
    integers,
    pads_of,
    permutation,
    reduced_axes,
    reshape_target,
    scalar,
    softmax_axes,
    split_sizes,
    squeezed,
    unsqueezed,
    windowed,
)
from svertka.onnx_graph.graph import Array, Node
from svertka.onnx_graph.standard import result_type

Values = Sequence[Array | None]

_AN_IMAGE = 192 << 20  # bytes; EfficientNet-B7 at 600 px has 150 MB alive at once
_FEWEST_IMAGES = 4


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of a tensor, as ONNX counts them: [N, C, H, W]."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def count(self) -> int:
        """Of its numbers."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """That such a tensor takes."""
        return self.count * self.dtype.itemsize


def budget(inputs: Iterable[Sizes] = ()) -> int:
    """Bytes that the tensors of a graph may take at the same time; the more images its inputs hold, the more."""
    images = max((each.shape[0] for each in inputs if each.shape), default=0)
    return max(images, _FEWEST_IMAGES) * _AN_IMAGE


def check_budget(what: str, size: int, most: int) -> None:
    """Raises GraphError if something is larger than it may be."""
    if size > most:
        raise GraphError(
            f"{what} would take {size / 2**20:.0f} MB; the NumPy twin allows {most / 2**20:.0f}. Run this model with "
            "ONNX Runtime if you trust it."
        )


def sizes_of(node: Node, inputs: Sequence[Sizes | None], values: Values, most: int) -> list[Sizes]:
    """Type and sizes of a node's results.

    Args:
        node: in the form that ``standard.checked`` gives it, or one of our own.
        inputs: of its inputs in order, None where an optional one is left out.
        values: of those inputs that are constants, else None.
        most: bytes that one result may take, unless an input takes as many.

    Raises:
        ShapeError: sizes don't fit each other.
        GraphError: sizes depend on numbers that aren't known, or are beyond ``most``.
    """
    dtype = result_type(node, [None if each is None else each.dtype for each in inputs])
    results = [Sizes(shape, dtype) for shape in shapes_of(node, inputs, values, RULES)]
    most = max(most, *(each.bytes for each in inputs if each is not None), 0)
    for result in results:
        check_budget(f"Node {node.name!r}, a {node.op}: its result of sizes {list(result.shape)}", result.bytes, most)
    return results


Rule = Callable[[Node, list[Any], Values], Sequence[Shape]]
"""Takes the node, the shapes of its inputs (None where left out), and the numbers of those that are known."""


def shapes_of(node: Node, inputs: Sequence[Sizes | None], values: Values, rules: Mapping[str, Rule]) -> Sequence[Shape]:
    """Sizes of a node's results, by a table of rules.

    Raises:
        ShapeError: sizes don't fit each other.
        GraphError: sizes depend on numbers that aren't known.
    """
    shapes: list[Any] = [None if each is None else each.shape for each in inputs]
    try:
        return rules[node.op](node, shapes, values)
    except (ShapeError, GraphError):
        raise
    except (ValueError, IndexError, ZeroDivisionError, OverflowError) as error:
        shown = [list(shape) for shape in shapes if shape is not None]
        raise ShapeError(
            f"Node {node.name!r}, a {node.op}, doesn't fit inputs of sizes {shown}: {error or 'none are left'}."
        ) from None


def numbers_of(node: Node, values: Values, place: int) -> Array | None:
    """An input whose numbers decide the sizes of the result; None where it is left out.

    Raises:
        GraphError: they aren't known before the graph runs.
    """
    if place >= len(node.inputs) or not node.inputs[place]:
        return None
    if values[place] is None:
        raise node.error(
            f"takes sizes from the numbers of {node.inputs[place]!r}; expected constants, or what follows from the "
            "input's sizes"
        )
    return values[place]


def _broadcast(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    return [np.broadcast_shapes(*shapes)]


def _same(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    return [shapes[0]]


def _onto_first(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    """The others are broadcast to the first, never the other way round."""
    if np.broadcast_shapes(*(shape for shape in shapes if shape is not None)) != shapes[0]:
        raise ValueError("the others don't broadcast to the first")
    return [shapes[0]]


def _clip(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    if any(shape not in (None, (), (1,)) for shape in shapes[1:]):
        raise ValueError("its bounds are no single numbers")
    return [shapes[0]]


def _softmax(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    softmax_axes(node, len(shapes[0]))
    return [shapes[0]]


def _layer_norm(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    axis_of(node.get("axis", -1), len(shapes[0]))
    return _onto_first(node, shapes, values)


def _per_channel(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    x, *vectors = shapes
    if len(x) < 2 or any(shape != (x[1],) for shape in vectors):
        raise ValueError("expected [N, C, …] and vectors of C numbers")
    return [x]


def _local_response_norm(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    if len(shapes[0]) < 3 or node.attributes["size"] < 1:
        raise ValueError(f"a window over {node.attributes['size']} channels has no meaning here")
    return [shapes[0]]


def _matmul(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    a, b = shapes
    if not a or not b or a[-1] != b[-2 if len(b) > 1 else 0]:
        raise ValueError(f"it multiplies rows of {list(a[-1:])} with columns of {list(b[-2:][:1])} numbers")
    stack = np.broadcast_shapes(a[:-2], b[:-2])
    return [(*stack, *(a[-2:-1] if len(a) > 1 else ()), *(b[-1:] if len(b) > 1 else ()))]


_TURNED = ("transA", "transB")


def _gemm(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    a, b = (shape[::-1] if node.get(name, 0) else shape for name, shape in zip(_TURNED, shapes[:2], strict=True))
    if len(a) != 2 or len(b) != 2 or a[1] != b[0]:
        raise ValueError(f"it multiplies {list(a)} with {list(b)}")
    product = (a[0], b[1])
    if len(shapes) > 2 and shapes[2] is not None and np.broadcast_shapes(product, shapes[2]) != product:
        raise ValueError(f"what is added doesn't broadcast to {list(product)}")
    return [product]


def _linear(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    x, weight = shapes[:2]
    if not x or x[-1] != weight[0] or (node.get("rows", 0) and len(x) != 2):
        raise ShapeError(
            f"Node {node.name!r} multiplies an input of sizes {list(x)} with a weight for {weight[0]} features. "
            "Give the network images of the size that it was made for."
        )
    return [(*x[:-1], weight[1])]


def _conv(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    own = conv_shape(node, shapes[0], shapes[1], shapes[2] if len(shapes) > 2 else None)
    return [np.broadcast_shapes(own, shapes[3]) if "residual" in node.attributes else own]


def conv_shape(node: Node, x: Shape, weight: Shape, bias: Shape | None) -> Shape:
    """Sizes of a convolution's own result, before a shortcut is added."""
    groups = node.get("group", 1)
    if not 3 <= len(x) == len(weight) or groups < 1 or x[1] != weight[1] * groups or weight[0] % groups:
        raise ShapeError(
            f"Node {node.name!r} convolves an input of sizes {list(x)} with weights {list(weight)} in {groups} groups; "
            "expected [N, C, …] and [O, C / groups, …]."
        )
    if tuple(node.get("kernel_shape", weight[2:])) != weight[2:] or bias not in (None, (weight[0],)):
        raise ValueError(f"kernel_shape is {node.get('kernel_shape', None)}, the bias has sizes {bias}")
    return x[0], weight[0], *windowed(node, weight[2:], x[2:])


def _pool(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    return [(*shapes[0][:2], *windowed(node, node.attributes["kernel_shape"], shapes[0][2:]))]


def _global_pool(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    x = shapes[0]
    if len(x) < 3:
        raise ValueError("expected [N, C, …]")
    return [(*x[:2], *(1,) * (len(x) - 2))]


def _reduce(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    x, over = shapes[0], reduced_axes(node, numbers_of(node, values, 1), len(shapes[0]))
    if node.op in ("ReduceMean", "ReduceMax", "ReduceMin") and any(x[axis] == 0 for axis in over):
        raise ValueError(f"it goes over the axes {list(over)}, which are empty")
    if node.get("keepdims", 1):
        return [tuple(1 if axis in over else size for axis, size in enumerate(x))]
    return [tuple(size for axis, size in enumerate(x) if axis not in over)]


def _constant(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    ((name, value),) = node.attributes.items()
    if name not in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        raise ValueError(f"it holds a {name}; expected numbers")
    return [np.shape(value)]


def _constant_of_shape(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    if np.size(node.get("value", 0)) != 1:
        raise ValueError("its value is no single number")
    return [tuple(_sizes(node, values, 0))]


def _sizes(node: Node, values: Values, place: int) -> list[int]:
    given = numbers_of(node, values, place)
    sizes = [] if given is None else integers(given)
    if min(sizes, default=0) < 0:
        raise ValueError(f"it has {sizes} where sizes belong")
    return sizes


def _concat(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    axis = axis_of(node.attributes["axis"], len(shapes[0]))
    rest = {(*shape[:axis], None, *shape[axis + 1 :]) for shape in shapes}
    if len(rest) > 1 or len({len(shape) for shape in shapes}) > 1:
        raise ValueError(f"they differ beside axis {axis}")
    return [(*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])]


def _split(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    x, axis = shapes[0], axis_of(node.get("axis", 0), len(shapes[0]))
    parts = split_sizes(node, x[axis], numbers_of(node, values, 1))
    return [(*x[:axis], size, *x[axis + 1 :]) for size in parts]


def _slice(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    cuts = cuts_of(node, shapes[0], [numbers_of(node, values, place) for place in range(1, 5)])
    return [tuple(len(range(size)[cut]) for size, cut in zip(shapes[0], cuts, strict=True))]


def _pad(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    if len(shapes) > 2 and shapes[2] not in (None, (), (1,)):
        raise ValueError("its value is no single number")
    width = pads_of(node, shapes[0], numbers_of(node, values, 1), numbers_of(node, values, 3))
    return [tuple(size + before + after for size, (before, after) in zip(shapes[0], width, strict=True))]


def _gather(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    x, axis = shapes[0], axis_of(node.get("axis", 0), len(shapes[0]))
    return [(*x[:axis], *shapes[1], *x[axis + 1 :])]


def _tile(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    repeats = _sizes(node, values, 1)
    return [tuple(size * count for size, count in zip(shapes[0], repeats, strict=True))]


def _range(node: Node, shapes: list[Any], values: Values) -> list[Shape]:
    first, last, step = (scalar(numbers_of(node, values, place)).item() for place in range(3))
    if not all(map(math.isfinite, (first, last, step))):
        raise ValueError(f"it goes from {first} to {last} by {step}")
    whole = isinstance(first, int)
    return [(max(-((first - last) // step) if whole else math.ceil((last - first) / step), 0),)]


STANDARD_RULES: Final[Mapping[str, Rule]] = {
    **dict.fromkeys("Add Sub Mul Div Pow Min Max Mod".split(), _broadcast),
    **dict.fromkeys("Equal Greater Less GreaterOrEqual LessOrEqual And Or Where".split(), _broadcast),
    **dict.fromkeys("Neg Abs Sqrt Exp Log Reciprocal Floor Ceil Not Cast Identity Dropout".split(), _same),
    **dict.fromkeys("Relu LeakyRelu Elu Sigmoid HardSigmoid HardSwish Tanh Erf Gelu Softplus".split(), _same),
    **{"PRelu": _onto_first, "Clip": _clip, "Softmax": _softmax, "LogSoftmax": _softmax},
    **{"LayerNormalization": _layer_norm, "BatchNormalization": _per_channel},
    **{"LRN": _local_response_norm, "MatMul": _matmul, "Gemm": _gemm, "Conv": _conv},
    **{"MaxPool": _pool, "AveragePool": _pool, "GlobalAveragePool": _global_pool, "GlobalMaxPool": _global_pool},
    **dict.fromkeys("ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL2".split(), _reduce),
    **{"Constant": _constant, "ConstantOfShape": _constant_of_shape, "Range": _range},
    "Shape": lambda node, shapes, values: [(len(shapes[0][node.get("start", 0) : node.get("end", None)]),)],
    "Size": lambda node, shapes, values: [()],
    "Reshape": lambda node, shapes, values: [reshape_target(node, shapes[0], numbers_of(node, values, 1))],
    "Flatten": lambda node, shapes, values: [flatten_target(node, shapes[0])],
    "Squeeze": lambda node, shapes, values: [squeezed(node, shapes[0], numbers_of(node, values, 1))],
    "Unsqueeze": lambda node, shapes, values: [unsqueezed(node, shapes[0], numbers_of(node, values, 1))],
    "Transpose": lambda node, shapes, values: [tuple(shapes[0][axis] for axis in permutation(node, len(shapes[0])))],
    "Expand": lambda node, shapes, values: [np.broadcast_shapes(shapes[0], tuple(_sizes(node, values, 1)))],
    **{"Concat": _concat, "Split": _split, "Slice": _slice, "Pad": _pad, "Gather": _gather, "Tile": _tile},
}
"""By ONNX's operators."""

RULES: Final[Mapping[str, Rule]] = {**STANDARD_RULES, "Act": _same, "Affine": _per_channel, "Linear": _linear}
"""By operator, ONNX's and our own (``passes``)."""
