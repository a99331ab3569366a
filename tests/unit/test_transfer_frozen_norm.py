"""Folding frozen BatchNorm changes no output and no gradient, whatever the network looks like."""

import pytest
import timm
import torch
import torchvision
from torch import nn

from svertka.training.fold_batchnorm import FoldedNorms


class Awkward(nn.Module):
    """A convolution called twice, one with a bias, one read twice, and BatchNorm that follows no convolution."""

    def __init__(self):
        super().__init__()
        self.twice = nn.Conv2d(3, 3, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(5))
        self.biased = nn.Conv2d(3, 3, 3, padding=1, groups=3)
        self.plain = nn.BatchNorm2d(3, affine=False)
        self.read_twice = nn.Conv2d(3, 3, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.norms[1](self.twice(self.relu(self.norms[0](self.twice(x)))))
        x = self.relu(self.plain(self.biased(x)))
        y = self.read_twice(x)
        return (self.norms[2](y) + self.norms[3](y) + self.norms[4](x + y)).mean((2, 3))


NETWORKS = {
    "awkward": (Awkward, 1),
    "resnet": (lambda: torchvision.models.resnet18(num_classes=5), 20),
    "densenet": (lambda: torchvision.models.DenseNet(8, (2, 2), 16, num_classes=5), 5),
    "timm": (lambda: timm.create_model("tf_efficientnet_lite0", num_classes=5), 49),
}


@pytest.fixture(autouse=True)
def double_precision():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize(("build", "pairs"), NETWORKS.values(), ids=NETWORKS)
def test_same_output_and_gradients(build, pairs):
    torch.manual_seed(1)
    model = build().train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
        if isinstance(module, nn.Dropout):
            module.eval()
    folded = FoldedNorms(model, 32)
    assert len(folded) == pairs
    assert model.training
    x = torch.randn(2, 3, 32, 32)
    expected = model(x)
    expected.square().sum().backward()
    gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    with folded:
        output = model(x)
    output.square().sum().backward()
    torch.testing.assert_close(output, expected)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-6, atol=1e-6 * expected.abs().max().item())
