import numpy as np
import pytest
import torch
from torch import nn

from svertka.architectures.vgg import vgg_block
from svertka.backbones.onnx_export import export_features
from svertka.config import RunConfig
from svertka.features.extractor import open_extractor
from svertka.inference.backends import ENGINES, open_graph, suitable
from svertka.inference.onnxruntime_session import FEATURES
from svertka.schema import Preprocess


def graph_of(*blocks: nn.Module, size_px: int) -> bytes:
    torch.manual_seed(0)
    network = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return export_features(network, Preprocess(size_px=size_px)).SerializeToString()


def strided(channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, out_channels, 3, stride=2, padding=1), nn.ReLU())


NETWORKS = {
    "3x3 on large maps": ((vgg_block(3, 64, 2), vgg_block(64, 128, 2), vgg_block(128, 256, 2)), 112, "numpy"),
    "the same on small maps": ((vgg_block(3, 64, 2), vgg_block(64, 128, 2), vgg_block(128, 256, 2)), 16, "onnx"),
    "steps of 2": ((strided(3, 64), strided(64, 128), strided(128, 256)), 112, "onnx"),
    "no convolution": ((), 32, "onnx"),
    "an operator that the twin doesn't know": ((vgg_block(3, 64, 2), nn.PixelShuffle(2)), 112, "onnx"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_twin_runs_what_winograd_saves_most_of(name):
    blocks, size_px, expected = NETWORKS[name]
    assert suitable(graph_of(*blocks, size_px=size_px), size_px) == expected


def test_both_engines_give_the_same_for_any_number_of_images():
    graph = graph_of(vgg_block(3, 16, 1), vgg_block(16, 32, 1), size_px=32)
    for n in (0, 1, 4, 7):
        images = np.random.default_rng(n).integers(0, 256, (n, 32, 32, 3), np.uint8)
        (one,), (other,) = (open_graph(graph, engine, 2)(images, [FEATURES]) for engine in ENGINES)
        assert one.shape == other.shape == (n, 32)
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_features_of_a_backbone_come_from_the_engine_that_suits_it(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), np.uint8)
    engines = {
        name: open_extractor(
            RunConfig(data="-", backbone=name, weights="none", size_px=128, strategy="probe"), tmp_path
        )
        for name in ("vgg11_bn", "resnet18")
    }
    assert {name: extractor.runs_on for name, extractor in engines.items()} == {"vgg11_bn": "numpy", "resnet18": "onnx"}
    vgg = engines["vgg11_bn"]
    expected = open_graph((vgg.folder / "features.onnx").read_bytes(), "onnx")(images, [FEATURES])[0]
    np.testing.assert_allclose(vgg(images), expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())
