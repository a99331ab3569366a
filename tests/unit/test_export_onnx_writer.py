"""The exporter against torch, on a small network with what makes exporting hard."""

import signal

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from svertka.backbones.feature_net import FeatureNet
from svertka.backbones.onnx_export import export_features
from svertka.backbones.tensors import normalise, to_input
from svertka.errors import BundleError
from svertka.inference.backends import ENGINES, open_graph
from svertka.inference.onnxruntime_session import FEATURES, open_session, run_in_batches
from svertka.schema import Preprocess
from svertka.util import runtime
from svertka.util.runtime import interrupts_wait

PREPROCESS = Preprocess(size_px=33, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))


class SamePadding(nn.Conv2d):
    """Pads by the size of its input, as TensorFlow's networks do."""

    def forward(self, x):
        pads = [max(((n + 1) // 2 - 1) * 2 + 3 - n, 0) for n in x.shape[2:]]
        top, left = (pad // 2 for pad in pads)
        padded = functional.pad(x, (left, pads[1] - left, top, pads[0] - top))
        return functional.conv2d(padded, self.weight, self.bias, stride=2)


class Hooked(nn.Module):
    """Features are the last map's mean and, through a forward hook, the first block's."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Sequential(SamePadding(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU())
        self.second = nn.Sequential(SamePadding(6, 8, 3), nn.BatchNorm2d(8), nn.ReLU6(), nn.Dropout(0.5))
        self.first.register_forward_hook(lambda module, args, output: self.seen.append(output.mean((2, 3))))
        self.seen = []
        for part in self.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_()
                part.running_var.uniform_(0.5, 2)

    def forward(self, x):
        self.seen.clear()
        x = self.second(self.first(x))
        # a channel shuffle reshapes by the batch's own size
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return torch.cat([*self.seen, x.mean((2, 3))], dim=1)


@pytest.fixture(scope="module")
def network():
    return Hooked().eval()


@pytest.fixture(scope="module")
def graph(network):
    return export_features(network, PREPROCESS)


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_graph_gives_torchs_features_at_any_batch_size(network, graph, n):
    images = np.random.default_rng(n).integers(0, 256, (n, 33, 33, 3), dtype=np.uint8)
    (features,) = run_in_batches(open_session(graph.SerializeToString(), 1), images, [FEATURES])
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (PREPROCESS.mean, PREPROCESS.std))
    with torch.no_grad():
        expected = network((torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - mean) / std).numpy()
    assert features.shape == (n, 14)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


def test_graph_is_plain(graph):
    assert [(opset.domain, opset.version) for opset in graph.opset_import] == [("", 17)]
    assert [value.name for value in graph.graph.input] == ["image"]
    kinds = {node.op_type for node in graph.graph.node}
    assert not kinds & {"Ceil", "ConstantOfShape", "Slice", "BatchNormalization", "Dropout"}, kinds


def test_network_comes_back_in_the_mode_that_it_had():
    network = Hooked().train()
    network.first.eval()
    export_features(network, PREPROCESS)
    assert [network.training, network.first.training, network.first[1].training] == [True, False, False]
    assert network.second[1].training


class Moody(nn.Module):
    """Behaves differently under the exporter: what is traced is not what runs."""

    def forward(self, x):
        return x.mean((2, 3)) * (2.0 if torch.jit.is_tracing() else 1.0)


class FixedBatch(nn.Module):
    def forward(self, x):
        return x.reshape(2, -1) if torch.jit.is_tracing() else x.flatten(1)


class Maps(nn.Module):
    def forward(self, x):
        return x[:, :1]


def test_a_network_that_looks_twice_stores_its_weights_once(network, graph):
    def looks(x):
        return torch.stack([network(x), network(x.flip(3))]).mean(0)

    twice = nn.Module()
    twice.network, twice.forward = network, looks
    model = export_features(twice, PREPROCESS)
    assert len(model.SerializeToString()) < 1.2 * len(graph.SerializeToString()) + 20_000
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 4
    assert len({node.input[1] for node in convolutions}) == 2


def test_a_graph_that_differs_from_torch_is_refused():
    with pytest.raises(BundleError, match=r"differs from torch by 1 of the largest feature at batch size 1"):
        export_features(Moody(), PREPROCESS)


def test_a_graph_bound_to_one_batch_size_is_refused():
    with pytest.raises(BundleError, match=r"gives \[2, 6534\] as 'features' for 4 images; expected 4 rows"):
        export_features(FixedBatch(), PREPROCESS)


def test_features_that_are_maps_are_refused():
    with pytest.raises(BundleError, match=r"torch \[1, 1, 33, 33\]; expected \[N, D\]"):
        export_features(Maps(), PREPROCESS)


def test_means_over_large_maps_lose_no_digits():
    """ONNX Runtime's own global pooling is off by 2e-5 here: a sharp head turns that into another probability."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU6())
    net = FeatureNet(body, ("1",)).eval()
    preprocess = Preprocess(size_px=224, resize="squash", interpolation="bilinear")
    session = open_session(export_features(net, preprocess).SerializeToString(), threads=1)
    images = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    (features,) = run_in_batches(session, images, [FEATURES])
    with torch.no_grad():
        exact = net.double()(normalise(torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255, preprocess)).numpy()
    assert np.abs(features - exact).max() < 1e-6 * np.abs(exact).max()


def test_ctrl_c_during_the_export_takes_effect_after_it():
    """Inside, the exporter's C++ would abort the process or swallow it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts_wait():
        signal.raise_signal(signal.SIGINT)
        done.append("the work")
    assert done == ["the work"]
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


def test_ctrl_c_while_torch_is_imported_takes_effect_after_it(monkeypatch):
    """Its C++ aborts the process when it is interrupted while it starts."""
    done = []

    def import_slowly(name):
        signal.raise_signal(signal.SIGINT)
        done.append(name)

    monkeypatch.setattr(runtime, "import_module", import_slowly)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        runtime.import_torch()
    assert done == ["torch"]
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


@pytest.mark.parametrize(
    ("size_px", "grid"), [(33, 7), (28, 7), (16, 20), (33, (5, None)), (30, (5, 7))], ids=["uneven", "even", *"123"]
)
def test_pooling_to_a_grid_that_does_not_divide_the_map(size_px, grid):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(grid), nn.Flatten())
    preprocess = Preprocess(size_px=size_px)
    graph = export_features(network, preprocess).SerializeToString()
    images = np.random.default_rng(0).integers(0, 256, (3, size_px, size_px, 3), np.uint8)
    expected = network(normalise(to_input(images), preprocess)).detach().numpy()
    for engine in ENGINES:
        np.testing.assert_allclose(open_graph(graph, engine)(images, [FEATURES])[0], expected, rtol=1e-4, atol=1e-5)


def test_an_operator_that_onnx_lacks_is_one_line():
    class Bessel(nn.Module):
        def forward(self, x):
            return torch.special.bessel_j0(x).flatten(1)

    with pytest.raises(
        BundleError, match=r"^ONNX cannot express this network at 33 px: .*bessel_j0.*Choose another"
    ) as e:
        export_features(Bessel(), PREPROCESS)
    assert "\n" not in str(e.value)
