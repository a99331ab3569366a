"""Graphs as other tools write them, against ONNX Runtime: broadcast shortcuts, old operator sets, fixed batches."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from svertka.errors import GraphError
from svertka.inference.numpy_backend import NumpySession
from svertka.inference.numpy_backend.unit_trace import layers, trace
from twin_graphs import by_onnx_runtime, model_of, relative_error


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def whole(*values):
    return np.array(values, np.int64)


def equal(model, x, threads=1):
    (expected,) = by_onnx_runtime(model, x)
    received = NumpySession.from_onnx(model, threads)(x)
    assert received.dtype == expected.dtype
    assert relative_error(received, expected) < 3e-6


# --- shortcuts -------------------------------------------------------------------------------------------------------

X = numbers(2, 16, 6, 7, seed=9)
RELU = [helper.make_node("Relu", ["sum"], ["y"], name="relu")]


def conv(x, y, **attributes):
    return helper.make_node("Conv", [x, f"w{y}"], [y], name=f"layer {y}", **attributes)


def add(a, b):
    return helper.make_node("Add", [a, b], ["sum"], name="add")


SHORTCUTS = {
    "a mean's convolution": (
        [helper.make_node("GlobalAveragePool", ["x"], ["m"]), conv("m", "c"), add("x", "c")],
        {"c": 16},
    ),
    "one channel last": ([conv("x", "c"), conv("x", "d"), add("c", "d")], {"c": 16, "d": 1}),
    "one channel first": ([conv("x", "d"), conv("x", "c"), add("c", "d")], {"c": 16, "d": 1}),
    "a pixel beside a map": (
        [helper.make_node("GlobalMaxPool", ["x"], ["q"]), conv("x", "c"), add("c", "q")],
        {"c": 16},
    ),
    "fewer axes": (
        [helper.make_node("ReduceMax", ["x"], ["q"], axes=[0, 1], keepdims=0), conv("x", "c"), add("q", "c")],
        {"c": 16},
    ),
    "equal sizes": ([conv("x", "c"), conv("x", "d"), add("c", "d")], {"c": 16, "d": 16}),
}


def with_shortcut(case, end, shape=("N", 16, 6, 7)):
    nodes, outputs = SHORTCUTS[case]
    constants = {f"w{name}": numbers(size, 16, 1, 1, seed=size) / 4 for name, size in outputs.items()}
    return model_of(nodes + end, list(shape), constants, outputs=("y" if end else "sum",))


@pytest.mark.parametrize("case", SHORTCUTS)
@pytest.mark.parametrize("end", [[], RELU], ids=["alone", "with an activation"])
def test_a_sum_broadcasts_whatever_its_sides(case, end):
    equal(with_shortcut(case, end), X, threads=2)


def test_whether_a_sum_broadcasts_may_depend_on_the_size_of_the_image():
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["m"]),
        conv("m", "c"),
        helper.make_node("Add", ["x", "c"], ["y"]),
    ]
    model = model_of(nodes, ["N", 16, "H", "W"], {"wc": numbers(16, 16, 1, 1)})
    for shape in ((2, 16, 1, 1), (2, 16, 3, 1), (2, 16, 1, 1)):
        equal(model, numbers(*shape))


@pytest.mark.parametrize("case", SHORTCUTS)
def test_layers_beside_a_broadcast_sum_can_be_traced(case):
    twin = NumpySession.from_onnx(with_shortcut(case, RELU))
    for layer in layers(twin, X[:1].shape):
        place = tuple(size - 1 for size in layer.output_shape)
        found = trace(twin, X[:1], layer.name, place)
        assert found.result == pytest.approx(found.computed, rel=1e-4, abs=1e-5)
        expected = max(found.before_activation, 0) if found.activation == "relu" else found.before_activation
        assert found.result == pytest.approx(expected, rel=1e-6)


def test_a_shortcut_from_the_input_can_be_traced():
    twin = NumpySession.from_onnx(
        model_of([conv("x", "c"), add("x", "c")], [1, 16, 6, 7], {"wc": numbers(16, 16, 1, 1)}, ["sum"])
    )
    found = trace(twin, X[:1], "layer c", (3, 2, 1))
    assert found.shortcut == pytest.approx(X[0, 3, 2, 1])
    assert found.result == pytest.approx(found.computed, rel=1e-5)


# --- what the operator set decides -----------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("opset", [7, 11, 12, 13, 17])
@pytest.mark.parametrize("axis", [{}, {"axis": 1}, {"axis": 2}, {"axis": 3}])
def test_softmax_of_old_operator_sets(op, opset, axis):
    equal(model_of([helper.make_node(op, ["x"], ["y"], **axis)], ["N", 3, 4, 5], opset=opset), numbers(2, 3, 4, 5))


@pytest.mark.parametrize("opset", [1, 6])
def test_the_oldest_operator_sets_are_refused(opset):
    model = model_of([helper.make_node("Relu", ["x"], ["y"])], ["N", 3], opset=opset)
    with pytest.raises(GraphError, match=rf"operator set {opset}; expected 7 or later.*convert_version"):
        NumpySession.from_onnx(model)


@pytest.mark.parametrize("fmod", [0, 1])
def test_remainders_of_negative_numbers(fmod):
    nodes = [
        helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT32),
        helper.make_node("Mod", ["i", "c"], ["m"], fmod=fmod),
        helper.make_node("Cast", ["m"], ["y"], to=TensorProto.FLOAT),
    ]
    x = np.arange(-8, 8, dtype=np.float32).reshape(2, 8)
    model = model_of(nodes, ["N", 8], {"c": np.array([3, -3, 5, -5, 2, -2, 7, -7], np.int32)})
    np.testing.assert_array_equal(NumpySession.from_onnx(model)(x), by_onnx_runtime(model, x)[0])


def test_remainders_of_floats_have_the_sign_of_the_dividend():
    model = model_of([helper.make_node("Mod", ["x", "c"], ["y"], fmod=1)], ["N", 4], {"c": np.float32(1.5)})
    equal(model, numbers(3, 4) * 5)


# --- sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1])
def test_a_concatenation_with_what_follows_from_sizes(place):
    joined = ["x", "e"] if place else ["e", "x"]
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Expand", ["position", "s"], ["e"]),
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Concat", [name.replace("x", "r") for name in joined], ["y"], axis=1),
    ]
    equal(model_of(nodes, ["N", 2, "H", "W"], {"position": numbers(1, 2, 1, 1)}), numbers(3, 2, 4, 5))


def test_a_concatenation_with_a_weight():
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Concat", ["r", "c"], ["y"], axis=1)]
    equal(model_of(nodes, [1, 2, 4, 5], {"c": numbers(1, 3, 4, 5)}), numbers(1, 2, 4, 5))


def test_a_batch_that_is_fixed():
    """The exporter wrote the batch of 1 into a reshape, beside sizes that the graph works out."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "two"], ["h"]),
        helper.make_node("Concat", ["start", "h"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["y"]),
    ]
    model = model_of(nodes, [1, 6, 4, 5], {"two": whole(2, 3), "start": whole(1, 6)})
    equal(model, numbers(1, 6, 4, 5))


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 4, 5, 6)])
def test_a_global_mean_over_other_numbers_of_axes(shape):
    equal(model_of([helper.make_node("GlobalAveragePool", ["x"], ["y"])], ["N", *shape[1:]]), numbers(*shape))


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["Relu", "Clip"])
def test_activations_of_integers_are_refused(op):
    nodes = [
        helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT64),
        helper.make_node(op, ["i"], ["r"], name="act"),
        helper.make_node("Cast", ["r"], ["y"], to=TensorProto.FLOAT),
    ]
    with pytest.raises(GraphError, match=r"'act', a Act, applies (relu|clip) to int64 numbers; expected floats"):
        NumpySession.from_onnx(model_of(nodes, ["N", 4]))(numbers(2, 4))


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Reshape", ["x", "n"], ["y"], name="odd"),
        helper.make_node("Expand", ["x", "n"], ["y"], name="odd"),
        helper.make_node("Tile", ["x", "n"], ["y"], name="odd"),
        helper.make_node("Slice", ["x", "zeros", "n"], ["y"], name="odd"),
    ],
    ids=lambda node: node.op_type,
)
def test_sizes_that_numbers_decide_are_refused(node):
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["m"], axes=[0], keepdims=0),
        helper.make_node("Cast", ["m"], ["n"], to=TensorProto.INT64),
        node,
    ]
    model = model_of(nodes, ["N", 2], {"zeros": whole(0, 0)})
    with pytest.raises(GraphError, match=rf"'odd', a {node.op_type}, takes sizes from the numbers of 'n'"):
        NumpySession.from_onnx(model)(np.array([[2, 2], [1, 1]], np.float32))
