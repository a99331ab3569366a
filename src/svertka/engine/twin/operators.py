"""What each small operator means, in plain NumPy: for folding constants, and for steps that cost next to nothing.

Convolution, pooling and the other operators that cost time have kernels of their own (``kernels``).
Semantics: https://onnx.ai/onnx/operators.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from svertka.engine.twin.graph import Array, Node
from svertka.engine.twin.kernels.activations import erf
from svertka.engine.twin.onnx_file import dtype_of
from svertka.errors import GraphError

Operator = Callable[..., Array | Sequence[Array]]


def evaluate(node: Node, inputs: Sequence[Array | None]) -> list[Array]:
    """Runs one node.

    Args:
        node: to run.
        inputs: its inputs in order, None where an optional one is left out.

    Returns:
        Its outputs.

    Raises:
        GraphError: the operator is unknown.
    """
    result = OPERATORS[node.op](node, *inputs)
    return [np.asarray(value) for value in (result if isinstance(result, tuple | list) else (result,))]


def axes_of(node: Node, given: Array | None, ndim: int) -> tuple[int, ...] | None:
    """Axes as an attribute (older operator sets) or as an input (newer ones), counted from the front; None for all."""
    axes = node.get("axes", None) if given is None else np.asarray(given).ravel().tolist()
    return None if axes is None else tuple(int(axis) % ndim for axis in axes)


def _elementwise(function: Callable[..., Any]) -> Operator:
    return lambda node, *inputs: function(*inputs)


def _reduce(function: Callable[..., Any]) -> Operator:
    def run(node: Node, x: Array, axes: Array | None = None) -> Array:
        over = axes_of(node, axes, x.ndim)
        if over is None and node.get("noop_with_empty_axes", 0):
            return x
        return np.asarray(function(x, axis=over, keepdims=bool(node.get("keepdims", 1))))

    return run


def _divide(node: Node, a: Array, b: Array) -> Array:
    """Integers are divided towards zero."""
    if a.dtype.kind in "iu":
        return np.asarray(np.trunc(a / b), a.dtype)
    return np.asarray(a / b)


def reshape_target(node: Node, shape: tuple[int, ...], target: Sequence[int]) -> tuple[int, ...]:
    """The sizes that Reshape means: 0 keeps a size, -1 takes what is left."""
    if not node.get("allowzero", 0):
        target = [shape[axis] if size == 0 else int(size) for axis, size in enumerate(target)]
    known = int(np.prod([size for size in target if size != -1]))
    return tuple(int(np.prod(shape)) // max(known, 1) if size == -1 else int(size) for size in target)


def _flatten(node: Node, x: Array) -> Array:
    axis = node.get("axis", 1) % (x.ndim + 1)
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


def _squeeze(node: Node, x: Array, axes: Array | None = None) -> Array:
    return np.squeeze(x, axes_of(node, axes, x.ndim))


def _unsqueeze(node: Node, x: Array, axes: Array | None = None) -> Array:
    count = len(node.get("axes", ())) if axes is None else np.size(axes)
    return np.expand_dims(x, axes_of(node, axes, x.ndim + count) or ())


def _slice(
    node: Node, x: Array, starts: Array | None = None, ends: Array | None = None, axes: Any = None, steps: Any = None
) -> Array:
    begin = node.get("starts", ()) if starts is None else starts.tolist()
    end = node.get("ends", ()) if ends is None else ends.tolist()
    over = axes_of(node, axes, x.ndim) or tuple(range(len(begin)))
    by = [1] * len(begin) if steps is None else steps.tolist()
    cuts = [slice(None)] * x.ndim
    for axis, first, last, step in zip(over, begin, end, by, strict=True):
        # Going backwards, an end before the first element is a large negative number: it means "to the very start".
        cuts[axis] = slice(first, None if step < 0 and last < -x.shape[axis] else last, step)
    return x[tuple(cuts)]


def _split(node: Node, x: Array, sizes: Array | None = None) -> list[Array]:
    axis, parts = node.get("axis", 0), node.get("split", None) if sizes is None else sizes.tolist()
    if parts is None:
        largest = -(-x.shape[axis] // len(node.outputs))
        return list(np.split(x, range(largest, x.shape[axis], largest), axis))
    return list(np.split(x, np.cumsum(parts)[:-1], axis))


def _pad(node: Node, x: Array, pads: Array | None = None, value: Array | None = None, axes: Any = None) -> Array:
    amounts = np.asarray(node.get("pads", ()) if pads is None else pads).reshape(2, -1)
    over = axes_of(node, axes, x.ndim) or tuple(range(x.ndim))
    width = [(0, 0)] * x.ndim
    for axis, before, after in zip(over, *amounts.tolist(), strict=True):
        width[axis] = (before, after)
    cuts = tuple(slice(max(-a, 0), size - max(-b, 0)) for (a, b), size in zip(width, x.shape, strict=True))
    width = [(max(a, 0), max(b, 0)) for a, b in width]
    mode = node.get("mode", "constant")
    if mode == "constant":
        fill = node.get("value", 0.0) if value is None else np.asarray(value).item()
        return np.pad(x[cuts], width, constant_values=fill)
    return np.pad(x[cuts], width, {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}[mode])  # type: ignore[call-overload,no-any-return]


def _gather(node: Node, x: Array, indices: Array) -> Array:
    return np.take(x, indices.astype(np.int64), axis=node.get("axis", 0))


def _softmax_axes(node: Node, ndim: int) -> tuple[int, ...]:
    """One axis; before operator set 13 all from there on, as one ("flattened" is noted by the reader)."""
    axis = node.get("axis", -1) % ndim
    return tuple(range(axis, ndim)) if node.get("flattened", 0) else (axis,)


def _softmax(node: Node, x: Array) -> Array:
    axes = _softmax_axes(node, x.ndim)
    exponentials = np.exp(x - x.max(axis=axes, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=axes, keepdims=True))


def _log_softmax(node: Node, x: Array) -> Array:
    axes = _softmax_axes(node, x.ndim)
    below = x - x.max(axis=axes, keepdims=True)
    return np.asarray(below - np.log(np.exp(below).sum(axis=axes, keepdims=True)))


def _layer_norm(node: Node, x: Array, scale: Array, bias: Array | None = None) -> Array:
    over = tuple(range(node.get("axis", -1) % x.ndim, x.ndim))
    centred: Array = x - x.mean(axis=over, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(axis=over, keepdims=True) + np.float32(node.get("epsilon", 1e-5)))
    centred /= deviation
    centred *= scale
    return centred if bias is None else centred + bias


def _batch_norm(node: Node, x: Array, scale: Array, bias: Array, mean: Array, variance: Array) -> Array:
    factor, shift = batch_norm_as_affine(node, scale, bias, mean, variance)
    across = (1, -1) + (1,) * (x.ndim - 2)
    return np.asarray(x * factor.reshape(across) + shift.reshape(across))


def batch_norm_as_affine(node: Node, scale: Array, bias: Array, mean: Array, variance: Array) -> tuple[Array, Array]:
    """Factor and shift [C] of a BatchNorm in evaluation, worked out in float64."""
    factor = scale / np.sqrt(variance.astype(np.float64) + node.get("epsilon", 1e-5))
    return factor.astype(np.float32), (bias - mean * factor).astype(np.float32)


def _local_response_norm(node: Node, x: Array) -> Array:
    """Krizhevsky et al. 2012, section 3.3, as ONNX counts it: alpha is divided by the size of the window."""
    size, channels = node.get("size", 5), x.shape[1]
    before = (size - 1) // 2
    padded = np.pad(np.square(x), [(0, 0), (before, size - 1 - before)] + [(0, 0)] * (x.ndim - 2))
    window = sum(padded[:, shift : shift + channels] for shift in range(size))
    scale = node.get("bias", 1.0) + np.float32(node.get("alpha", 1e-4) / size) * window
    return np.asarray(x / scale ** np.float32(node.get("beta", 0.75)), x.dtype)


def _constant(node: Node) -> Array:
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if name in node.attributes:
            return np.asarray(node.attributes[name], np.float32 if "float" in name else None)
    raise GraphError(f"Node {node.name!r}, a Constant, holds {sorted(node.attributes)}; expected numbers.")


def _constant_of_shape(node: Node, shape: Array) -> Array:
    value = node.get("value", np.zeros(1, np.float32))
    return np.full(shape.tolist(), value.item(), value.dtype)


def _clip(node: Node, x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    lowest, highest = node.get("min", None) if low is None else low, node.get("max", None) if high is None else high
    return np.asarray(np.clip(x, lowest, highest), x.dtype)


def _gemm(node: Node, a: Array, b: Array, c: Array | float = 0.0) -> Array:
    a, b = a.T if node.get("transA", 0) else a, b.T if node.get("transB", 0) else b
    return np.asarray(np.float32(node.get("alpha", 1.0)) * (a @ b) + np.float32(node.get("beta", 1.0)) * c)


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), x.dtype)


def _gelu(node: Node, x: Array) -> Array:
    if node.get("approximate", "none") == "tanh":
        return np.asarray(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))), x.dtype)
    return np.asarray(0.5 * x * (1 + erf(x * np.sqrt(0.5))), x.dtype)


OPERATORS: dict[str, Operator] = {
    # arithmetic
    "Add": _elementwise(np.add),
    "Sub": _elementwise(np.subtract),
    "Mul": _elementwise(np.multiply),
    "Div": _divide,
    "Pow": lambda node, a, b: np.asarray(np.power(a, b), a.dtype),
    "Min": _elementwise(lambda *x: np.min(np.broadcast_arrays(*x), axis=0)),
    "Max": _elementwise(lambda *x: np.max(np.broadcast_arrays(*x), axis=0)),
    "Neg": _elementwise(np.negative),
    "Abs": _elementwise(np.abs),
    "Sqrt": _elementwise(np.sqrt),
    "Exp": _elementwise(np.exp),
    "Log": _elementwise(np.log),
    "Reciprocal": _elementwise(lambda x: np.asarray(1 / x, x.dtype)),
    "Floor": _elementwise(np.floor),
    "Ceil": _elementwise(np.ceil),
    "Mod": lambda node, a, b: (np.fmod if node.get("fmod", 0) else np.mod)(a, b),
    "Gemm": _gemm,
    "MatMul": _elementwise(np.matmul),
    # activations
    "Relu": _elementwise(lambda x: np.maximum(x, 0)),
    "LeakyRelu": lambda node, x: np.where(x > 0, x, np.float32(node.get("alpha", 0.01)) * x),
    "PRelu": _elementwise(lambda x, slope: np.where(x > 0, x, slope * x)),
    "Elu": lambda node, x: np.where(x > 0, x, np.float32(node.get("alpha", 1.0)) * np.expm1(np.minimum(x, 0))),
    "Clip": _clip,
    "Sigmoid": _elementwise(_sigmoid),
    "HardSigmoid": lambda node, x: np.clip(
        np.float32(node.get("alpha", 0.2)) * x + np.float32(node.get("beta", 0.5)), 0, 1
    ),
    "HardSwish": _elementwise(lambda x: np.asarray(x * np.clip(x / 6 + 0.5, 0, 1), x.dtype)),
    "Tanh": _elementwise(np.tanh),
    "Erf": _elementwise(erf),
    "Gelu": _gelu,
    "Softplus": _elementwise(lambda x: np.logaddexp(x, np.float32(0))),
    "Softmax": _softmax,
    "LogSoftmax": _log_softmax,
    # normalisation
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "LRN": _local_response_norm,
    # reductions
    "ReduceMean": _reduce(np.mean),
    "ReduceSum": _reduce(np.sum),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "ReduceProd": _reduce(np.prod),
    "ReduceL2": _reduce(lambda x, axis, keepdims: np.sqrt(np.square(x).sum(axis=axis, keepdims=keepdims))),
    "GlobalAveragePool": lambda node, x: x.mean(axis=tuple(range(2, x.ndim)), keepdims=True),
    "GlobalMaxPool": lambda node, x: x.max(axis=tuple(range(2, x.ndim)), keepdims=True),
    # sizes and places
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Identity": lambda node, x: x,
    "Dropout": lambda node, x, *rest: x,
    "Cast": lambda node, x: x.astype(dtype_of(node.attributes["to"])),
    "Shape": lambda node, x: np.array(x.shape[node.get("start", 0) : node.get("end", None)], np.int64),
    "Size": lambda node, x: np.array(x.size, np.int64),
    "Reshape": lambda node, x, shape: x.reshape(reshape_target(node, x.shape, shape.tolist())),
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": lambda node, x: np.transpose(x, node.get("perm", None)),
    "Concat": lambda node, *inputs: np.concatenate(inputs, node.attributes["axis"]),
    "Split": _split,
    "Slice": _slice,
    "Pad": _pad,
    "Gather": _gather,
    "Expand": lambda node, x, shape: np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape.tolist()))),
    "Tile": lambda node, x, repeats: np.tile(x, repeats.tolist()),
    "Range": _elementwise(lambda first, last, step: np.arange(first.item(), last.item(), step.item(), first.dtype)),  # type: ignore[call-overload]
    # logic
    "Equal": _elementwise(np.equal),
    "Greater": _elementwise(np.greater),
    "Less": _elementwise(np.less),
    "GreaterOrEqual": _elementwise(np.greater_equal),
    "LessOrEqual": _elementwise(np.less_equal),
    "And": _elementwise(np.logical_and),
    "Or": _elementwise(np.logical_or),
    "Not": _elementwise(np.logical_not),
    "Where": _elementwise(np.where),
}
"""By ONNX name. Each takes the node and its inputs, and gives its output (or a tuple or list of them)."""
