"""Whole networks with random weights: the NumPy twin against torch."""

from functools import cache

import pytest
import torch
import torchvision
from torch import nn

from svertka.inference.numpy_backend import NumpySession
from twin_graphs import exported, relative_error


def randomised(module):
    """Different statistics for every BatchNorm: with those of a new network folding could go wrong unseen."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 1.5)
            part.weight.data.uniform_(0.5, 1.5)
            part.bias.data.normal_(0, 0.2)
    return module.eval()


class LeNet(nn.Sequential):
    def __init__(self):
        super().__init__(
            *(nn.Conv2d(3, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)),
            *(nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)),
        )


def vgg11(weights=None):
    """Without the 500 MB of its first linear layer, which a small image doesn't reach anyway."""
    return nn.Sequential(torchvision.models.vgg11_bn(weights=weights).features, nn.Flatten(), nn.Linear(2048, 10))


NETWORKS = {
    "lenet": (LeNet, 32),
    "alexnet": (torchvision.models.alexnet, 224),
    "vgg11": (vgg11, 64),
    "resnet18": (torchvision.models.resnet18, 64),
    "densenet121": (torchvision.models.densenet121, 64),
    "mobilenet_v2": (torchvision.models.mobilenet_v2, 64),
    "mobilenet_v3_small": (torchvision.models.mobilenet_v3_small, 64),
    "efficientnet_b0": (torchvision.models.efficientnet_b0, 64),
    "convnext_tiny": (torchvision.models.convnext_tiny, 64),
}


@cache
def network_and_model(name):
    """The network and what torch's exporter writes for it."""
    build, side = NETWORKS[name]
    torch.manual_seed(0)
    network = randomised(build() if name == "lenet" else build(weights=None))
    return network, exported(network, torch.randn(2, 3, side, side))


@pytest.mark.parametrize("name", NETWORKS)
def test_network(name):
    network, model = network_and_model(name)
    twin = NumpySession.from_onnx(model, threads=2)
    x = torch.randn(3, 3, NETWORKS[name][1], NETWORKS[name][1])
    with torch.inference_mode():
        expected = network(x).numpy()
    assert relative_error(twin(x.numpy()), expected) < 1e-5
    assert relative_error(twin(x[:1].numpy()), expected[:1]) < 1e-5


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "convnext_tiny"])
def test_folding_leaves_little_to_do(name):
    """BatchNorm, activations and shortcuts are part of the convolutions; what remains is known by name."""
    operators = {node.op for node in NumpySession.from_onnx(network_and_model(name)[1]).graph.nodes}
    usual = {"Conv", "MaxPool", "GlobalAveragePool", "Flatten", "Linear"}
    extra = {
        "resnet18": set(),
        "efficientnet_b0": {"Mul"},
        "convnext_tiny": {"Mul", "Add", "Transpose", "LayerNormalization"},
    }
    assert operators <= usual | extra[name]


def test_timm_network_with_padding_worked_out_from_sizes():
    import timm

    network = randomised(timm.create_model("tf_efficientnet_lite0", pretrained=False))
    x = torch.randn(2, 3, 64, 64)
    twin = NumpySession.from_onnx(exported(network, x))
    with torch.inference_mode():
        assert relative_error(twin(x.numpy()), network(x).numpy()) < 1e-5
    assert not {"Pad", "Shape"} & {node.op for node in twin.graph.nodes}


def test_the_newer_exporter_and_weights_beside_the_file(tmp_path):
    network = randomised(torchvision.models.mobilenet_v2(weights=None))
    x = torch.randn(2, 3, 64, 64)
    file = tmp_path / "network.onnx"
    torch.onnx.export(network, (x,), file, dynamo=True, verbose=False, external_data=True)
    assert (tmp_path / "network.onnx.data").exists()
    with torch.inference_mode():
        assert relative_error(NumpySession.from_onnx(file)(x.numpy()), network(x).numpy()) < 1e-5
