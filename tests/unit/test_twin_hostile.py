"""Graphs that ask for what cannot be had: numbers without a meaning, sizes beyond all bounds, circles."""

import itertools
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from svertka.errors import GraphError, SvertkaError
from svertka.inference.numpy_backend import NumpySession
from twin_graphs import model_of


def whole(*values):
    return np.array(values, np.int64)


def integers_of_x(op, divisor, dtype=np.int64, **attributes):
    """``op`` of the input as integers and a constant."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [
        helper.make_node("Cast", ["x"], ["i"], to=kind),
        helper.make_node(op, ["i", "c"], ["r"], name="odd", **attributes),
        helper.make_node("Cast", ["r"], ["y"], to=TensorProto.FLOAT),
    ]
    return model_of(nodes, ["N", 2], {"c": np.array(divisor, dtype)})


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("op", ["Div", "Mod"])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_integers_are_not_divided_by_zero(op, dtype, threads):
    x = np.array([[7, 8], [9, 10]], np.float32)
    with pytest.raises(GraphError, match=f"'odd', a {op}, cannot be computed: it divides integers by zero"):
        NumpySession.from_onnx(integers_of_x(op, [3, 0], dtype), threads)(x)
    expected = x // 3 if op == "Div" else x % 3
    np.testing.assert_array_equal(NumpySession.from_onnx(integers_of_x(op, [3, 3], dtype), threads)(x), expected)


def test_a_division_by_zero_among_constants_is_refused_when_it_is_read():
    nodes = [helper.make_node("Div", ["a", "b"], ["c"], name="odd"), helper.make_node("Expand", ["x", "c"], ["y"])]
    with pytest.raises(GraphError, match="'odd', a Div, cannot be computed: it divides integers by zero"):
        NumpySession.from_onnx(model_of(nodes, ["N", 2], {"a": whole(4, 4), "b": whole(2, 0)}))


@pytest.mark.parametrize("seed", range(5))
def test_large_integers_are_divided_exactly_and_towards_zero(seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(-(2**62), 2**62, 8) >> int(shift) for shift in (0, rng.integers(0, 60)))
    b[b == 0] = -3
    nodes = [
        helper.make_node("Div", ["a", "b"], ["q"]),
        helper.make_node("Identity", ["x"], ["y"]),
    ]
    received = NumpySession.from_onnx(model_of(nodes, ["N"], {"a": a, "b": b}, ["q", "y"]))(np.zeros(1), ["q"])["q"]
    expected = [abs(int(p)) // abs(int(q)) * (1 if (p < 0) == (q < 0) else -1) for p, q in zip(a, b, strict=True)]
    assert received.tolist() == expected


def test_floats_are_divided_by_zero_as_ieee_says():
    nodes = [helper.make_node("Div", ["x", "c"], ["y"])]
    received = NumpySession.from_onnx(model_of(nodes, ["N", 3], {"c": np.float32([0, -0.0, 0])}))(
        np.float32([[1, 1, 0]])
    )
    np.testing.assert_array_equal(received, [[np.inf, -np.inf, np.nan]])


@pytest.mark.parametrize("indices", [[0, 3], [-4, 0], [2**40, 0]])
@pytest.mark.parametrize("threads", [1, 2])
def test_places_outside_are_refused(indices, threads):
    nodes = [helper.make_node("Gather", ["x", "i"], ["y"], axis=1, name="odd")]
    with pytest.raises(GraphError, match=r"'odd', a Gather, cannot be computed: it asks for places -?\d+ to \d+ of 3"):
        NumpySession.from_onnx(model_of(nodes, ["N", 3], {"i": whole(*indices)}), threads)(np.ones((2, 3)))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e19, -1.0])
def test_floats_outside_of_an_integer_type_are_refused(value):
    nodes = [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.UINT8, name="odd")]
    with pytest.raises(GraphError, match="'odd', a Cast, cannot be computed: a number is outside of uint8"):
        NumpySession.from_onnx(model_of(nodes, ["N", 1]))(np.array([[value]]))


def test_a_dropout_in_training_is_refused():
    nodes = [helper.make_node("Dropout", ["x", "r", "t"], ["y"], name="odd")]
    constants = {"r": np.float32(0.5), "t": np.array(True)}
    with pytest.raises(GraphError, match="'odd', a Dropout, is in training mode"):
        NumpySession.from_onnx(model_of(nodes, ["N", 2], constants))
    constants["t"] = np.array(False)
    np.testing.assert_array_equal(
        NumpySession.from_onnx(model_of(nodes, ["N", 2], constants))(np.ones((1, 2))), np.ones((1, 2))
    )


def test_an_output_that_is_not_computed_is_refused_only_where_it_is_read():
    pool = helper.make_node("MaxPool", ["x"], ["y", "places"], kernel_shape=[2, 2], name="odd")
    model = ["N", 1, 2, 2]
    np.testing.assert_array_equal(NumpySession.from_onnx(model_of([pool], model))(np.ones((1, 1, 2, 2))), [[[[1]]]])
    with pytest.raises(GraphError, match="'odd', a MaxPool, gives 'places' beside its result"):
        NumpySession.from_onnx(model_of([pool], model, outputs=("y", "places")))


def test_types_that_do_not_fit_each_other_are_refused():
    nodes = [helper.make_node("Add", ["x", "c"], ["y"], name="odd")]
    with pytest.raises(GraphError, match="'odd', a Add, takes float32 and float64 numbers; expected one type"):
        NumpySession.from_onnx(model_of(nodes, ["N", 2], {"c": np.ones(2)}))


# --- sizes -----------------------------------------------------------------------------------------------------------

HUGE = {"many": whole(1, 1 << 40), "far": whole(0, 1 << 20, 0, 1 << 20), "big": whole(1 << 20, 1 << 20)}
ROW = np.ones((1, 1 << 15), np.float32)
TOO_LARGE = {
    "ConstantOfShape": [
        helper.make_node("ConstantOfShape", ["big"], ["c"]),
        helper.make_node("Add", ["x", "c"], ["y"]),
    ],
    "Expand": [helper.make_node("Expand", ["x", "big"], ["y"])],
    "Tile": [helper.make_node("Tile", ["x", "many"], ["y"])],
    "Pad": [helper.make_node("Pad", ["x", "far"], ["p"]), helper.make_node("Pad", ["p", "rows"], ["y"])],
    "Range": [helper.make_node("Range", ["zero", "end", "one"], ["c"]), helper.make_node("Gather", ["x", "c"], ["y"])],
    "Add": [helper.make_node("Transpose", ["row"], ["t"]), helper.make_node("Add", ["row", "t"], ["y"])],
    "MatMul": [helper.make_node("Transpose", ["row"], ["t"]), helper.make_node("MatMul", ["t", "row"], ["y"])],
    "Gather": [helper.make_node("Gather", ["row", "zeros"], ["y"], axis=0)],
}


@pytest.mark.parametrize("op", TOO_LARGE)
def test_tensors_beyond_the_budget_are_refused_before_they_are_made(op):
    constants = HUGE | {"row": ROW, "zero": whole(0)[0], "end": whole(1 << 40)[0], "one": whole(1)[0]}
    constants |= {"rows": whole(1 << 18, 0, 1 << 18, 0), "zeros": np.zeros(1 << 14, np.int64)}
    start = time.process_time()
    with pytest.raises(GraphError, match=r"would take \d+ MB; the NumPy twin allows \d+"):
        NumpySession.from_onnx(model_of(TOO_LARGE[op], ["N", 1], constants))(np.ones((1, 1)))
    assert time.process_time() - start < 5


def test_a_convolution_with_huge_padding_is_refused():
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1 << 20] * 4)]
    with pytest.raises(GraphError, match="would take"):
        NumpySession.from_onnx(model_of(nodes, ["N", 1, 4, 4], {"w": np.ones((1, 1, 3, 3), np.float32)}))(
            np.ones((1, 1, 4, 4))
        )


def test_many_tensors_that_live_together_are_refused():
    """Each is within the budget."""
    count, size = 40, 1 << 22
    nodes = [helper.make_node("Mul", ["x", f"c{i}"], [f"t{i}"]) for i in range(count)]
    nodes += [helper.make_node("Max", [f"t{i}" for i in range(count)], ["y"])]
    constants = {f"c{i}": np.full((1, 1), i, np.float32) for i in range(count)}
    nodes = [helper.make_node("Expand", ["x0", "wide"], ["x"]), *nodes]
    model = onnx.load_from_string(model_of(nodes, ["N", 1], constants | {"wide": whole(1, size)}))
    model.graph.input[0].name = "x0"
    with pytest.raises(GraphError, match="What is alive at the same time in the graph would take"):
        NumpySession.from_onnx(model.SerializeToString())(np.ones((4, 1)))


def test_a_huge_pool_takes_as_long_as_its_map():
    kernel = 1 << 20
    nodes = [
        helper.make_node(
            "AveragePool", ["x"], ["y"], kernel_shape=[kernel, 1], pads=[kernel - 1, 0, 0, 0], strides=[kernel, 1]
        )
    ]
    start = time.process_time()
    received = NumpySession.from_onnx(model_of(nodes, ["N", 1, 8, 1]))(
        np.arange(8, dtype=np.float32).reshape(1, 1, 8, 1)
    )
    assert received.tolist() == [[[[0]]]]
    assert time.process_time() - start < 2


# --- order -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nodes",
    [
        [helper.make_node("Add", ["x", "y"], ["y"], name="odd")],
        [helper.make_node("Add", ["x", "b"], ["a"], name="odd"), helper.make_node("Abs", ["a"], ["b"])],
        [helper.make_node("Abs", ["a"], ["y"], name="odd"), helper.make_node("Abs", ["x"], ["a"])],
        [helper.make_node("Add", ["x", "nowhere"], ["y"], name="odd")],
    ],
    ids=["self", "circle", "order", "nothing"],
)
def test_circles_and_tensors_from_nowhere_are_refused(nodes):
    with pytest.raises(GraphError, match=r"'odd', a \w+, reads '\w+', which no node before it makes"):
        NumpySession.from_onnx(model_of(nodes, ["N", 2]))


def test_a_tensor_that_is_made_twice_or_never_is_refused():
    twice = [helper.make_node("Abs", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["y"], name="odd")]
    with pytest.raises(GraphError, match="'odd', a Neg, makes 'y' a second time"):
        NumpySession.from_onnx(model_of(twice, ["N", 2]))
    with pytest.raises(GraphError, match="output 'z' is made by no node"):
        NumpySession.from_onnx(model_of(twice[:1], ["N", 2], outputs=("z",)))


def test_deep_graphs_are_run_without_recursion():
    names = ["x", *(f"t{i}" for i in range(2999)), "y"]
    nodes = [helper.make_node("Add", [a, "c"], [b]) for a, b in itertools.pairwise(names)]
    start = time.process_time()
    received = NumpySession.from_onnx(model_of(nodes, ["N", 2], {"c": np.ones(2, np.float32)}))(np.zeros((1, 2)))
    assert received.tolist() == [[3000, 3000]]
    assert time.process_time() - start < 10


def test_bytes_of_every_kind_in_every_place_are_refused_in_words():
    """Each byte of a small model in turn, in eight other values."""
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c"], ["y"])]
    content = bytearray(model_of(nodes, ["N", 1, 4, 4], {"w": np.ones((1, 1, 3, 3), np.float32)}))
    x, answers = np.ones((1, 1, 4, 4), np.float32), 0
    for place in range(len(content)):
        for bit in range(8):
            content[place] ^= 1 << bit
            try:
                NumpySession.from_onnx(bytes(content))(x)
                answers += 1
            except SvertkaError:
                pass
            content[place] ^= 1 << bit
    assert answers > 100  # names and weights may be others
