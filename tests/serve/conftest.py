"""Bundles and servers of these tests."""

from pathlib import Path

import numpy as np
import pytest
from serving import running

import hostile
from svertka.bundle.bundle import write_bundle
from svertka.bundle.classifier_graph import attach_head
from svertka.features.linear_head import LinearHead
from svertka.inference.backends import ONNX, open_graph
from svertka.schema import Conformal, Estimate, Preprocess, Source


def write_conv_bundle(directory: Path, seed: int = 1) -> Path:
    """A bundle with a convolution: it has class activation maps, and thresholds."""
    rng = np.random.default_rng(seed)
    weight_KD = rng.normal(size=(3, 4)).astype(np.float32)
    head = LinearHead(np.ones(4, np.float32), np.ones(4, np.float32), weight_KD, np.zeros(3, np.float32))
    graph = attach_head(hostile.features_graph(), head, 2.0)
    images = rng.integers(0, 256, (5, hostile.SIDE, hostile.SIDE, 3), dtype=np.uint8)
    (reference_NK,) = open_graph(graph.SerializeToString(), ONNX, 1)(images, ["probabilities"])
    write_bundle(
        directory,
        graph=graph,
        weights={"head.weight": weight_KD},
        class_names=hostile.CLASSES,
        preprocess=Preprocess(size_px=hostile.SIDE, interpolation="bilinear"),
        temperature=2.0,
        check_images_NSSC=images,
        reference_NK=reference_NK,
        training_hashes=[],
        sources=[Source(name="a test", origin="tests", licence="Apache-2.0")],
        metrics={"accuracy": Estimate(0.9, 0.8, 0.95, 40)},
        versions={"python": "3"},
        conformal=Conformal(target=0.9, thresholds=(0.9, 0.6, 0.9), counts=(9, 9, 9)),
        threads=1,
    )
    return directory


@pytest.fixture(scope="session")
def conv_bundle(tmp_path_factory) -> Path:
    return write_conv_bundle(tmp_path_factory.mktemp("conv") / "bundle")


@pytest.fixture(scope="session")
def other_bundle(tmp_path_factory) -> Path:
    """The same network with another head."""
    return write_conv_bundle(tmp_path_factory.mktemp("other") / "bundle", seed=2)


@pytest.fixture(scope="session")
def server(tiny_bundle, conv_bundle):
    """A server that tests share; none of them changes it."""
    with running({"tiny": tiny_bundle.directory, "conv": conv_bundle}) as found:
        yield found
