"""The NumPy twin as its users meet it: names, memory, threads, and what it says about graphs that it can't run."""

import subprocess
import sys
import threading

import numpy as np
import onnx
import pytest
from onnx import helper

from svertka.engine.fast.blas import _openblas, one_thread
from svertka.engine.fast.threads import Team
from svertka.errors import GraphError, NotFoundError, ShapeError
from svertka.inference.numpy_backend import NumpySession
from svertka.inference.numpy_backend.layout import Buffer, place
from svertka.inference.numpy_backend.unit_trace import layers, trace
from twin_graphs import by_onnx_runtime, model_of, relative_error


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def conv(x, y, **attributes):
    return helper.make_node("Conv", [x, f"w{y}", f"b{y}"], [y], name=f"layer {y}", **attributes)


def batch_norm(x, y):
    return helper.make_node("BatchNormalization", [x, "scale", "shift", "mean", "variance"], [y], name=f"norm {y}")


@pytest.fixture(scope="module")
def residual_model():
    """A stem, a residual block and a dense block, with every intermediate tensor named."""
    pads = [1, 1, 1, 1]
    nodes = [
        conv("x", "stem", pads=pads, strides=[2, 2]),
        batch_norm("stem", "stem norm"),
        helper.make_node("Relu", ["stem norm"], ["start"]),
        conv("start", "one", pads=pads),
        batch_norm("one", "one norm"),
        helper.make_node("Relu", ["one norm"], ["middle"]),
        conv("middle", "two", pads=pads),
        helper.make_node("Add", ["two", "start"], ["sum"]),
        helper.make_node("Clip", ["sum", "zero", "six"], ["block"]),
        batch_norm("block", "before"),
        helper.make_node("Relu", ["before"], ["positive"]),
        conv("positive", "new"),
        helper.make_node("Concat", ["block", "new"], ["both"], axis=1),
        conv("both", "newer", pads=pads),
        helper.make_node("Concat", ["block", "new", "newer"], ["all"], axis=1),
        helper.make_node("GlobalAveragePool", ["all"], ["mean of all"]),
        helper.make_node("Flatten", ["mean of all"], ["flat"]),
        helper.make_node("Gemm", ["flat", "matrix", "vector"], ["logits"], transB=1, name="head"),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    weights = {
        "stem": (16, 3, 3, 3),
        "one": (16, 16, 3, 3),
        "two": (16, 16, 3, 3),
        "new": (8, 16, 1, 1),
        "newer": (4, 24, 3, 3),
    }
    constants = {f"w{name}": numbers(*shape, seed=len(name)) / 8 for name, shape in weights.items()}
    constants |= {f"b{name}": numbers(shape[0], seed=3) for name, shape in weights.items()}
    constants |= {name: np.abs(numbers(16, seed=4)) + np.float32(0.5) for name in ("scale", "variance")}
    constants |= {name: numbers(16, seed=5) / 4 for name in ("shift", "mean")}
    constants |= {"zero": np.float32(0), "six": np.float32(6), "matrix": numbers(5, 28), "vector": numbers(5)}
    return model_of(nodes, ["N", 3, 22, 26], constants, outputs=("logits", "probabilities"))


IMAGES = numbers(7, 3, 22, 26, seed=9)


def test_later_calls_leave_earlier_results_alone(residual_model):
    twin = NumpySession.from_onnx(residual_model)
    (expected,) = by_onnx_runtime(residual_model, IMAGES, ["logits"])
    parts = [slice(0, 4), slice(4, 5), slice(5, 7), slice(0, 4)]
    results = [twin(IMAGES[part]) for part in parts]
    for part, result in zip(parts, results, strict=True):
        assert relative_error(result, expected[part]) < 1e-5
    results[0][:] = 0
    assert relative_error(twin(IMAGES[:4]), expected[:4]) < 1e-5


def test_every_tensor_can_be_asked_for(residual_model):
    twin = NumpySession.from_onnx(residual_model)
    names = twin.tensors
    assert {"stem norm", "two", "before", "both", "probabilities"} <= set(names)
    inside = onnx.load_from_string(residual_model)
    inside.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in names if name not in ("logits", "probabilities")
    )
    expected = dict(zip(names, by_onnx_runtime(inside.SerializeToString(), IMAGES, names), strict=True))
    together = twin(IMAGES, names)
    for name in names:
        for found in (twin(IMAGES, [name])[name], together[name]):
            assert relative_error(found, expected[name]) < 1e-5, name


def test_an_unknown_tensor_is_an_error(residual_model):
    with pytest.raises(NotFoundError, match=r"no tensor 'midle'\. Did you mean middle"):
        NumpySession.from_onnx(residual_model)(IMAGES, ["midle"])


def test_threads_give_the_same_numbers(residual_model):
    one, three = (NumpySession.from_onnx(residual_model, threads)(IMAGES) for threads in (1, 3))
    np.testing.assert_allclose(one, three, rtol=1e-5, atol=1e-5)


def test_calls_from_several_threads_wait_for_each_other(residual_model):
    twin = NumpySession.from_onnx(residual_model, threads=2)
    expected = [twin(IMAGES[i : i + 1]) for i in range(7)]
    found = [None] * 7

    def call(i):
        for _ in range(5):
            found[i] = twin(IMAGES[i : i + 1])

    callers = [threading.Thread(target=call, args=(i,)) for i in range(7)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_error_in_a_worker_reaches_the_caller():
    """Whichever worker fails in whichever stage, the others come to an end, and the team works on."""
    done = []

    def fails(worker):
        raise MemoryError("no memory left")

    for failing in (0, 1, 2):
        team = Team(3)
        stages = [[[done.append] for _ in range(3)] for _ in range(4)]
        stages[1][failing] = [fails, done.append]
        with pytest.raises(MemoryError, match="no memory left"):
            team.run(stages)
        assert done.count(failing) == 1
        assert all(done.count(worker) == 4 for worker in range(3) if worker != failing)
        done.clear()
        team.run(stages[:1])
        assert sorted(done) == [0, 1, 2]
        done.clear()


def test_threads_wait_only_where_they_meet_in_memory(residual_model):
    """Each with images of its own, they hardly meet; sharing one image, wherever a kernel looks at its neighbour."""
    one, many = (NumpySession.from_onnx(residual_model, threads=2).program((n, *IMAGES.shape[1:])) for n in (1, 4))
    alone = NumpySession.from_onnx(residual_model).program(IMAGES.shape)
    assert len(alone.stages) == 1 < len(many.stages) + 1 <= len(one.stages)


def test_memory_is_reused(residual_model):
    """All tensors together would take much more than the ones that live at the same time."""
    twin = NumpySession.from_onnx(residual_model)
    every = sum(value.nbytes for value in twin(IMAGES, twin.tensors).values())
    one = twin.program(IMAGES.shape)
    scratch = max(step.kernel.scratch for step in _plan_of(twin).steps) * 4
    assert one.bytes - scratch < every / 3


def _plan_of(twin):
    from svertka.inference.numpy_backend.execution_plan import make_plan
    from svertka.inference.numpy_backend.shape_inference import Sizes

    return make_plan(twin.graph, {"x": Sizes(IMAGES.shape, np.dtype(np.float32))}, 1, {})


def test_concatenations_take_no_step(residual_model):
    names = [step.name for step in _plan_of(NumpySession.from_onnx(residual_model)).steps]
    assert not {"both", "all"} & set(names)


def test_buffers_that_live_together_do_not_overlap():
    rng = np.random.default_rng(0)
    for _ in range(50):
        firsts = rng.integers(0, 20, 30)
        buffers = [Buffer(int(rng.integers(1, 5000)), int(a), int(a + rng.integers(0, 6))) for a in firsts]
        starts, total = place(buffers)
        assert all(start % 64 == 0 for start in starts)
        for i, a in enumerate(buffers):
            assert starts[i] + a.size <= total
            for j, b in enumerate(buffers[:i]):
                if a.first <= b.last and b.first <= a.last:
                    assert starts[i] + a.size <= starts[j] or starts[j] + b.size <= starts[i]
        assert total < sum(buffer.size for buffer in buffers)


def test_blas_gets_its_threads_back():
    library = _openblas()
    if library is None:
        pytest.skip("NumPy's BLAS is not OpenBLAS here")
    get, put = library
    before = get()
    put(2)
    try:
        with one_thread():
            assert get() == 1
            with one_thread():
                assert get() == 1
            assert get() == 1
        assert get() == 2
    finally:
        put(before)


# --- inputs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (numbers(3, 22, 26), r"sizes \[3, 22, 26\]; expected \['any', 3, 22, 26\]"),
        (numbers(2, 3, 22, 27), r"sizes \[2, 3, 22, 27\]"),
        (numbers(2, 4, 22, 26), r"sizes \[2, 4, 22, 26\]"),
        (numbers(0, 3, 22, 26), "none of them 0"),
        (np.zeros((1, 3, 22, 26), np.complex64), "holds complex64 numbers; expected float32"),
    ],
)
def test_an_input_that_does_not_fit_is_an_error(residual_model, x, said):
    with pytest.raises(ShapeError, match=said):
        NumpySession.from_onnx(residual_model)(x)


@pytest.mark.parametrize("kind", ["float64", "big-endian", "integers", "read-only", "strided", "a list"])
def test_other_arrays_of_the_same_numbers_give_the_same(residual_model, kind):
    twin, x = NumpySession.from_onnx(residual_model), np.round(IMAGES[:2] * 3)
    expected = twin(x)
    seen = {
        "float64": x.astype(np.float64),
        "big-endian": x.astype(">f4"),
        "integers": x.astype(np.int16),
        "read-only": x.copy(),
        "strided": np.ascontiguousarray(x.transpose(3, 2, 0, 1)).transpose(2, 3, 1, 0),
        "a list": x.tolist(),
    }[kind]
    if kind == "read-only":
        seen.flags.writeable = False
    np.testing.assert_array_equal(twin(seen), expected)


def test_sizes_that_are_free_may_differ():
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], name="only")]
    twin = NumpySession.from_onnx(model_of(nodes, ["N", 3, "H", "W"], {"w": numbers(4, 3, 5, 5)}))
    assert twin(numbers(1, 3, 9, 30)).shape == (1, 4, 5, 26)
    assert twin(numbers(2, 3, 5, 5)).shape == (2, 4, 1, 1)
    with pytest.raises(ShapeError, match=r"'only' moves a 5×5 kernel over a map of 4×9"):
        twin(numbers(1, 3, 4, 9))


def test_not_a_number_stays_one(residual_model):
    x = IMAGES[:2].copy()
    x[1, 0, 5, 5] = np.nan
    result = NumpySession.from_onnx(residual_model)(x)
    assert np.isfinite(result[0]).all()
    assert np.isnan(result[1]).all()


# --- graphs ----------------------------------------------------------------------------------------------------------


def test_an_unknown_operator_is_named():
    nodes = [helper.make_node("Det", ["x"], ["y"], name="strange one")]
    with pytest.raises(GraphError, match="'strange one' is a Det, which the NumPy twin doesn't know; expected one of"):
        NumpySession.from_onnx(model_of(nodes, ["N", 3, 3]))


def test_an_operator_that_no_output_needs_does_not_matter():
    nodes = [helper.make_node("Det", ["x"], ["d"]), helper.make_node("Abs", ["x"], ["y"])]
    np.testing.assert_array_equal(
        NumpySession.from_onnx(model_of(nodes, ["N", 2, 2]))(-np.ones((1, 2, 2))), np.ones((1, 2, 2))
    )


def test_foreign_operators_and_several_inputs_are_refused():
    nodes = [helper.make_node("Relu", ["x"], ["y"], domain="my.own", name="n")]
    with pytest.raises(GraphError, match=r"node 'n' is Relu of 'my\.own'; expected the ONNX standard alone"):
        NumpySession.from_onnx(model_of(nodes, ["N"]))
    model = onnx.load_from_string(model_of([helper.make_node("Add", ["x", "z"], ["y"])], ["N"]))
    model.graph.input.append(helper.make_tensor_value_info("z", 1, ["N"]))
    with pytest.raises(GraphError, match=r"inputs \['x', 'z'\]; expected one"):
        NumpySession.from_onnx(model.SerializeToString())


def test_weights_that_are_computed_are_refused():
    nodes = [helper.make_node("Conv", ["x", "x"], ["y"], name="odd")]
    with pytest.raises(GraphError, match="'odd', a Conv, computes its weights"):
        NumpySession.from_onnx(model_of(nodes, ["N", 1, 3, 3]))(numbers(1, 1, 3, 3))


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x08", bytes(range(256))])
def test_a_file_of_something_else_is_an_error(tmp_path, content):
    file = tmp_path / "x.onnx"
    file.write_bytes(content)
    with pytest.raises(GraphError, match=r"x\.onnx is (no ONNX model|empty)"):
        NumpySession.from_onnx(file)


def test_a_truncated_model_is_an_error(residual_model):
    for size in range(1, len(residual_model) - 1, len(residual_model) // 40):
        with pytest.raises(GraphError):
            NumpySession.from_onnx(residual_model[:size])


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(NotFoundError, match=r"none\.onnx does not exist"):
        NumpySession.from_onnx(tmp_path / "none.onnx")


def test_weights_outside_the_folder_are_refused(tmp_path):
    model = onnx.load_from_string(model_of([helper.make_node("Add", ["x", "w"], ["y"])], ["N"], {"w": np.ones(4)}))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../secret"
    (tmp_path / "inside").mkdir()
    onnx.save(model, tmp_path / "inside" / "m.onnx")
    with pytest.raises(GraphError, match=r"keeps weights in '\.\./secret'; expected a file beside it"):
        NumpySession.from_onnx(tmp_path / "inside" / "m.onnx")
    entry.value = "away.bin"
    (tmp_path / "inside" / "n.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(NotFoundError, match=r"away\.bin does not exist"):
        NumpySession.from_onnx(tmp_path / "inside" / "n.onnx")


def test_numpy_alone_is_imported(tmp_path, residual_model):
    (tmp_path / "m.onnx").write_bytes(residual_model)
    code = (
        "import sys, numpy as np\nfrom svertka.inference.numpy_backend import NumpySession\n"
        "NumpySession.from_onnx('m.onnx', 2)(np.ones((1, 3, 22, 26)))\n"
        "known = {*sys.stdlib_module_names, 'numpy', 'svertka', '__main__'}\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules if not name.startswith('_')} - known))"
    )
    code = code.replace("'m.onnx'", repr(str(tmp_path / "m.onnx")))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"torch", "onnx", "onnxruntime", "scipy", "sklearn", "threadpoolctl", "PIL"}, loaded


# --- one number taken apart ------------------------------------------------------------------------------------------


def test_layers_are_listed_with_their_sizes(residual_model):
    found = {layer.name: layer for layer in layers(NumpySession.from_onnx(residual_model), (1, 3, 22, 26))}
    assert list(found) == ["layer stem", "layer one", "layer two", "layer new", "layer newer", "head"]
    assert found["layer stem"].output_shape == (16, 11, 13)
    assert found["layer newer"].input_shape == (24, 11, 13)
    assert found["head"].output_shape == (5,)


@pytest.mark.parametrize(
    ("layer", "place", "activation"),
    [
        ("layer stem", (3, 0, 12), "relu"),
        ("layer one", (15, 10, 5), "relu"),
        ("layer two", (2, 4, 4), "clip"),
        ("layer new", (7, 3, 0), ""),
        ("layer newer", (0, 0, 0), ""),
        ("head", (4,), ""),
    ],
)
def test_the_parts_add_up_to_what_the_network_computed(residual_model, layer, place, activation):
    found = trace(NumpySession.from_onnx(residual_model), IMAGES[:1], layer, place)
    assert found.activation == activation
    assert found.result == pytest.approx(found.computed, rel=1e-5, abs=1e-5)
    assert (found.shortcut is not None) == (layer == "layer two")
    total = found.products_CKL.sum() + found.bias + (found.shortcut or 0)
    assert found.before_activation == pytest.approx(total)
    assert found.sums_C.shape == (found.window_CKL.shape[0],)


def test_padding_is_seen_as_zeros(residual_model):
    found = trace(NumpySession.from_onnx(residual_model), IMAGES[:1], "layer stem", (0, 0, 0))
    assert found.corner == (-1, -1)
    np.testing.assert_array_equal(found.window_CKL[:, 0], 0)
    np.testing.assert_array_equal(found.window_CKL[:, :, 0], 0)
    np.testing.assert_allclose(found.window_CKL[:, 1:, 1:], IMAGES[0, :, :2, :2])


def test_a_place_outside_and_an_unknown_layer_are_errors(residual_model):
    twin = NumpySession.from_onnx(residual_model)
    with pytest.raises(ShapeError, match=r"layer stem has no number at 16,0,0; expected channel, row, column below"):
        trace(twin, IMAGES[:1], "layer stem", (16, 0, 0))
    with pytest.raises(ShapeError, match=r"head has no number at 1,2,3; expected feature"):
        trace(twin, IMAGES[:1], "head", (1, 2, 3))
    with pytest.raises(NotFoundError, match=r"no layer 'layer stm'\. Did you mean layer stem"):
        trace(twin, IMAGES[:1], "layer stm", (0, 0, 0))
