"""``svertka lab trace``: one number of a bundle's network, taken apart on paper."""

import re
import subprocess
import sys

import numpy as np
import pytest
from onnx import TensorProto, helper

from svertka.cli.lab.trace import trace
from svertka.errors import ConfigError, NotFoundError, ShapeError
from svertka.inference.numpy_backend.unit_trace import short_names
from svertka.schema import Preprocess
from twin_graphs import onnx

SIDE = 32


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, write_tiny_bundle):
    """A bundle with a convolution, a shortcut and a linear head."""
    from svertka.bundle.classifier_graph import attach_head
    from svertka.features.linear_head import LinearHead
    from svertka.inference.onnxruntime_session import PROBABILITIES, open_session, run_in_batches

    rng = np.random.default_rng(0)
    weights = {
        "w1": rng.standard_normal((4, 3, 3, 3), dtype=np.float32) / 100,
        "b1": rng.standard_normal(4, dtype=np.float32),
        "w2": rng.standard_normal((4, 4, 3, 3), dtype=np.float32) / 4,
    }
    nodes = [
        helper.make_node("Transpose", ["image"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["t"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["x", "w1", "b1"], ["a"], name="stem", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("Conv", ["r", "w2"], ["c"], name="block", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c", "r"], ["s"]),
        helper.make_node("Relu", ["s"], ["o"]),
        helper.make_node("GlobalAveragePool", ["o"], ["g"]),
        helper.make_node("Flatten", ["g"], ["features"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 4])],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    features = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    head = LinearHead(
        np.zeros(4, np.float32), np.ones(4, np.float32), np.eye(3, 4, dtype=np.float32), np.zeros(3, np.float32)
    )
    images = rng.integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    model = attach_head(features, head, 2.0)
    reference = run_in_batches(open_session(model.SerializeToString(), 1), images, [PROBABILITIES])[0]
    directory = tmp_path_factory.mktemp("trace") / "bundle"
    write_tiny_bundle(
        directory,
        graph=model,
        preprocess=Preprocess(size_px=SIDE, resize="squash", interpolation="bilinear"),
        check_images_NSSC=images,
        reference_NK=reference,
    )
    return str(directory)


@pytest.fixture
def image(colour_folder):
    return str(colour_folder / "red" / "red2.png")


def test_without_a_layer_all_are_listed(bundle, image, capsys):
    trace(bundle, image)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == ["stem", "block", "head.gemm"]
    assert "3 × 32 × 32 → 4 × 16 × 16" in lines[1]


def test_the_arithmetic_adds_up_on_paper(bundle, image, capsys):
    trace(bundle, image, "block", "2,0,7")
    text = capsys.readouterr().out
    assert "sees rows -1 to 1 and columns 6 to 8 of 4 input channels" in text
    figures = {
        name.strip(): float(value) for name, value in re.findall(r"^(\D[^\n]*?)\s{2,}(-?\d+\.\d{6})", text, re.M)
    }
    sums = [float(value) for value in re.findall(r"^ +\d+ +(-?\d+\.\d{6})$", text, re.M)]
    assert len(sums) == 4
    assert sum(sums) == pytest.approx(figures["sum over 4 input channels"], abs=1e-5)
    total = (
        figures["sum over 4 input channels"] + figures["bias (BatchNorm folded in)"] + figures["shortcut of the block"]
    )
    assert figures["before the activation"] == pytest.approx(total, abs=1e-5)
    assert figures["relu"] == pytest.approx(max(total, 0), abs=1e-5)
    assert figures["the network computed"] == pytest.approx(figures["relu"], abs=1e-4)


def test_the_products_that_are_shown_are_window_times_kernel(bundle, image, capsys):
    trace(bundle, image, "stem", "1,3,4")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    numbers = [[float(value) for value in row] for row in rows if len(row) == 9 and row[0][-1].isdigit()]
    assert len(numbers) == 9
    for row in numbers:
        assert row[6:] == pytest.approx([a * b for a, b in zip(row[:3], row[3:6], strict=True)], abs=0.03)


def test_a_linear_layer_has_features(bundle, image, capsys):
    trace(bundle, image, "head/gemm", "1")
    assert "Feature 1 sees all 4 numbers" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("layer", "at", "error", "said"),
    [
        ("stm", "0,0,0", NotFoundError, r"no layer 'stm'\. Did you mean stem"),
        ("stem", "", ConfigError, "--at is missing; expected CHANNEL,ROW,COLUMN"),
        ("stem", "a,b", ConfigError, "--at is 'a,b'"),
        (
            "stem",
            "0,16,0",
            ShapeError,
            r"stem has no number at 0,16,0; expected channel, row, column below \[4, 16, 16\]",
        ),
    ],
)
def test_what_does_not_exist_is_an_error(bundle, image, layer, at, error, said):
    with pytest.raises(error, match=said):
        trace(bundle, image, layer, at)


def test_on_the_command_line_an_error_is_one_line(bundle, image):
    program = [sys.executable, "-c", "from svertka.cli.main import main; main()"]
    done = subprocess.run([*program, "lab", "trace", bundle, image, "--layer", "nope"], capture_output=True, text=True)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "--at is missing" in done.stderr


def test_layers_have_short_names():
    """Of the paths of torch's exporter the modules' names are left; where two would be one, the paths stay."""
    nodes = [
        "/module/body/stem/stem.0/Conv",
        "/module/body/blocks/blocks.3/project/project.0/Conv",
        "network1/module/body/stem/stem.0/Conv",
        "/module/body/fc/Conv",
        "/module/body/fc/Conv_1",
        "head/gemm",
        "known/projected",
        "stem",
    ]
    assert short_names(nodes) == [
        "stem.0",
        "blocks.3.project.0",
        "network1.stem.0",
        "/module/body/fc/Conv",
        "/module/body/fc/Conv_1",
        "head.gemm",
        "known.projected",
        "stem",
    ]


@pytest.mark.parametrize("layer", ["head.gemm", "head/gemm"])
def test_short_and_full_names_mean_the_same(bundle, image, capsys, layer):
    trace(bundle, image, layer, "1")
    assert capsys.readouterr().out.startswith("head.gemm: ")


def test_part_of_a_name_is_no_layer_but_is_understood(bundle, image):
    with pytest.raises(NotFoundError, match=r"no layer 'gemm'\. Did you mean head\.gemm\?"):
        trace(bundle, image, "gemm", "1")
