"""The ONNX standard for the operators of the NumPy backend: inputs, attributes and types, by operator set.

An operator is run only if every one of its attributes, inputs and outputs is listed here; all others are refused by
name. So nothing that a file asks for is passed over. Source: https://onnx.ai/onnx/operators (a test compares).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from svertka.errors import GraphError
from svertka.onnx_graph.graph import Array, Graph, Node
from svertka.onnx_graph.reader import dtype_of

_ONE_AXIS_SET = 13  # before it, Softmax went over all axes from its axis on

_SHORT = frozenset({"float16", "float32"})
_FLOATS = _SHORT | {"float64"}
_SIGNED = _FLOATS | {"int8", "int16", "int32", "int64"}
_NUMBERS = _SIGNED | {"uint8", "uint16"}
_ALL = _NUMBERS | {"bool"}
_INDICES = frozenset({"int32", "int64"})
_BOOL = frozenset({"bool"})

Dtype = np.dtype[Any]
Versions = Mapping[int, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Operator:
    """What may be asked of an operator.

    Attributes:
        types: of its data.
        versions: from each operator set on, its inputs and its attributes. An input is a letter: ``x`` data, all of one
            type; ``n`` any number; ``i`` whole numbers; ``b`` true or false. Those after ``?`` may be left out, ``*``
            stands for more of the last. An attribute with ``!`` has to be there.
        result: type of the result: ``x`` that of the data, ``b``, ``i`` (int64), or ``a``: an attribute says it.
        outputs: how many are computed; 0 for as many as are named.
    """

    types: frozenset[str]
    versions: Versions
    result: str = "x"
    outputs: int = 1


def _ops(names: str, types: frozenset[str], versions: Versions, result: str = "x") -> dict[str, Operator]:
    return dict.fromkeys(names.split(), Operator(types, versions, result))


_WINDOW = "auto_pad kernel_shape! pads strides"
_REDUCE: Versions = {7: ("x", "axes keepdims"), 18: ("x?i", "keepdims noop_with_empty_axes")}
_REDUCE_SUM: Versions = {7: _REDUCE[7], 13: _REDUCE[18]}
_FIVE = "xxxxx"

STANDARD: Final[Mapping[str, Operator]] = {
    # arithmetic
    **_ops("Add Sub Mul Div", _NUMBERS, {7: ("xx", "")}),
    **_ops("Pow", _SIGNED, {7: ("xx", ""), 12: ("xn", "")}),
    **_ops("Min Max", _NUMBERS, {7: ("x*", "")}),
    **_ops("Neg", _SIGNED, {7: ("x", "")}),
    **_ops("Abs", _NUMBERS, {7: ("x", "")}),
    **_ops("Sqrt Exp Log Reciprocal Floor Ceil", _FLOATS, {7: ("x", "")}),
    **_ops("Mod", _NUMBERS, {10: ("xx", "fmod")}),
    **_ops("Gemm", _FLOATS, {7: ("xxx", "alpha beta transA transB"), 11: ("xx?x", "alpha beta transA transB")}),
    **_ops("MatMul", _NUMBERS, {7: ("xx", "")}),
    # activations
    **_ops("Relu", _SIGNED, {7: ("x", "")}),
    **_ops("LeakyRelu Elu", _FLOATS, {7: ("x", "alpha")}),
    **_ops("PRelu", _SIGNED, {7: ("xx", "")}),
    **_ops("Clip", _NUMBERS, {7: ("x", "min max"), 11: ("x?xx", "")}),
    **_ops("Sigmoid Tanh Softplus", _FLOATS, {7: ("x", "")}),
    **_ops("HardSigmoid", _FLOATS, {7: ("x", "alpha beta")}),
    **_ops("HardSwish", _FLOATS, {14: ("x", "")}),
    **_ops("Erf", _SHORT, {9: ("x", "")}),
    **_ops("Gelu", _SHORT, {20: ("x", "approximate")}),
    **_ops("Softmax LogSoftmax", _FLOATS, {7: ("x", "axis")}),
    # normalisation
    **_ops(
        "BatchNormalization",
        _FLOATS,
        {
            7: (_FIVE, "epsilon momentum spatial"),
            9: (_FIVE, "epsilon momentum"),
            14: (_FIVE, "epsilon momentum training_mode"),
        },
    ),
    **_ops("LayerNormalization", _FLOATS, {17: ("xx?x", "axis epsilon stash_type")}),
    **_ops("LRN", _FLOATS, {7: ("x", "alpha beta bias size!")}),
    # windows
    **_ops("Conv", _FLOATS, {7: ("xx?x", "auto_pad dilations group kernel_shape pads strides")}),
    **_ops(
        "MaxPool",
        _FLOATS,
        {
            7: ("x", _WINDOW),
            8: ("x", f"{_WINDOW} storage_order"),
            10: ("x", f"{_WINDOW} storage_order ceil_mode dilations"),
        },
    ),
    **_ops(
        "AveragePool",
        _FLOATS,
        {
            7: ("x", f"{_WINDOW} count_include_pad"),
            10: ("x", f"{_WINDOW} count_include_pad ceil_mode"),
            19: ("x", f"{_WINDOW} count_include_pad ceil_mode dilations"),
        },
    ),
    **_ops("GlobalAveragePool GlobalMaxPool", _FLOATS, {7: ("x", "")}),
    # reductions
    **_ops("ReduceMean ReduceL2", _FLOATS, _REDUCE),
    **_ops("ReduceProd", _NUMBERS, _REDUCE),
    **_ops("ReduceMax ReduceMin", _ALL, _REDUCE),
    **_ops("ReduceSum", _NUMBERS, _REDUCE_SUM),
    # sizes and places
    **_ops("Constant", _ALL, {7: ("", "value!"), 12: ("", "value value_float value_floats value_int value_ints")}, "a"),
    **_ops("ConstantOfShape", _INDICES, {9: ("x", "value")}, "a"),
    **_ops("Identity", _ALL, {7: ("x", "")}),
    **_ops("Dropout", _FLOATS, {7: ("x", "ratio"), 12: ("x?nb", "seed")}),
    **_ops("Cast", _ALL, {7: ("x", "to!"), 19: ("x", "to! saturate"), 24: ("x", "to! saturate round_mode")}, "a"),
    **_ops("Shape", _ALL, {7: ("x", ""), 15: ("x", "start end")}, "i"),
    **_ops("Size", _ALL, {7: ("x", "")}, "i"),
    **_ops("Reshape", _ALL, {7: ("xi", ""), 14: ("xi", "allowzero")}),
    **_ops("Flatten", _ALL, {7: ("x", "axis")}),
    **_ops("Squeeze", _ALL, {7: ("x", "axes"), 13: ("x?i", "")}),
    **_ops("Unsqueeze", _ALL, {7: ("x", "axes!"), 13: ("xi", "")}),
    **_ops("Transpose", _ALL, {7: ("x", "perm")}),
    **_ops("Concat", _ALL, {7: ("x*", "axis!")}),
    "Split": Operator(_ALL, {7: ("x", "axis split"), 13: ("x?i", "axis"), 18: ("x?i", "axis num_outputs")}, outputs=0),
    **_ops("Slice", _ALL, {7: ("x", "axes ends! starts!"), 10: ("xii?ii", "")}),
    **_ops("Pad", _ALL, {7: ("x", "mode pads! value"), 11: ("xi?x", "mode"), 18: ("xi?xi", "mode")}),
    **_ops("Gather", _ALL, {7: ("xi", "axis")}),
    **_ops("Expand", _ALL, {8: ("xi", "")}),
    **_ops("Tile", _ALL, {7: ("xi", "")}),
    **_ops("Range", _SIGNED - {"float16"}, {11: ("xxx", ""), 27: ("xxx", "stash_type")}),
    # logic
    **_ops("Equal", _ALL, {7: ("xx", "")}, "b"),
    **_ops("Greater Less", _NUMBERS, {7: ("xx", "")}, "b"),
    **_ops("GreaterOrEqual LessOrEqual", _NUMBERS, {12: ("xx", "")}, "b"),
    **_ops("And Or", _BOOL, {7: ("xx", "")}, "b"),
    **_ops("Not", _BOOL, {7: ("x", "")}, "b"),
    **_ops("Where", _ALL, {9: ("bxx", "")}),
}
"""By ONNX name."""

_IS: Mapping[str, Callable[[Any], bool]] = {
    "a whole number": lambda value: isinstance(value, int),
    "whole numbers": lambda value: _is_tuple_of(value, int),
    "a number": lambda value: isinstance(value, float),
    "numbers": lambda value: _is_tuple_of(value, float),
    "a tensor": lambda value: isinstance(value, np.ndarray),
}


def _is_tuple_of(value: Any, kind: type) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, kind) for each in value)


_KINDS: Final[Mapping[str, str]] = {
    **dict.fromkeys("axis group to start end num_outputs size value_int seed saturate".split(), "a whole number"),
    **dict.fromkeys(
        "axes perm pads strides dilations kernel_shape split starts ends value_ints".split(), "whole numbers"
    ),
    **dict.fromkeys("alpha beta epsilon momentum ratio bias min max value_float".split(), "a number"),
    **{"value_floats": "numbers", "value": "a tensor"},
}
_ALLOWED: Final[Mapping[str, tuple[Any, ...]]] = {
    **dict.fromkeys("keepdims noop_with_empty_axes allowzero transA transB fmod".split(), (0, 1)),
    **dict.fromkeys("ceil_mode count_include_pad storage_order".split(), (0, 1)),
    **{"training_mode": (0,), "spatial": (1,), "stash_type": (1,)},
    **{"auto_pad": ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"), "approximate": ("none", "tanh")},
    **{"mode": ("constant", "reflect", "edge", "wrap"), "round_mode": ("up", "down", "nearest")},
}
"""Attributes of which only some values are known. (How to round, and whether to saturate, concerns 8-bit floats.)"""


def checked(graph: Graph) -> Graph:
    """Holds every node to the standard, and writes what an older operator set means as the newest one would.

    Raises:
        GraphError: an operator, an attribute, an input, an output or a type is unknown here; the message names it.
    """
    types = {port.name: port.dtype for port in graph.inputs}
    types |= {name: value.dtype for name, value in graph.constants.items()}
    used, nodes = graph.uses(), []
    for node in graph.nodes:
        operator = _operator(node, graph.operator_set)
        inputs, attributes = operator.versions[_since(operator, graph.operator_set)]
        _check_attributes(node, attributes, graph.operator_set)
        node = _check_outputs(_check_inputs(node, inputs), operator, used)
        result = _check_types(node, operator, inputs, types)
        types.update(dict.fromkeys(node.outputs, result))
        if node.op in ("Softmax", "LogSoftmax") and graph.operator_set < _ONE_AXIS_SET:
            node = replace(node, attributes={"axis": 1} | dict(node.attributes) | {"flattened": 1})
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def result_type(node: Node, dtypes: list[Dtype | None]) -> Dtype:
    """Type of a node's results, from those of its inputs."""
    operator = STANDARD.get(node.op)
    match operator.result if operator else "x":
        case "b":
            return np.dtype(bool)
        case "i":
            return np.dtype(np.int64)
        case "a":
            return _declared_type(node)
    data = dtypes[1] if node.op == "Where" else dtypes[0]
    if data is None:
        raise node.error("lacks its first input")
    return data


def _declared_type(node: Node) -> Dtype:
    if node.op == "Cast":
        return dtype_of(node.attributes["to"])
    value: Array | None = node.get("value", None)
    if value is not None:
        return value.dtype
    whole = "value_int" in node.attributes or "value_ints" in node.attributes
    return np.dtype(np.int64 if whole else np.float32)


def _since(operator: Operator, operator_set: int) -> int:
    return max(since for since in operator.versions if since <= operator_set)


def _operator(node: Node, operator_set: int) -> Operator:
    if node.op not in STANDARD:
        raise GraphError(
            f"Node {node.name!r} is a {node.op}, which the NumPy twin doesn't know; expected one of "
            f"{', '.join(sorted(STANDARD))}. Run this model with ONNX Runtime."
        )
    operator = STANDARD[node.op]
    if (first := min(operator.versions)) > operator_set:
        raise node.error(f"is of operator set {operator_set}; the operator begins with {first}")
    return operator


def _check_attributes(node: Node, listed: str, operator_set: int) -> None:
    known = {name.rstrip("!") for name in listed.split()}
    if missing := {name[:-1] for name in listed.split() if name.endswith("!")} - node.attributes.keys():
        raise node.error(f"lacks the attribute {min(missing)!r}")
    for name, value in node.attributes.items():
        if name not in known:
            raise node.error(
                f"has the attribute {name!r}, which the NumPy twin doesn't know in operator set {operator_set}; "
                f"expected {' or '.join(sorted(known)) or 'none'}",
                elsewhere=True,
            )
        if name in _ALLOWED:
            expected, fits = " or ".join(map(repr, _ALLOWED[name])), value in _ALLOWED[name]
        else:
            expected = "a number" if (node.op, name) == ("Pad", "value") else _KINDS[name]
            fits = _IS[expected](value)
        if not fits:
            raise node.error(f"has {name} = {value!r:.60}; the NumPy twin expects {expected}", elsewhere=True)


def _letters(inputs: str) -> tuple[str, int, bool]:
    """The letters of an operator's inputs, how many must be there, and whether the last may come again."""
    letters = inputs.replace("?", "").replace("*", "")
    return letters, inputs.find("?") if "?" in inputs else len(letters), inputs.endswith("*")


def _check_inputs(node: Node, inputs: str) -> Node:
    """The node without left-out inputs at its end."""
    letters, fewest, more = _letters(inputs)
    given = list(node.inputs)
    while given and not given[-1]:
        given.pop()
    if not all(given[:fewest]) or len(given) < fewest or (more and not all(given)):
        raise node.error(f"has {len(given)} inputs; expected at least {fewest}")
    if len(given) > len(letters) and not more:
        expected = f"the NumPy twin expects at most {len(letters)}"
        raise node.error(f"has {len(given)} inputs; {expected}", elsewhere=True)
    return replace(node, inputs=tuple(given))


def _check_outputs(node: Node, operator: Operator, used: Mapping[str, int]) -> Node:
    """The node without outputs that the twin doesn't compute and nobody reads."""
    if not node.outputs or not node.outputs[0]:
        raise node.error("has no first output")
    if not operator.outputs:
        return node
    more = [name for name in node.outputs[operator.outputs :] if name]
    if unknown := [name for name in more if name in used or node.op == "BatchNormalization"]:
        what = f"gives {unknown[0]!r} beside its result, which the NumPy twin doesn't compute"
        raise node.error(what, elsewhere=True)
    return replace(node, outputs=node.outputs[: operator.outputs])


def _check_types(node: Node, operator: Operator, inputs: str, types: Mapping[str, Dtype]) -> Dtype:
    letters, _, _ = _letters(inputs)
    data: Dtype | None = None
    for place, name in enumerate(node.inputs):
        if not name:
            continue
        dtype, letter = types[name], letters[min(place, len(letters) - 1)]
        expected = {"x": operator.types, "n": _NUMBERS, "i": _INDICES, "b": _BOOL}[letter]
        if dtype.name not in expected:
            known = " or ".join(sorted(expected))
            raise node.error(f"takes {dtype} numbers ({name!r}); the NumPy twin expects {known}", elsewhere=True)
        if letter == "x":
            if data is not None and dtype != data:
                raise node.error(f"takes {data} and {dtype} numbers; expected one type. Insert a Cast")
            data = dtype
    return result_type(node, [types.get(name) if name else None for name in node.inputs])
