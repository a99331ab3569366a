"""Convolutions in bfloat16 against torch's in float32, of the same rounded numbers."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from svertka.architectures import build
from svertka.transfer import step
from svertka.transfer.bf16_conv import convolve
from svertka.transfer.frozen_norm import FoldedNorms

pytestmark = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this processor has no bfloat16 instructions"
)

# channels in and out, groups, kernel, stride, padding, dilation, side
GEOMETRIES = {
    "dense": (6, 8, 1, 3, 1, 1, 1, 9),
    "dense strided": (6, 8, 1, 3, 2, 1, 1, 9),
    "pointwise": (6, 8, 1, 1, 1, 0, 1, 9),
    "grouped": (8, 8, 2, 3, 1, 1, 1, 9),
    "depthwise": (8, 8, 8, 3, 1, 1, 1, 9),
    "depthwise strided": (8, 8, 8, 3, 2, 1, 1, 10),
    "depthwise strided, odd": (8, 8, 8, 3, 2, 1, 1, 9),
    "depthwise of padded input": (8, 8, 8, 3, 2, 0, 1, 11),
    "depthwise 5": (8, 8, 8, 5, 1, 2, 1, 9),
    "depthwise 5 strided": (8, 8, 8, 5, 2, 2, 1, 10),
    "depthwise 5 strided by 3": (8, 8, 8, 5, 3, 1, 1, 11),
    "depthwise 7": (8, 8, 8, 7, 1, 3, 1, 9),
    "depthwise, much padding": (8, 8, 8, 3, 1, 2, 1, 9),
    "depthwise, padding beyond the kernel": (8, 8, 8, 3, 1, 3, 1, 9),
    "depthwise dilated": (8, 8, 8, 3, 1, 2, 2, 9),
    "depthwise, even kernel": (8, 8, 8, 4, 2, 1, 1, 10),
    "two outputs a channel": (4, 8, 4, 3, 1, 1, 1, 9),
}


@pytest.mark.parametrize("limit", [None, math.inf, 6.0], ids=["linear", "relu", "relu6"])
@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_output_and_gradients(geometry, limit):
    inputs, outputs, groups, kernel, stride, padding, dilation, side = geometry
    torch.manual_seed(0)

    def rounded(*shape):
        return torch.randn(shape).bfloat16().float()

    x = rounded(3, inputs, side, side).contiguous(memory_format=torch.channels_last)
    weight, bias = rounded(outputs, inputs // groups, kernel, kernel), 3 * rounded(outputs)
    sizes = (stride, padding, dilation, groups)
    leaves = [tensor.requires_grad_() for tensor in (x, weight, bias)]
    expected = F.conv2d(*leaves, *sizes)
    expected = {None: lambda y: y, math.inf: F.relu, 6.0: F.relu6}[limit](expected)
    gradient = rounded(*expected.shape)
    if limit is not None:  # rounding decides on which side of a cut the nearest numbers lie
        plain = F.conv2d(*leaves, *sizes).detach()
        gradient[(plain.abs() < 0.1) | ((plain - 6).abs() < 0.1)] = 0
    wanted = torch.autograd.grad(expected, leaves, gradient)
    output = convolve(*leaves, *sizes, limit=limit)
    assert output.dtype == torch.bfloat16
    found = torch.autograd.grad(output, leaves, gradient.bfloat16())
    for one, other in zip((output, *found), (expected, *wanted), strict=True):
        scale = other.detach().abs().max()
        torch.testing.assert_close(one.float() / scale, other / scale, rtol=0, atol=0.01)


def test_only_gradients_that_are_asked_for():
    x, weight = torch.randn(2, 4, 6, 6), torch.randn(4, 1, 5, 5, requires_grad=True)
    convolve(x, weight, None, 1, 2, 1, 4).float().sum().backward()
    assert weight.grad is not None and x.grad is None


class Readers(nn.Module):
    """BatchNorm that is read by a ReLU alone, by a ReLU and something else, by a sum, and by another cut."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(4 if index else 3, 4, 3, padding=1, bias=False) for index in range(5))
        self.norms = nn.ModuleList(nn.BatchNorm2d(4).eval() for _ in range(5))

    def forward(self, x):
        x = F.relu(self.norms[0](self.convs[0](x)))
        y = self.norms[1](self.convs[1](x))
        x = F.relu(y) + y
        x = self.norms[2](self.convs[2](x)) + x
        x = F.hardtanh(self.norms[3](self.convs[3](x)), -1, 1)
        return F.relu6(self.norms[4](self.convs[4](x)), inplace=True).mean((2, 3))


@pytest.mark.parametrize(
    ("make", "cuts"),
    [
        (Readers, 2),
        (lambda: build("resnet18", num_classes=4), 9),
        (lambda: build("efficientnet_lite0", num_classes=4), 33),
    ],
    ids=["readers", "resnet18", "efficientnet_lite0"],
)
def test_network_in_bfloat16(make, cuts):
    torch.manual_seed(0)
    network = make().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.3)
            module.running_var.uniform_(0.5, 2)
    folded = FoldedNorms(network, 64)
    assert len(folded._limits) == cuts
    x = torch.randn(4, 3, 64, 64)
    expected = network(x)
    expected.square().sum().backward()
    wanted = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}
    network.zero_grad()
    with folded, torch.autocast("cpu", torch.bfloat16):
        output = network(x)
    output.float().square().sum().backward()
    torch.testing.assert_close(output.float(), expected, rtol=0, atol=0.05 * expected.abs().max().item())
    for name, parameter in network.named_parameters():
        off = (parameter.grad - wanted[name]).norm() / wanted[name].norm()
        assert off < 0.2, name


def test_auto_is_bfloat16_where_matrices_are_multiplied(monkeypatch):
    settings = step.FineTune()
    assert settings.precision == "auto"
    for units in (True, False):
        monkeypatch.setattr(step, "has_matrix_units", lambda units=units: units)
        assert step.computes_in_bf16(settings) is units
