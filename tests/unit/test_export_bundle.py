import json
import shutil

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file

from svertka.bundle.bundle import load_bundle, training_hashes, was_trained_on
from svertka.bundle.classifier_graph import attach_head
from svertka.bundle.parity import compare, rounding_bound
from svertka.bundle.predictor import open_predictor
from svertka.errors import BundleError, ConfigError, NotFoundError
from svertka.features.linear_head import LinearHead
from svertka.inference.backends import ONNX, open_graph
from svertka.inference.onnxruntime_session import open_session
from svertka.schema import Conformal, Preprocess


@pytest.fixture
def copied(tiny_bundle, tmp_path):
    """A copy of the tiny bundle that a test may damage."""
    return shutil.copytree(tiny_bundle.directory, tmp_path / "bundle")


def edit_manifest(directory, **changes):
    path = directory / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


def test_what_is_written_is_read_back(tiny_bundle):
    bundle = load_bundle(tiny_bundle.directory)
    assert bundle == tiny_bundle
    assert bundle.class_names == ("blue", "green", "red")
    assert bundle.preprocess == Preprocess(size_px=32, interpolation="bilinear")
    assert bundle.temperature == 2.0
    assert (bundle.parity.n, bundle.parity.same_labels) == (7, 7)
    assert bundle.parity.max_probability_difference < 1e-6
    assert bundle.manifest["metrics"] == {"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95, "n": 40}}
    assert bundle.manifest["sources"] == [{"name": "made by a test", "origin": "tests", "licence": "Apache-2.0"}]
    assert sorted(path.name for path in bundle.directory.iterdir()) == [
        "manifest.json",
        "model.onnx",
        "training_hashes.txt",
        "weights.safetensors",
    ]


def test_weights_keep_names_shapes_and_kinds(tiny_bundle):
    weights = load_file(tiny_bundle.directory / "weights.safetensors")
    assert {name: (value.shape, value.dtype.kind) for name, value in weights.items()} == {
        "head.weight": ((3, 3), "f"),
        "head.bias": ((3,), "f"),
        "steps": ((), "i"),
    }
    np.testing.assert_array_equal(weights["head.weight"], 8 * np.eye(3)[::-1])


def test_model_says_what_it_is_by_itself(tiny_bundle):
    model = onnx.load(tiny_bundle.directory / "model.onnx")
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(properties["class_names"]) == ["blue", "green", "red"]
    assert properties["preprocess_hash"] == tiny_bundle.preprocess.hash
    assert set(properties) == {"class_names", "preprocess", "preprocess_hash", "svertka_version"}
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]


def test_the_same_model_is_written_byte_for_byte(tiny_bundle, write_tiny_bundle, tmp_path):
    again = write_tiny_bundle(tmp_path / "bundle").directory
    for path in tiny_bundle.directory.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_training_images_are_found_by_their_hash(tiny_bundle):
    hashes = training_hashes(tiny_bundle)
    assert hashes == {"0123456789abcdef"}
    assert was_trained_on("0123456789abcdef" * 2, hashes)
    assert not was_trained_on("f123456789abcdef" * 2, hashes)


def test_a_run_folder_is_opened_by_its_bundle(copied):
    assert load_bundle(copied.parent).directory == copied
    assert load_bundle(str(copied)).directory == copied


# --- engines that disagree -----------------------------------------------------------------------------------------


def test_no_bundle_is_written_when_the_engines_disagree(write_tiny_bundle, tmp_path):
    with pytest.raises(
        BundleError, match=r"disagree on 7 test images: probabilities differ by up to 0\.\d+ \(expected"
    ):
        write_tiny_bundle(tmp_path / "bundle", reference_NK=np.full((7, 3), 1 / 3))
    assert not list(tmp_path.iterdir())


def test_a_bundle_stays_when_a_new_one_fails(write_tiny_bundle, copied):
    before = load_bundle(copied)
    with pytest.raises(BundleError, match="disagree"):
        write_tiny_bundle(copied, reference_NK=np.full((7, 3), 1 / 3))
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_tiny_bundle(copied, temperature=float("nan"))
    assert load_bundle(copied) == before
    assert [path.name for path in copied.parent.iterdir()] == ["bundle"]


def test_a_bundle_is_replaced_by_a_new_one(write_tiny_bundle, copied):
    (copied / "left over").write_text("of the old one")
    write_tiny_bundle(copied, data_hash="new")
    assert load_bundle(copied).manifest["data_hash"] == "new"
    assert not (copied / "left over").exists()
    assert [path.name for path in copied.parent.iterdir()] == ["bundle"]


def test_what_a_killed_write_left_is_tidied_up(write_tiny_bundle, copied):
    beside = copied.parent / ".bundle-new"
    beside.mkdir()
    (beside / "model.onnx").write_text("half")
    copied.replace(copied.parent / ".bundle-old")  # killed between the two renames
    with pytest.raises(BundleError, match="3 probabilities for 2"):
        write_tiny_bundle(copied, class_names=("red", "green"))
    write_tiny_bundle(copied)
    load_bundle(copied)
    assert [path.name for path in copied.parent.iterdir()] == ["bundle"]


def test_the_old_bundle_comes_back_after_a_killed_write(write_tiny_bundle, copied):
    before = load_bundle(copied)
    copied.replace(copied.parent / ".bundle-old")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_tiny_bundle(copied, temperature=float("nan"))
    assert load_bundle(copied) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ("red", "green")}, "gives 3 probabilities for 2 class names"),
        ({"class_names": ("red", "red", "green")}, "two or more different names"),
        ({"check_images_NSSC": np.zeros((0, 32, 32, 3), np.uint8)}, "no images to compare"),
        ({"reference_NK": np.full((7, 2), 0.5)}, r"probabilities \[7, 3\], the network \[7, 2\]"),
        ({"reference_NK": np.full((7, 3), np.nan)}, "differ by up to nan"),
        ({"temperature": 0.0}, r"temperature is 0\.0"),
    ],
)
def test_a_bundle_that_contradicts_itself_is_not_written(write_tiny_bundle, tmp_path, changes, message):
    with pytest.raises(BundleError, match=message):
        write_tiny_bundle(tmp_path / "bundle", **changes)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("gap", "passes"), [(4e-6, True), (6e-5, False)])
def test_only_a_tie_may_change_its_label(tiny_bundle, gap, passes):
    graph = onnx.load(tiny_bundle.directory / "model.onnx")
    bias = next(initializer for initializer in graph.graph.initializer if initializer.name == "head.bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.array([1e-6, 0, -1], np.float32), "head.bias"))
    model, image = graph.SerializeToString(), np.zeros((1, 32, 32, 3), np.uint8)
    (probabilities,) = open_session(model, 1).run(["probabilities"], {"image": image})
    assert probabilities.argmax() == 0  # blue, by a hair; the reference says green
    middle = (probabilities[0, 0] + probabilities[0, 1]) / 2
    reference = np.array([[middle - gap / 2, middle + gap / 2, probabilities[0, 2]]])
    if passes:
        assert compare(open_graph(model, ONNX, 1), image, reference).same_labels == 0
    else:
        with pytest.raises(BundleError, match="1 labels differ"):
            compare(open_graph(model, ONNX, 1), image, reference)


def ill_conditioned(weight):
    """A head on features that are all but equal to their mean, so that nearly all digits cancel; gray images for it."""
    images = np.full((4, 32, 32, 3), 128, np.uint8)
    mean = images[0].mean(axis=(0, 1)).astype(np.float32) / np.float32(255)
    return LinearHead(
        mean, np.ones(3, np.float32), weight * np.eye(3, dtype=np.float32), np.zeros(3, np.float32)
    ), images


def softmax(logits_NK):
    p_NK = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    return p_NK / p_NK.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("weight", "units", "passes"), [(4e3, 2, True), (4e3, 60, False), (8.0, 60, True), (4e5, 2, False)]
)
def test_engines_may_be_as_far_apart_as_the_head_makes_rounding_count(
    mean_colour_graph, write_tiny_bundle, tmp_path, weight, units, passes
):
    head, images = ill_conditioned(weight)
    rounded_D = head.mean_D * (1 + units * np.finfo(np.float32).eps * np.array([1, -1, 1]))
    reference_NK = softmax(np.repeat(((rounded_D - head.mean_D) @ head.weight_KD.T)[None], len(images), axis=0))
    changes = {
        "graph": attach_head(mean_colour_graph, head),
        "temperature": 1.0,
        "check_images_NSSC": images,
        "reference_NK": reference_NK,
    }
    if passes:
        parity = write_tiny_bundle(tmp_path / "bundle", **changes).parity
        assert (parity.max_probability_difference > 1e-4) == (weight > 1e3)
    else:
        with pytest.raises(BundleError, match="disagree on 4 test images"):
            write_tiny_bundle(tmp_path / "bundle", **changes)


def test_the_bound_on_rounding_holds_for_features_rounded_anew():
    rng, eps = np.random.default_rng(0), np.finfo(np.float32).eps
    for _ in range(50):
        x_ND = rng.uniform(0.5, 0.51, (20, 30))
        head = {"mean": x_ND.mean(0), "weight": rng.normal(0, 10 ** rng.uniform(0, 3), (4, 30)), "temperature": 0.7}
        moved_ND = x_ND * (1 + 8 * eps * rng.choice([-1, 1], x_ND.shape))
        p, q = (softmax((x - head["mean"]) @ head["weight"].T / 0.7) for x in (x_ND, moved_ND))
        assert (np.abs(p - q).max(axis=1) <= rounding_bound(head, x_ND)).all()


# --- bundles that are damaged --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.onnx", "weights.safetensors", "training_hashes.txt"])
def test_a_missing_file_is_named(copied, name):
    (copied / name).unlink()
    with pytest.raises(BundleError, match=rf"{name} cannot be read \(No such file"):
        load_bundle(copied)


@pytest.mark.parametrize("name", ["model.onnx", "weights.safetensors", "training_hashes.txt"])
def test_a_cut_file_is_named(copied, name):
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(content[:-3])
    with pytest.raises(BundleError, match=rf"{name} has {len(content) - 3} bytes; the manifest expects {len(content)}"):
        load_bundle(copied)


@pytest.mark.parametrize("name", ["model.onnx", "weights.safetensors", "training_hashes.txt"])
def test_a_changed_byte_is_found(copied, name):
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(bytes(content))
    with pytest.raises(BundleError, match=rf"{name} is not the file that was written"):
        load_bundle(copied)


def test_a_graph_that_changes_after_loading_is_not_opened(copied):
    bundle = load_bundle(copied)
    content = bytearray((copied / "model.onnx").read_bytes())
    content[-1] ^= 1
    (copied / "model.onnx").write_bytes(bytes(content))
    with pytest.raises(BundleError, match="is not the file that was written"):
        open_predictor(bundle)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 3, "svertka": "9.1"}, r"is of format 3, written by svertka 9\.1; .* Install a newer svertka"),
        ({"format": 0}, "is of format 0; expected 1 to 2"),
        ({"format": "1"}, "format is '1'; expected int"),
        ({"format": True}, "format is True; expected int"),
        ({"class_names": ["a"]}, r"class_names is \['a'\]; expected a list of two or more"),
        ({"class_names": ["a", "a"]}, "two or more different names"),
        ({"class_names": "ab"}, "class_names is 'ab'; expected list"),
        ({"temperature": -1}, "temperature is -1; expected a finite number above 0"),
        ({"preprocess_hash": "00"}, "hash [0-9a-f]{16}, but 00 is written beside it"),
        ({"preprocess": {"size_px": 32}}, "resize None and interpolation None; this svertka knows squash"),
        ({"preprocess": {"resize": "pad", "interpolation": "bilinear", "sise": 3}}, "cannot be understood"),
        ({"preprocess": {"resize": "pad", "interpolation": "bilinear", "size_px": 3}}, "size_px is 3; expected 16"),
        ({"parity": {}}, "n is missing; expected int"),
        ({"files": {}}, r"model\.onnx is missing; expected dict"),
        ({"files": {"model.onnx": {"bytes": 3}}}, "sha256 is missing; expected str"),
        ({"positive": "blue"}, r"positive is 'blue'; expected one of two class names, or nothing"),
        ({"positive": 5}, r"positive is 5; expected one of two class names"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused(copied, changes, message):
    edit_manifest(copied, **changes)
    with pytest.raises(BundleError, match=message):
        load_bundle(copied)


def test_a_changed_preprocessing_is_found(copied, tiny_bundle):
    edit_manifest(copied, preprocess=tiny_bundle.manifest["preprocess"] | {"resize": "pad"})
    with pytest.raises(BundleError, match="images would reach the model differently than in training"):
        load_bundle(copied)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "cannot be read as JSON"), ("[]", "holds a list; expected a JSON object"), ("[" * 99999, "as JSON")],
)
def test_a_manifest_that_is_no_json_is_refused(copied, text, message):
    (copied / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=message):
        load_bundle(copied)


def test_places_without_a_bundle_are_told_apart(tmp_path):
    with pytest.raises(NotFoundError, match=r"nowhere does not exist; expected a bundle folder"):
        load_bundle(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotFoundError, match="file is a file; expected a bundle folder"):
        load_bundle(tmp_path / "file")
    with pytest.raises(BundleError, match=r"manifest\.json is missing; expected a bundle folder"):
        load_bundle(tmp_path)


def rewrite_model(directory, change):
    """Changes the graph and makes the manifest agree with it, as someone would who means harm."""
    import hashlib

    model = onnx.load(directory / "model.onnx")
    change(model)
    content = model.SerializeToString()
    (directory / "model.onnx").write_bytes(content)
    files = json.loads((directory / "manifest.json").read_text("utf-8"))["files"]
    files["model.onnx"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    edit_manifest(directory, files=files)


def test_a_model_with_weights_elsewhere_is_not_opened(copied):
    def to_outside(model):
        entry = model.graph.initializer[0].external_data.add()
        entry.key, entry.value = "location", "/etc/hostname"

    rewrite_model(copied, to_outside)
    with pytest.raises(BundleError, match=r"model\.onnx keeps weights in other files"):
        load_bundle(copied)


def test_a_model_with_foreign_operators_is_not_opened(copied):
    def to_foreign(model):
        model.graph.node[0].domain = "evil.example"

    rewrite_model(copied, to_foreign)
    with pytest.raises(BundleError, match=r"operators from 'evil\.example'"):
        load_bundle(copied)


# --- which engine runs it ------------------------------------------------------------------------------------------


def test_the_bundle_names_its_engine_and_older_ones_run_on_onnx_runtime(copied, tiny_bundle):
    assert tiny_bundle.engine == tiny_bundle.manifest["engine"] == "onnx"
    path = copied / "manifest.json"
    path.write_text(
        json.dumps({k: v for k, v in json.loads(path.read_text("utf-8")).items() if k != "engine"}), "utf-8"
    )
    assert load_bundle(copied).engine == "onnx"


def test_an_engine_that_the_manifest_makes_up_is_refused(copied):
    edit_manifest(copied, engine="abacus")
    with pytest.raises(BundleError, match="engine is 'abacus'; expected one of onnx, numpy"):
        load_bundle(copied)


def test_the_engine_that_the_bundle_names_is_opened(copied, tiny_bundle, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), np.uint8)
    _, expected_NK = open_predictor(tiny_bundle).infer(images)
    edit_manifest(copied, engine="numpy")
    monkeypatch.setattr("svertka.inference.backends.open_session", None)  # ONNX Runtime isn't there
    _, received_NK = open_predictor(load_bundle(copied)).infer(images)
    np.testing.assert_allclose(received_NK, expected_NK, atol=1e-5)
    with pytest.raises(TypeError):
        open_predictor(load_bundle(copied), engine="onnx")


def test_a_number_of_threads_below_zero_is_refused(tiny_bundle):
    with pytest.raises(ConfigError, match="threads is -1; expected 0"):
        open_predictor(tiny_bundle, threads=-1)


def test_a_model_of_another_bundle_is_not_opened(copied, tiny_bundle):
    fields = tiny_bundle.manifest["preprocess"] | {"size_px": 48}
    preprocess = Preprocess(size_px=48, interpolation="bilinear")
    edit_manifest(copied, preprocess=fields, preprocess_hash=preprocess.hash)
    with pytest.raises(BundleError, match=r"input is .* 32, 32, 3.*; expected .* 48, 48, 3"):
        load_bundle(copied)
    image = tiny_bundle.manifest["input"] | {"shape": ["N", 48, 48, 3]}
    edit_manifest(copied, input=image)
    with pytest.raises(BundleError, match=r"expected one input, 'image', uint8 \[N, 48, 48, 3\]"):
        open_predictor(load_bundle(copied))
    shutil.copy(tiny_bundle.directory / "manifest.json", copied)
    edit_manifest(copied, class_names=["a", "b"])
    with pytest.raises(BundleError, match=r"for the manifest's 2 classes"):
        open_predictor(load_bundle(copied))


def test_thresholds_for_unsure_come_back_and_are_checked(write_tiny_bundle, tmp_path):
    conformal = Conformal(target=0.9, thresholds=(0.4, 0.5, 1.0), counts=(9, 12, 30))
    bundle = write_tiny_bundle(tmp_path / "bundle", conformal=conformal)
    assert bundle.conformal == conformal
    assert write_tiny_bundle(tmp_path / "plain").conformal is None
    path = bundle.directory / "manifest.json"
    path.write_text(path.read_text().replace('"thresholds": [', '"thresholds": [7, '))
    with pytest.raises(BundleError, match=r"thresholds is \[7, .*; expected 3 numbers from 0 to 1"):
        load_bundle(bundle.directory)


def test_a_manifest_with_fields_of_a_newer_version_is_read(tiny_bundle, tmp_path):
    copied = tmp_path / "newer"
    shutil.copytree(tiny_bundle.directory, copied)
    known = json.loads((copied / "manifest.json").read_text("utf-8"))
    edit_manifest(copied, tomorrow=[1], parity=known["parity"] | {"tomorrow": {}})
    assert load_bundle(copied).parity == tiny_bundle.parity
