"""Fixtures that several rooms' tests share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from svertka.schema import Bundle, Estimate, Preprocess, Source

settings.register_profile("svertka", deadline=None)  # what a busy machine takes longer over is no failure
settings.load_profile("svertka")

LONGEST = ("test_readme.py", "test_main.py", "test_resume.py", "test_estimators.py", "test_hostile_bundles.py")
"""Files of tests that take longest: begun first, so that no worker is left with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest files first and leaves all else in order."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


TINY_SIZE_PX = 32
TINY_CLASSES = ("blue", "green", "red")
# The hash of an image that the tiny bundle says it was trained on.
TINY_TRAINING_HASH = "0123456789abcdef" * 2


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory):
    """What tests let svertka remember stays out of the user's own cache and data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SVERTKA_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("SVERTKA_DATA", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session")
def mean_colour_graph():
    """A features graph without torch: the mean red, green and blue of an image, in 0..1."""
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Div", ["mean", "largest"], ["features"]),
    ]
    graph = helper.make_graph(
        nodes,
        "mean colour",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", TINY_SIZE_PX, TINY_SIZE_PX, 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor("largest", TensorProto.FLOAT, [], [255.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


@pytest.fixture(scope="session")
def write_tiny_bundle(mean_colour_graph) -> Callable[..., Bundle]:
    """Writes a bundle that names an image's strongest colour; keywords replace arguments of ``write_bundle``."""
    from svertka.bundle.bundle import write_bundle
    from svertka.bundle.classifier_graph import attach_head
    from svertka.features.linear_head import LinearHead

    weight_KD = 8 * np.eye(3, dtype=np.float32)[::-1]  # features are red, green, blue; classes the other way round
    bias_K, temperature = np.array([0.1, 0.0, -0.1], np.float32), 2.0
    head = LinearHead(np.zeros(3, np.float32), np.ones(3, np.float32), weight_KD, bias_K)
    images = np.random.default_rng(0).integers(0, 256, (7, TINY_SIZE_PX, TINY_SIZE_PX, 3), dtype=np.uint8)
    images[:3] = 0
    for image, channel in zip(images[:3], (2, 1, 0), strict=True):
        image[..., channel] = 255
    scaled_NK = ((images / 255).mean(axis=(1, 2)) @ weight_KD.T + bias_K) / temperature
    reference_NK = np.exp(scaled_NK) / np.exp(scaled_NK).sum(axis=1, keepdims=True)

    def write(directory: Path, **changes: object) -> Bundle:
        arguments: dict[str, object] = {
            "graph": attach_head(mean_colour_graph, head, temperature),
            "weights": {"head.weight": weight_KD, "head.bias": bias_K, "steps": np.array(3)},
            "class_names": TINY_CLASSES,
            "preprocess": Preprocess(size_px=TINY_SIZE_PX, resize="squash", interpolation="bilinear"),
            "temperature": temperature,
            "check_images_NSSC": images,
            "reference_NK": reference_NK,
            "training_hashes": [TINY_TRAINING_HASH],
            "sources": [Source(name="made by a test", origin="tests", licence="Apache-2.0")],
            "data_hash": "feed",
            "metrics": {"accuracy": Estimate(0.9, 0.8, 0.95, 40)},
            "versions": {"python": "3"},
            "threads": 1,
        }
        return write_bundle(directory, **(arguments | changes))

    return write


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory, write_tiny_bundle) -> Bundle:
    """A bundle of classes blue, green and red for 32 px images. Shared: tests that damage it copy it first."""
    return write_tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="session")
def colour_folder(tmp_path_factory) -> Path:
    """Two images each of red, green and blue, in class folders."""
    from PIL import Image

    root = tmp_path_factory.mktemp("colours")
    for name, colour in (("red", (220, 30, 20)), ("green", (10, 200, 40)), ("blue", (30, 20, 230))):
        (root / name).mkdir()
        for number in (2, 10):
            Image.new("RGB", (40, 30 + number), colour).save(root / name / f"{name}{number}.png")
    return root


@pytest.fixture(scope="session")
def shapes_folder() -> Callable[..., Path]:
    """Draws ``root/{disc,square}/<kind>-<number>.png``: bright shapes on noise, each another image."""
    from PIL import Image, ImageDraw

    def draw(root: Path, count: int = 24, seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        for kind in ("disc", "square"):
            (root / kind).mkdir(parents=True)
            for number in range(count):
                image = Image.fromarray(rng.integers(0, 90, (64, 64, 3), dtype=np.uint8))
                left, top, side = (int(value) for value in rng.integers((4, 4, 18), (26, 26, 34)))
                colour = tuple(int(value) for value in rng.integers(120, 256, 3))
                pen = ImageDraw.Draw(image)
                shape = pen.ellipse if kind == "disc" else pen.rectangle
                shape([left, top, left + side, top + side], fill=colour)
                image.save(root / kind / f"{kind}-{number}.png")
        return root

    return draw
