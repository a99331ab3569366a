"""Reference implementations of small operators in plain NumPy, for constant folding and cheap steps.

Convolution, pooling and the other operators that cost time have kernels of their own (``kernels``).
Semantics: https://onnx.ai/onnx/operators.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from svertka.errors import GraphError
from svertka.inference.numpy_backend.arguments import (
    axis_of,
    cuts_of,
    flatten_target,
    pads_of,
    permutation,
    reduced_axes,
    reshape_target,
    scalar,
    softmax_axes,
    split_sizes,
    squeezed,
    unsqueezed,
)
from svertka.inference.numpy_backend.kernels.activations import Activation, erf, in_place
from svertka.inference.numpy_backend.shape_rules import RULES, Sizes, budget, sizes_of
from svertka.onnx_graph.graph import Array, Node
from svertka.onnx_graph.reader import dtype_of

Operator = Callable[..., Array | Sequence[Array]]


def evaluate(node: Node, inputs: Sequence[Array | None], most: int | None = None) -> list[Array]:
    """Runs one node on its inputs in order, None where an optional one is left out.

    One result may take ``most`` bytes, unless an input takes as many; by default as for few images.

    Raises:
        ShapeError: sizes don't fit each other.
        GraphError: it cannot be computed: numbers are outside of what the operator is defined for, or too many.
    """
    if node.op not in OPERATORS:
        raise node.error("works on constants alone; expected what is computed")
    given = [None if x is None else Sizes(x.shape, x.dtype) for x in inputs]
    expected = sizes_of(node, given, inputs, budget() if most is None else most)
    try:
        with np.errstate(all="ignore"):
            result = OPERATORS[node.op](node, *inputs)
    except GraphError:
        raise
    except (ValueError, TypeError, ArithmeticError, LookupError, MemoryError) as error:
        raise node.error(f"cannot be computed: {str(error).rstrip('.')}") from None
    values = result if isinstance(result, tuple | list) else (result,)
    found = [np.asarray(value, sizes.dtype) for value, sizes in zip(values, expected, strict=True)]
    if [value.shape for value in found] != [sizes.shape for sizes in expected]:
        raise node.error(f"gave {[x.shape for x in found]}; expected {expected}")
    return found


def _elementwise(function: Callable[..., Any]) -> Operator:
    return lambda node, *inputs: function(*inputs)


def _reduce(function: Callable[..., Any]) -> Operator:
    def run(node: Node, x: Array, axes: Array | None = None) -> Array:
        over = reduced_axes(node, axes, x.ndim)
        return np.asarray(function(x, axis=over, keepdims=bool(node.get("keepdims", 1))))

    return run


def _in_own_type(function: Callable[..., Any]) -> Callable[..., Any]:
    """A reduction that NumPy would do in a wider type for small integers."""
    return lambda x, axis, keepdims: function(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


def _divide(node: Node, a: Array, b: Array) -> Array:
    """Integers are divided towards zero."""
    if a.dtype.kind not in "iu":
        return np.asarray(a / b)
    _check_divisors(a, b)
    down, rest = np.divmod(a, b)
    return np.asarray(down + ((rest != 0) & ((a < 0) != (b < 0))), a.dtype)


def _modulo(node: Node, a: Array, b: Array) -> Array:
    if a.dtype.kind in "iu":
        _check_divisors(a, b)
    return np.asarray((np.fmod if node.get("fmod", 0) else np.mod)(a, b))


def _check_divisors(a: Array, b: Array) -> None:
    """Raises ValueError where a processor would stop the program."""
    if (b == 0).any():
        raise ValueError("it divides integers by zero")
    if a.dtype.kind == "i" and ((a == np.iinfo(a.dtype).min) & (b == -1)).any():
        raise ValueError(f"it divides the smallest {a.dtype} number by -1, which gives none")


def _power(node: Node, a: Array, b: Array) -> Array:
    if a.dtype.kind == "f":
        return np.asarray(np.power(a, b.astype(a.dtype)))
    estimate = np.power(a.astype(np.float64), b.astype(np.float64))
    if b.dtype.kind == "f":
        return _cast(estimate, a.dtype)
    if not (np.abs(estimate) <= np.iinfo(a.dtype).max).all():
        raise ValueError(f"a power is no {a.dtype} number")
    return np.asarray(np.power(a.astype(np.int64), b.astype(np.int64)), a.dtype)


def _cast(x: Array, dtype: np.dtype[Any]) -> Array:
    """Of integers, the lowest bits count; what a float outside of an integer type becomes, the standard leaves open."""
    if x.dtype.kind == "f" and dtype.kind in "iu" and x.size:
        limits = np.iinfo(dtype)
        if not (np.trunc(x.min()) >= limits.min and np.trunc(x.max()) < float(limits.max + 1)):
            raise ValueError(f"a number is outside of {dtype}")
    return x.astype(dtype)


def _slice(node: Node, x: Array, *given: Array | None) -> Array:
    return x[cuts_of(node, x.shape, given)]


def _split(node: Node, x: Array, sizes: Array | None = None) -> list[Array]:
    axis = axis_of(node.get("axis", 0), x.ndim)
    return list(np.split(x, np.cumsum(split_sizes(node, x.shape[axis], sizes))[:-1], axis))


def _pad(node: Node, x: Array, pads: Array | None = None, value: Array | None = None, axes: Any = None) -> Array:
    width = pads_of(node, x.shape, pads, axes)
    cuts = tuple(slice(max(-a, 0), size - max(-b, 0)) for (a, b), size in zip(width, x.shape, strict=True))
    width = [(max(a, 0), max(b, 0)) for a, b in width]
    if (mode := node.get("mode", "constant")) == "constant":
        fill = node.get("value", 0.0) if value is None else scalar(value).item()
        return np.pad(x[cuts], width, constant_values=fill)
    return np.pad(x[cuts], width, mode)


def _gather(node: Node, x: Array, indices: Array) -> Array:
    axis = axis_of(node.get("axis", 0), x.ndim)
    if indices.size and not (-x.shape[axis] <= indices.min() and indices.max() < x.shape[axis]):
        raise ValueError(f"it asks for places {indices.min()} to {indices.max()} of {x.shape[axis]}")
    return np.take(x, indices, axis=axis)


def _softmax(node: Node, x: Array) -> Array:
    axes = softmax_axes(node, x.ndim)
    exponentials = np.exp(x - x.max(axis=axes, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=axes, keepdims=True))


def _log_softmax(node: Node, x: Array) -> Array:
    axes = softmax_axes(node, x.ndim)
    below = x - x.max(axis=axes, keepdims=True)
    return np.asarray(below - np.log(np.exp(below).sum(axis=axes, keepdims=True)))


def _layer_norm(node: Node, x: Array, scale: Array, bias: Array | None = None) -> Array:
    over = tuple(range(axis_of(node.get("axis", -1), x.ndim), x.ndim))
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
    return factor.astype(scale.dtype), (bias - mean * factor).astype(scale.dtype)


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
    raise ValueError(f"it holds {sorted(node.attributes)}; expected numbers")


def _constant_of_shape(node: Node, shape: Array) -> Array:
    value = node.get("value", np.zeros(1, np.float32))
    return np.full(shape.tolist(), value.item(), value.dtype)


def _dropout(node: Node, x: Array, ratio: Array | None = None, training: Array | None = None) -> Array:
    check_evaluation(node, ratio, training)
    return x


def check_evaluation(node: Node, ratio: Array | None, training: Array | None) -> None:
    """Raises GraphError for a Dropout that leaves out numbers at random; by default it does so with half of them."""
    if training is not None and training.any() and (ratio is None or ratio.any()):
        raise node.error("is in training mode; expected a network for evaluation")


def _clip(node: Node, x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    lowest = node.get("min", None) if low is None else scalar(low)
    highest = node.get("max", None) if high is None else scalar(high)
    return np.asarray(np.clip(x, lowest, highest), x.dtype)


def _gemm(node: Node, a: Array, b: Array, c: Array | None = None) -> Array:
    a, b = a.T if node.get("transA", 0) else a, b.T if node.get("transB", 0) else b
    product = np.float32(node.get("alpha", 1.0)) * (a @ b)
    return np.asarray(product if c is None else product + np.float32(node.get("beta", 1.0)) * c)


def _range(node: Node, first: Array, last: Array, step: Array) -> Array:
    (count,) = RULES["Range"](node, [(), (), ()], (first, last, step))[0]
    return np.asarray(scalar(first) + np.arange(count).astype(first.dtype) * scalar(step))


def _gelu(node: Node, x: Array) -> Array:
    if node.get("approximate", "none") == "tanh":
        return np.asarray(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))), x.dtype)
    return _activated(x, ("gelu", ()))


ACTIVATIONS: dict[str, Callable[[Node], Activation]] = {
    "HardSigmoid": lambda node: ("hard_sigmoid", (node.get("alpha", 0.2), node.get("beta", 0.5))),
    "HardSwish": lambda node: ("hard_swish", ()),
    "LeakyRelu": lambda node: ("leaky_relu", (node.get("alpha", 0.01),)),
    "Sigmoid": lambda node: ("sigmoid", ()),
    "Tanh": lambda node: ("tanh", ()),
}
"""ONNX's operators that are activations for floats whatever their attributes."""


def _act(node: Node, x: Array) -> Array:
    return _activated(x, node.get("activation", None))


def _activated(x: Array, activation: Activation | None) -> Array:
    y = np.array(x, ndmin=1)
    if act := in_place(activation):
        act(y)
    return y.reshape(x.shape)


OPERATORS: dict[str, Operator] = {
    # arithmetic
    "Add": _elementwise(np.add),
    "Sub": _elementwise(np.subtract),
    "Mul": _elementwise(np.multiply),
    "Div": _divide,
    "Pow": _power,
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
    "Mod": _modulo,
    "Gemm": _gemm,
    "MatMul": _elementwise(np.matmul),
    # activations
    "Relu": _elementwise(lambda x: np.maximum(x, 0)),
    "PRelu": _elementwise(lambda x, slope: np.where(x > 0, x, slope * x)),
    "Elu": lambda node, x: np.where(x > 0, x, np.float32(node.get("alpha", 1.0)) * np.expm1(np.minimum(x, 0))),
    "Clip": _clip,
    **{op: lambda node, x: _activated(x, ACTIVATIONS[node.op](node)) for op in ACTIVATIONS},
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
    "ReduceSum": _reduce(_in_own_type(np.sum)),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "ReduceProd": _reduce(_in_own_type(np.prod)),
    "ReduceL2": _reduce(lambda x, axis, keepdims: np.sqrt(np.square(x).sum(axis=axis, keepdims=keepdims))),
    "GlobalAveragePool": lambda node, x: x.mean(axis=tuple(range(2, x.ndim)), keepdims=True),
    "GlobalMaxPool": lambda node, x: x.max(axis=tuple(range(2, x.ndim)), keepdims=True),
    # sizes and places
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Identity": lambda node, x: x,
    "Dropout": _dropout,
    "Cast": lambda node, x: _cast(x, dtype_of(node.attributes["to"])),
    "Shape": lambda node, x: np.array(x.shape[node.get("start", 0) : node.get("end", None)], np.int64),
    "Size": lambda node, x: np.array(x.size, np.int64),
    "Reshape": lambda node, x, shape: x.reshape(reshape_target(node, x.shape, shape)),
    "Flatten": lambda node, x: x.reshape(flatten_target(node, x.shape)),
    "Squeeze": lambda node, x, axes=None: x.reshape(squeezed(node, x.shape, axes)),
    "Unsqueeze": lambda node, x, axes=None: x.reshape(unsqueezed(node, x.shape, axes)),
    "Transpose": lambda node, x: np.transpose(x, permutation(node, x.ndim)),
    "Concat": lambda node, *inputs: np.concatenate(inputs, node.attributes["axis"]),
    "Split": _split,
    "Slice": _slice,
    "Pad": _pad,
    "Gather": _gather,
    "Expand": lambda node, x, shape: np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape.tolist()))),
    "Tile": lambda node, x, repeats: np.tile(x, repeats.tolist()),
    "Range": _range,
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
    # our own, see ``passes``
    "Act": _act,
    "Affine": lambda node, x, factor, shift: _act(
        node, x * factor.reshape(-1, *(1,) * (x.ndim - 2)) + shift.reshape(-1, *(1,) * (x.ndim - 2))
    ),
    "Linear": lambda node, x, weight, bias: _act(node, x @ weight + bias),
}
"""By name. Each takes the node and its inputs, and gives its output (or a tuple or list of them)."""
