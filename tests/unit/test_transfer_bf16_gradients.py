"""Gradients in bfloat16 against torch's in float32; the forward pass is torch's own."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from svertka.architectures import build
from svertka.config import FineTune
from svertka.training import bf16_gradients
from svertka.training.bf16_gradients import Bf16Gradients, convolve
from svertka.training.fold_batchnorm import FoldedNorms

needs_bf16 = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this processor has no bfloat16 instructions"
)

# channels in and out, kernel, stride, padding, dilation
ROUNDED = {
    "3 × 3": (16, 24, 3, 1, 1, 1),
    "strided": (16, 24, 3, 2, 1, 1),
    "uneven": (16, 24, (3, 5), (2, 1), (0, 2), 1),
    "dilated": (16, 24, 3, 1, 2, 2),
    "pointwise": (96, 64, 1, 1, 0, 1),
}


@needs_bf16
@pytest.mark.parametrize("geometry", ROUNDED.values(), ids=ROUNDED)
@pytest.mark.parametrize("biased", [True, False], ids=["bias", "no bias"])
def test_gradients_are_torch_s_but_for_rounding(geometry, biased):
    inputs, outputs, kernel, *sizes = geometry
    torch.manual_seed(0)
    layer = nn.Conv2d(inputs, outputs, kernel, *sizes, bias=biased)
    x = torch.randn(3, inputs, 11, 10).contiguous(memory_format=torch.channels_last).requires_grad_()
    leaves = [x, *layer.parameters()]
    expected = layer(x)
    gradient = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, leaves, gradient)
    with Bf16Gradients():
        output = layer(x)
    assert torch.equal(output, expected)
    found = torch.autograd.grad(output, leaves, gradient)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == torch.float32
        assert 1e-6 < (one - other).norm() / other.norm() < 0.01


@pytest.mark.parametrize(
    "arguments",
    [
        {"weight": (8, 1, 5, 5), "groups": 8, "padding": 2},
        {"weight": (8, 8, 1, 1)},
        {"weight": (32, 8, 5, 5), "padding": "same"},
    ],
    ids=["depthwise", "few channels", "padding by name"],
)
def test_what_rounding_would_not_save_keeps_its_gradients(arguments):
    torch.manual_seed(0)
    shape, *rest = arguments.values()
    rest = dict(zip(list(arguments)[1:], rest, strict=True))
    x, weight = torch.randn(2, 8, 9, 9, requires_grad=True), torch.randn(shape, requires_grad=True)
    wanted = torch.autograd.grad(F.conv2d(x, weight, **rest).square().sum(), (x, weight))
    found = torch.autograd.grad(convolve(x, weight, **rest).square().sum(), (x, weight))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


@needs_bf16
def test_only_gradients_that_are_asked_for():
    x, weight = torch.randn(2, 64, 6, 6), torch.randn(64, 64, 3, 3, requires_grad=True)
    convolve(x, weight).sum().backward()
    assert weight.grad is not None and x.grad is None


@needs_bf16
@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
def test_network_with_folded_norms(name):
    torch.manual_seed(0)
    network = build(name, num_classes=4).eval()
    x, gradients = torch.randn(4, 3, 64, 64), []
    for rounded in (False, True):
        network.zero_grad()
        with FoldedNorms(network, 64, bf16_gradients=rounded):
            output = network(x)
        output.square().sum().backward()
        gradients.append([output.detach(), *(parameter.grad for parameter in network.parameters())])
    (output, *wanted), (again, *found) = gradients
    assert torch.equal(output, again)
    assert not all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))
    for one, other in zip(found, wanted, strict=True):
        assert (one - other).norm() <= 0.05 * other.norm()


def test_auto_is_bfloat16_where_matrices_are_multiplied(monkeypatch):
    assert FineTune().precision == "auto"
    for units in (True, False):
        monkeypatch.setattr(bf16_gradients, "has_matrix_units", lambda units=units: units)
        assert bf16_gradients.wants_bf16(FineTune()) is units
        assert isinstance(bf16_gradients.quick_gradients(), Bf16Gradients) is units
    assert bf16_gradients.wants_bf16(FineTune(precision="bf16"))
