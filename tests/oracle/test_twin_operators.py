"""Every operator of the NumPy twin against ONNX Runtime."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from svertka.inference.numpy_backend import NumpySession
from twin_graphs import by_onnx_runtime, model_of, relative_error


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def check(nodes, x, constants=(), opset=17, threads=1, tolerance=2e-6):
    """Compares on two batch sizes; N is free in the graph."""
    model = model_of(nodes, ["N", *x.shape[1:]], constants, opset=opset)
    twin = NumpySession.from_onnx(model, threads)
    for batch in (x, x[:1]):
        (expected,) = by_onnx_runtime(model, batch)
        received = twin(batch)
        assert received.dtype == expected.dtype
        assert relative_error(received, expected) < tolerance


def conv(weight, bias=None, **attributes):
    inputs = ["x", "w", *(["b"] if bias is not None else [])]
    constants = {"w": weight} | ({"b": bias} if bias is not None else {})
    return [helper.make_node("Conv", inputs, ["y"], name="conv", **attributes)], constants


@given(
    height=st.integers(1, 19),
    width=st.integers(1, 19),
    groups=st.sampled_from([1, 1, 1, 2, 4]),
    per_group=st.sampled_from([(1, 1), (1, 2), (3, 2), (16, 8)]),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilations=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    pads=st.tuples(*[st.integers(0, 3)] * 4),
    threads=st.integers(1, 2),
    has_bias=st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_convolutions(height, width, groups, per_group, kernel, strides, dilations, pads, threads, has_bias):
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    if height + pads[0] + pads[2] < reach[0] or width + pads[1] + pads[3] < reach[1]:
        return
    channels, out_channels = per_group[0] * groups, per_group[1] * groups
    bias = numbers(out_channels) if has_bias else None
    nodes, constants = conv(
        numbers(out_channels, per_group[0], *kernel, seed=1),
        bias,
        strides=strides,
        dilations=dilations,
        pads=pads,
        group=groups,
    )
    check(nodes, numbers(3, channels, height, width, seed=2), constants, threads=threads)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (4, 8), (7, 7), (14, 13), (30, 41)])
@pytest.mark.parametrize("pads", [(1, 1, 1, 1), (0, 0, 0, 0), (2, 0, 1, 3)])
def test_winograd(size, pads):
    if size[0] + pads[0] + pads[2] < 3 or size[1] + pads[1] + pads[3] < 3:
        pads = (1, 1, 1, 1)
    nodes, constants = conv(numbers(24, 32, 3, 3), numbers(24), pads=pads)
    check(nodes, numbers(5, 32, *size), constants, threads=2, tolerance=1e-5)


def test_winograd_where_whole_blocks_lie_in_the_padding():
    nodes, constants = conv(numbers(64, 64, 3, 3), pads=(0, 0, 20, 0))
    check(nodes, numbers(2, 64, 8, 26), constants, threads=2, tolerance=1e-5)


@pytest.mark.parametrize("m", [2, 4])
@pytest.mark.parametrize("activation", [None, ("relu", ())])
def test_both_tile_sizes_with_a_shortcut(m, activation):
    import torch

    from svertka.engine.geometry import Window
    from svertka.inference.numpy_backend.kernels.kernel import Convolution
    from svertka.inference.numpy_backend.kernels.winograd import transform_kernels, winograd

    x, weight, bias = numbers(3, 10, 9, 20), numbers(16, 20, 3, 3, seed=1), numbers(16, seed=2)
    shortcut, out = numbers(3, 10, 9, 16, seed=3), np.full((3, 10, 9, 16), np.nan, np.float32)
    window = Window((3, 3), pads=((1, 1), (1, 1)))
    task = Convolution(weight, bias, window, (3, 16, 10, 9), activation, workers=1)
    kernel = winograd(task, transform_kernels(weight, m))
    views = [array.transpose(0, 3, 1, 2) for array in (x, shortcut, out)]
    for block in kernel.bind(views[:2], views[2], [np.full(kernel.scratch, np.nan, np.float32)]):
        block.run(0)
    parts = [torch.from_numpy(array.astype(np.float64)) for array in (np.ascontiguousarray(views[0]), weight, bias)]
    expected = torch.nn.functional.conv2d(*parts, padding=1).numpy() + views[1]
    expected = np.maximum(expected, 0) if activation else expected
    assert relative_error(views[2], expected) < (1e-5 if m == 4 else 2e-6)


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize(
    ("kernel", "strides", "pads", "ceil"),
    [
        ((2, 2), (2, 2), (0, 0, 0, 0), 0),
        ((3, 3), (2, 2), (1, 1, 1, 1), 0),
        ((3, 3), (2, 2), (0, 0, 0, 0), 1),
        ((3, 2), (1, 3), (1, 0, 0, 1), 1),
        ((1, 13), (1, 13), (0, 0, 0, 0), 0),
        ((11, 1), (1, 1), (0, 0, 0, 0), 0),
        ((5, 5), (1, 1), (2, 2, 2, 2), 0),
    ],
)
def test_pools(op, kernel, strides, pads, ceil):
    for includes in (0, 1) if op == "AveragePool" else (None,):
        more = {} if includes is None else {"count_include_pad": includes}
        node = helper.make_node(
            op, ["x"], ["y"], kernel_shape=kernel, strides=strides, pads=pads, ceil_mode=ceil, **more
        )
        check([node], numbers(2, 5, 11, 13) - 3, opset=19 if op == "AveragePool" else 17)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_automatic_padding(auto_pad):
    nodes, constants = conv(numbers(4, 3, 4, 3), auto_pad=auto_pad, strides=(2, 3))
    check(nodes, numbers(2, 3, 11, 12), constants)


def node(op, *inputs, **attributes):
    return helper.make_node(op, ["x", *inputs], ["y"], **attributes)


VECTOR = {"scale": numbers(6) + 2, "shift": numbers(6, seed=1), "mean": numbers(6, seed=2)}
LAST = {"gamma": numbers(9, seed=5), "beta": numbers(9, seed=6)}
INTEGERS = {
    name: np.array(values, np.int64)
    for name, values in {
        "whole": [0, 6, -1],
        "axes": [2, 3],
        "one": [1],
        "starts": [1, -1],
        "ends": [4, -100],
        "cut": [1, 3],
        "by": [1, -2],
        "parts": [2, 4],
        "pads": [0, 1, 2, 0, 0, 0, 1, 3],
        "order": [5, 0, 2],
        "twice": [1, 1, 2, 1],
    }.items()
}


@pytest.mark.parametrize(
    "one",
    [
        *(node(op) for op in ("Relu", "Sigmoid", "Tanh", "Erf", "HardSwish", "Exp", "Abs", "Neg", "Softplus", "Ceil")),
        node("LeakyRelu", alpha=0.2),
        node("LeakyRelu", alpha=1.5),
        node("HardSigmoid", alpha=0.3, beta=0.4),
        node("Elu", alpha=0.7),
        node("Softmax", axis=1),
        node("BatchNormalization", "scale", "shift", "mean", "scale", epsilon=1e-3),
        node("LayerNormalization", "gamma", "beta", axis=-1),
        node("LRN", size=3, alpha=0.1, bias=2.0),
        node("LRN", size=5),
        node("GlobalAveragePool"),
        node("GlobalMaxPool"),
        node("ReduceMean", axes=[1, -1], keepdims=0),
        node("ReduceMean"),
        node("ReduceMax", axes=[2]),
        node("ReduceSum", "axes", keepdims=1),
        node("Flatten"),
        node("Flatten", axis=3),
        node("Reshape", "whole"),
        node("Transpose", perm=[0, 2, 3, 1]),
        node("Transpose"),
        node("Slice", "starts", "ends", "cut", "by"),
        node("Pad", "pads", mode="reflect"),
        node("Pad", "pads", mode="edge"),
        node("Gather", "order", axis=1),
        node("Tile", "twice"),
        node("Unsqueeze", "one"),
        node("Concat", "x", axis=1),
        node("Concat", "x", axis=2),
        node("Mul", "x"),
        node("Cast", to=1),
    ],
    ids=lambda one: f"{one.op_type}-{len(one.attribute)}",
)
def test_one_operator(one):
    check([one], numbers(2, 6, 7, 9), VECTOR | INTEGERS | LAST, tolerance=3e-6)


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Min", "Max", "Pow"])
@pytest.mark.parametrize("other", [(), (9,), (6, 1, 1), (1, 6, 7, 9), (2, 6, 7, 1)])
def test_two_inputs_broadcast(op, other):
    value = np.abs(numbers(*other, seed=7)) + np.float32(0.5) if other else np.array(2.0, np.float32)
    model = model_of(
        [helper.make_node("Abs", ["x"], ["a"]), helper.make_node(op, ["a", "c"], ["y"])], [2, 6, 7, 9], {"c": value}
    )
    x = numbers(2, 6, 7, 9)
    assert relative_error(NumpySession.from_onnx(model)(x), by_onnx_runtime(model, x)[0]) < 2e-6


def test_parts_of_a_split_go_their_own_ways():
    nodes = [
        helper.make_node("Split", ["x", "parts"], ["a", "b"], axis=1),
        helper.make_node("Concat", ["b", "a"], ["y"], axis=1),
    ]
    check(nodes, numbers(2, 6, 7, 9), INTEGERS, tolerance=1e-9)


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(transposed):
    weight = numbers(9, 5) if not transposed else numbers(5, 9)
    check([node("Gemm", "w", "b", transB=transposed)], numbers(3, 9), {"w": weight, "b": numbers(5)})


def test_gemm_with_factors_and_a_matrix_to_add():
    check([node("Gemm", "w", "b", alpha=0.5, beta=2.0)], numbers(3, 9), {"w": numbers(9, 5), "b": numbers(1, 1)})


def test_matmul_on_the_last_axis_of_maps():
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["t", "w"], ["m"]),
        helper.make_node("Add", ["b", "m"], ["s"]),
        helper.make_node("Transpose", ["s"], ["y"], perm=[0, 3, 1, 2]),
    ]
    check(nodes, numbers(2, 6, 7, 9), {"w": numbers(6, 11), "b": numbers(11)})


def test_pixels_of_a_bundle():
    """uint8 NHWC in, normalisation, a pooled feature and a head, as ``export`` writes them."""
    from onnx import TensorProto

    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["t"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["f", "shift"], ["s"]),
        helper.make_node("Mul", ["s", "factor"], ["n"]),
        helper.make_node("Conv", ["n", "w"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("AveragePool", ["c"], ["p"], kernel_shape=[1, 8]),
        helper.make_node("AveragePool", ["p"], ["q"], kernel_shape=[8, 1]),
        helper.make_node("Flatten", ["q"], ["g"]),
        helper.make_node("Gemm", ["g", "v", "b"], ["l"], transB=1),
        helper.make_node("Div", ["l", "temperature"], ["d"]),
        helper.make_node("Softmax", ["d"], ["y"], axis=-1),
    ]
    constants = {
        "shift": numbers(1, 3, 1, 1) + 100,
        "factor": np.full((1, 3, 1, 1), 0.02, np.float32),
        "w": numbers(20, 3, 3, 3),
        "v": numbers(4, 20),
        "b": numbers(4),
        "temperature": np.float32(1.5),
    }
    model = model_of(nodes, ["N", 16, 16, 3], constants, dtype=TensorProto.UINT8)
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    assert relative_error(NumpySession.from_onnx(model)(images), by_onnx_runtime(model, images)[0]) < 1e-5
