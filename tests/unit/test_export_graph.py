import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from svertka.bundle.classifier_graph import attach_head, check_joinable, join_features
from svertka.errors import BundleError
from svertka.features.linear_head import LinearHead
from svertka.inference.onnxruntime_session import FEATURES, LOGITS, PROBABILITIES, open_session, run_in_batches
from svertka.inference.simplify import fold_shape_arithmetic

RNG = np.random.default_rng(5)


def softmax(x):
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def on_raw_features(weight, bias):
    size = weight.shape[-1]
    return LinearHead(np.zeros(size, np.float32), np.ones(size, np.float32), weight.astype(np.float32), bias)


def test_head_gives_logits_before_and_probabilities_after_temperature(mean_colour_graph):
    weight, bias = RNG.normal(size=(4, 3)), RNG.normal(size=4)
    mean, scale = RNG.normal(size=3), RNG.uniform(0.1, 4, size=3)
    head = LinearHead(*(part.astype(np.float32) for part in (mean, scale, weight, bias)))
    session = open_session(attach_head(mean_colour_graph, head, 2.5).SerializeToString(), threads=1)
    images = RNG.integers(0, 256, (11, 32, 32, 3), dtype=np.uint8)
    logits, probabilities = run_in_batches(session, images, [LOGITS, PROBABILITIES])
    features = (images / 255).mean(axis=(1, 2))
    expected = (features - mean) / scale @ weight.T + bias
    np.testing.assert_allclose(head.logits(features), expected, atol=1e-5)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    np.testing.assert_allclose(probabilities, softmax(expected / 2.5), atol=1e-6)


def test_attaching_a_head_leaves_the_features_graph_as_it_was(mean_colour_graph):
    before = mean_colour_graph.SerializeToString()
    attach_head(mean_colour_graph, on_raw_features(np.ones((2, 3)), np.zeros(2)))
    assert mean_colour_graph.SerializeToString() == before


@pytest.mark.parametrize(
    ("weight", "bias", "temperature", "message"),
    [
        (np.ones((2, 4)), np.zeros(2), 1.0, r"shape \[2, 4\] and its bias \[2\]; expected weight \[2, 3\]"),
        (np.ones((2, 3)), np.zeros(5), 1.0, r"its bias \[5\]; expected weight \[5, 3\]"),
        (np.ones(3), np.zeros(3), 1.0, r"weight has shape \[3\]"),
        (np.full((2, 3), np.nan), np.zeros(2), 1.0, "not finite"),
        (np.ones((2, 3)), np.zeros(2), 0.0, r"temperature is 0\.0; expected a finite number above 0"),
    ],
)
def test_a_head_that_does_not_fit_is_refused(mean_colour_graph, weight, bias, temperature, message):
    with pytest.raises(BundleError, match=message):
        attach_head(mean_colour_graph, on_raw_features(weight, bias), temperature)


def test_a_head_is_attached_once(mean_colour_graph):
    classifier = attach_head(mean_colour_graph, on_raw_features(np.ones((2, 3)), np.zeros(2)))
    with pytest.raises(BundleError, match=r"outputs are \['logits', 'probabilities'\]; expected one, 'features'"):
        attach_head(classifier, on_raw_features(np.ones((2, 3)), np.zeros(2)))


def graph_with_shape_arithmetic():
    """Flattens an image to [N, height * 6] by sizes that it reads from the input itself; 1 weight is never used."""
    constants = {"zero": np.array([0]), "one": np.array([1]), "six": np.array([6]), "unused": np.zeros(3)}
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Shape", ["float"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "zero"], ["n"]),
        helper.make_node("Gather", ["sizes", "one"], ["height"]),
        helper.make_node("Mul", ["height", "six"], ["width"]),
        helper.make_node("Concat", ["n", "width"], ["target"], axis=0),
        helper.make_node("Reshape", ["float", "target"], ["features"]),
        helper.make_node("Neg", ["width"], ["nobody asks for this"]),
    ]
    graph = helper.make_graph(
        nodes,
        "flatten",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 4, 2, 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 24])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_joined_graphs_give_their_features_side_by_side(mean_colour_graph):
    doubled = onnx.ModelProto()
    doubled.CopyFrom(mean_colour_graph)
    (largest,) = [one for one in doubled.graph.initializer if one.name == "largest"]
    largest.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(largest) / 2, "largest"))
    before = [one.SerializeToString() for one in (mean_colour_graph, doubled)]
    both = join_features([mean_colour_graph, doubled, mean_colour_graph])
    assert [one.SerializeToString() for one in (mean_colour_graph, doubled)] == before
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    (found,) = run_in_batches(open_session(both.SerializeToString()), images, [FEATURES])
    (plain,) = run_in_batches(open_session(mean_colour_graph.SerializeToString()), images, [FEATURES])
    np.testing.assert_allclose(found, np.concatenate([plain, 2 * plain, plain], axis=1), rtol=1e-6)
    assert len(both.graph.initializer) == 2  # what the first and the third have in common is stored once


def test_networks_that_cannot_be_joined_are_refused_beforehand(mean_colour_graph, monkeypatch):
    check_joinable(mean_colour_graph, 5)
    branched = onnx.ModelProto()
    branched.CopyFrom(mean_colour_graph)
    branched.graph.node[0].attribute.append(helper.make_attribute("then_branch", mean_colour_graph.graph))
    with pytest.raises(BundleError, match="control flow"):
        check_joinable(branched, 2)
    monkeypatch.setattr("svertka.bundle.classifier_graph._LARGEST_BYTES", 4 * mean_colour_graph.ByteSize())
    with pytest.raises(BundleError, match=r"5 networks of 0 MB don't fit into one ONNX file \(2 GB\)"):
        check_joinable(mean_colour_graph, 5)


def test_sizes_that_do_not_follow_the_batch_become_constants():
    model = graph_with_shape_arithmetic()
    fold_shape_arithmetic(model, [{"image": np.zeros((n, 4, 2, 3), np.uint8)} for n in (1, 3)])
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["Cast", "Shape", "Gather", "Concat", "Reshape"]
    assert sorted(initializer.name for initializer in model.graph.initializer) == ["width", "zero"]
    images = RNG.integers(0, 256, (8, 4, 2, 3), dtype=np.uint8)
    features = open_session(model.SerializeToString(), threads=1).run(None, {"image": images})[0]
    np.testing.assert_array_equal(features, images.reshape(8, 24))


@pytest.mark.parametrize(
    "images", [np.zeros((2, 32, 32, 3)), np.zeros((2, 31, 32, 3), np.uint8), np.zeros(3, np.uint8)]
)
def test_images_that_do_not_fit_the_graph_are_refused(mean_colour_graph, images):
    session = open_session(mean_colour_graph.SerializeToString(), threads=1)
    with pytest.raises(BundleError, match=r"expected uint8 \['N', 32, 32, 3\]"):
        run_in_batches(session, images, ["features"])


def test_no_images_give_no_rows(mean_colour_graph):
    session = open_session(mean_colour_graph.SerializeToString(), threads=1)
    (features,) = run_in_batches(session, np.zeros((0, 32, 32, 3), np.uint8), ["features"])
    assert features.shape == (0, 3)


def test_bytes_that_are_no_model_are_refused():
    with pytest.raises(BundleError, match=r"ONNX Runtime [0-9.]+ cannot open the graph"):
        open_session(b"not a model", threads=1)
