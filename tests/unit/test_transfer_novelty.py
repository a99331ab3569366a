"""Images unlike those of training: how distance is measured, where the limit lies, and that a bundle carries both."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binom

from svertka.bundle.bundle import load_bundle
from svertka.bundle.classifier_graph import attach_distance, attach_head
from svertka.bundle.predictor import open_predictor, predict_files
from svertka.cli.predict import predict
from svertka.errors import BundleError
from svertka.features.linear_head import LinearHead
from svertka.features.ood import AXES, SHARE, Neighbourhood, ood_notice
from svertka.inference.onnxruntime_session import DISTANCE, open_session, run_in_batches
from svertka.messages import sentences
from svertka.schema import Novelty

HEAD = LinearHead(np.zeros(3, np.float32), np.ones(3, np.float32), np.eye(3, dtype=np.float32), np.zeros(3, np.float32))


def clusters(rng, n, dims=100, apart=8.0):
    """Features around three centres that lie in the first three dimensions."""
    centres = np.zeros((3, dims))
    centres[:, :3] = apart * np.eye(3)
    return (centres[rng.integers(0, 3, n)] + rng.normal(size=(n, dims))).astype(np.float32)


def test_the_distance_is_the_cosine_distance_to_the_nearest_image():
    rng = np.random.default_rng(0)
    x_RD, x_ND = clusters(rng, 40, dims=20), clusters(rng, 9, dims=20)
    known = Neighbourhood.of(x_RD, (20,))  # as many axes as dimensions: nothing is lost
    z_RD, z_ND = ((x - known.mean_D) / known.scale_D for x in (x_RD, x_ND))
    cosine_NR = (z_ND @ z_RD.T) / np.linalg.norm(z_ND, axis=1)[:, None] / np.linalg.norm(z_RD, axis=1)
    np.testing.assert_allclose(known.distances(x_ND), 1 - cosine_NR.max(axis=1), atol=1e-5)
    np.testing.assert_allclose(known.distances(x_RD), 0, atol=1e-5)


def test_features_that_follow_play_no_part():
    rng = np.random.default_rng(2)
    known = Neighbourhood.of(clusters(rng, 20), (100,))
    x_ND, more_NE = clusters(rng, 5), rng.normal(0, 1e4, (5, 30)).astype(np.float32)
    joint_ND = np.concatenate([x_ND, more_NE], axis=1)
    np.testing.assert_allclose(known.padded(130).distances(joint_ND), known.distances(x_ND), atol=1e-6)


def test_what_lies_outside_of_the_remembered_axes_is_far():
    """Length is taken before the projection: an image that differs elsewhere has little left inside."""
    rng = np.random.default_rng(0)
    x_RD = clusters(rng, 400)
    x_RD[:, 90:] *= 1e-3  # nothing happens here in training, so no axis points there
    known = Neighbourhood.of(x_RD, (100,))
    assert known.axes_DA.shape == (100, AXES)
    like_ND = clusters(rng, 50)
    like_ND[:, 90:] *= 1e-3
    unlike_ND = like_ND.copy()
    unlike_ND[:, 90:] += 30
    assert known.distances(unlike_ND).min() > known.distances(like_ND).max()


@pytest.mark.parametrize("n", [59, 100, 296, 1000])
def test_the_limit_keeps_its_promise_with_confidence(n):
    """Of images like those that set it, more than 5 % are flagged in at most 5 % of the cases."""
    rng = np.random.default_rng(n)
    known = Neighbourhood.of(np.eye(3, dtype=np.float32), (3,))
    flagged = []
    for _ in range(1000):  # uniform distances: the share above the limit is 1 - limit
        flagged.append(1 - known.measured_on(rng.random(n).astype(np.float32)).threshold)
    broken = np.mean(np.array(flagged) > SHARE)
    assert broken < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)
    assert np.mean(flagged) > 0.2 * SHARE  # and it is no lazy limit that flags nothing


def test_with_few_images_the_largest_distance_is_the_limit():
    known = Neighbourhood.of(np.eye(3, dtype=np.float32), (3,))
    novelty = known.measured_on(np.array([0.1, 0.4, 0.2], np.float32))
    assert novelty.threshold == pytest.approx(0.4)
    assert binom.cdf(0, 58, SHARE) > 0.05 > binom.cdf(0, 59, SHARE)  # why 59 are needed for better


def test_percentile_counts_the_validation_images_that_are_nearer():
    novelty = Novelty(threshold=0.9, quantiles=tuple(np.linspace(0.2, 1.2, 101)), n=500)
    assert [novelty.percentile(d) for d in (0.0, 0.2, 0.7, 5.0)] == pytest.approx([0, 0, 50, 100])
    assert [novelty.is_out_of_distribution(d) for d in (0.9, 0.91)] == [False, True]


@pytest.mark.parametrize(
    ("far", "level", "said"),
    [
        (30, "info", "30 of 656 test images (4.6 %)"),
        (60, "warning", "60 of 656 test images (9.1 %), where at most 5 % were to be expected"),
    ],
)
def test_too_many_unlike_test_images_are_told_loudly(far, level, said):
    novelty = Novelty(threshold=0.5, quantiles=(0.0, 1.0), n=296)
    notice = ood_notice(novelty, np.array([0.6] * far + [0.1] * (656 - far)))
    assert notice.level == level
    assert said in sentences(notice).replace("\u202f", " ")
    assert "656" in sentences(notice, language="ru")


def test_two_validation_images_promise_little():
    """The next image is the farthest of three one time in three; 2 of 4 is no alarm."""
    novelty = Novelty(threshold=0.5, quantiles=(0.0, 1.0), n=2)
    notice = ood_notice(novelty, np.array([0.6, 0.6, 0.1, 0.1]))
    assert (notice.level, notice.values["limit"]) == ("info", 33.3)


# --- in the bundle -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def colours():
    """Reds, greens and blues as the mean-colour graph sees them."""
    rng = np.random.default_rng(0)
    return (np.eye(3)[rng.integers(0, 3, 80)] * 0.8 + rng.uniform(0, 0.15, (80, 3))).astype(np.float32)


@pytest.fixture(scope="module")
def known(colours):
    return Neighbourhood.of(colours, (3,))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, write_tiny_bundle, mean_colour_graph, known, colours):
    weight_KD, bias_K = 8 * np.eye(3, dtype=np.float32)[::-1], np.array([0.1, 0.0, -0.1], np.float32)
    head = LinearHead(np.zeros(3, np.float32), np.ones(3, np.float32), weight_KD, bias_K)
    return write_tiny_bundle(
        tmp_path_factory.mktemp("novel") / "bundle",
        graph=attach_distance(attach_head(mean_colour_graph, head, 2.0), known),
        novelty=known.measured_on(np.full(60, 0.01, np.float32)),
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A red one, and one grey as no training image."""
    folder = tmp_path_factory.mktemp("photos")
    Image.new("RGB", (40, 40), (220, 10, 20)).save(folder / "red.png")
    Image.new("RGB", (40, 40), (200, 200, 200)).save(folder / "grey.png")
    (folder / "broken.png").write_bytes(b"")
    return folder


def test_the_graph_computes_the_same_distance(mean_colour_graph, known):
    images = np.random.default_rng(1).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    images[0] = 0
    session = open_session(attach_distance(attach_head(mean_colour_graph, HEAD), known).SerializeToString(), 1)
    (distances,) = run_in_batches(session, images, [DISTANCE])
    np.testing.assert_allclose(distances, known.distances(images.mean((1, 2), dtype=np.float32) / 255), atol=1e-5)


def test_numbers_that_are_not_finite_are_refused(mean_colour_graph, colours):
    broken = Neighbourhood.of(np.where(np.arange(80)[:, None] == 5, np.nan, colours)[:3], (3,))
    broken.points_RA[0] = np.inf
    with pytest.raises(BundleError, match="remembered images hold numbers that are not finite"):
        attach_distance(attach_head(mean_colour_graph, HEAD), broken)


@pytest.mark.parametrize("engine", ["onnx", "numpy"])
def test_predict_says_which_images_are_unlike(bundle, photos, tmp_path, capsys, engine):
    out = tmp_path / "out.csv"
    assert predict(str(bundle.directory), [str(photos)], str(out), threads=1, engine=engine) == 0
    with out.open() as file:
        rows = {row["path"].rsplit("/", 1)[1]: row for row in csv.DictReader(file)}
    told_of = {name: (row["unlike_training"], row["distance_percentile"]) for name, row in rows.items()}
    assert told_of["broken.png"] == ("", "")
    assert told_of["grey.png"] == ("yes", "100.0")
    assert told_of["red.png"][0] == "no"
    assert list(rows["red.png"])[-3:] == ["unlike_training", "distance_percentile", "error"]
    assert "1 image is out of distribution, unlike the training images (" in capsys.readouterr().err


def test_a_bundle_of_format_1_predicts_as_before(tiny_bundle, photos, tmp_path, capsys):
    """Such a bundle knows no distance; its manifest has neither the field nor the number 2."""
    old = tmp_path / "old"
    shutil.copytree(tiny_bundle.directory, old)
    manifest = json.loads((old / "manifest.json").read_text("utf-8"))
    del manifest["novelty"]
    (old / "manifest.json").write_text(json.dumps(manifest | {"format": 1}), "utf-8")
    bundle = load_bundle(old)
    assert bundle.novelty is None
    (result,) = predict_files(open_predictor(bundle, threads=1), [photos / "red.png"])
    assert result.distance is result.distance_percentile is result.out_of_distribution is None
    assert predict(str(old), [str(photos)], threads=1) == 0
    captured = capsys.readouterr()
    assert "unlike" not in captured.out + captured.err


@pytest.mark.parametrize(
    ("novelty", "message"),
    [
        ({"threshold": 0.5, "quantiles": [0.4, 0.1], "n": 9}, "expected two or more rising numbers"),
        ({"threshold": "far", "quantiles": [0.1, 0.4], "n": 9}, "threshold is 'far'; expected int or float"),
        ([1], r"novelty is \[1\]; expected dict"),
    ],
)
def test_a_damaged_field_is_named(bundle, tmp_path, novelty, message):
    shutil.copytree(bundle.directory, tmp_path / "bundle")
    path = tmp_path / "bundle" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"novelty": novelty}), "utf-8")
    with pytest.raises(BundleError, match=message):
        load_bundle(tmp_path / "bundle")


def test_a_graph_without_the_promised_distance_is_refused(tiny_bundle, bundle, tmp_path):
    shutil.copytree(tiny_bundle.directory, tmp_path / "bundle")
    path = tmp_path / "bundle" / "manifest.json"
    novelty = {"threshold": 0.5, "quantiles": [0.1, 0.4], "n": 9}
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"novelty": novelty}), "utf-8")
    with pytest.raises(BundleError, match=r"expected \['logits', 'probabilities', 'distance'\]"):
        open_predictor(load_bundle(tmp_path / "bundle"), threads=1)
