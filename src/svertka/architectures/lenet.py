"""LeNet-5 as published in 1998, and as it is usually taught. Imports torch.

LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition, Proceedings of the IEEE 86(11),
1998 (http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf), section II.B and figure 2.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from svertka.architectures.base import Network
from svertka.engine.lenet import C3_TABLE, digit_codes


class ScaledTanh(nn.Module):
    """``1.7159 tanh(2x/3)``: ±1 maps to ±1, where the curve bends most (appendix A of the paper)."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return 1.7159 * torch.tanh(x * (2 / 3))


class Subsampling(nn.Module):
    """Adds up 2×2 neighbours, then one trained coefficient and bias a map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.full((channels, 1, 1), 0.25))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C, H/2, W/2]."""
        return 4 * F.avg_pool2d(x, 2) * self.coefficient + self.bias


class TableConv2d(nn.Module):
    """A convolution in which each output map sees only the input maps that its row of a table names."""

    outputs: Tensor
    inputs: Tensor

    def __init__(self, table: Sequence[Sequence[int]], in_channels: int, kernel_size: int) -> None:
        super().__init__()
        pairs = [(output, input_) for output, inputs in enumerate(table) for input_ in inputs]
        self.shape = (len(table), in_channels, kernel_size, kernel_size)
        self.kernels = nn.Parameter(torch.empty(len(pairs), kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(len(table)))
        self.register_buffer("outputs", torch.tensor([pair[0] for pair in pairs]), persistent=False)
        self.register_buffer("inputs", torch.tensor([pair[1] for pair in pairs]), persistent=False)
        self.fan_in = [len(inputs) * kernel_size**2 for inputs in table]

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, O, H - K + 1, W - K + 1]."""
        weight = self.kernels.new_zeros(self.shape).index_put((self.outputs, self.inputs), self.kernels)
        return F.conv2d(x, weight, self.bias)


class RadialBasis(nn.Module):
    """The negated squared distance to each class's fixed code (paper, equation 7): the largest wins, as with logits."""

    codes: Tensor

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes)

    def forward(self, x: Tensor) -> Tensor:
        """[N, D] to [N, K]."""
        return -(x[:, None] - self.codes).square().sum(dim=2)


class LeNet5(Network):
    """Figure 2 of the paper; see ``lenet5``."""

    def __init__(
        self,
        c3: nn.Module,
        pools: tuple[nn.Module, nn.Module],
        squash: type[nn.Module],
        output: nn.Module,
        in_channels: int,
    ) -> None:
        super().__init__(in_channels, smallest_px=16)
        self.c1 = nn.Sequential(nn.Conv2d(in_channels, 6, 5), squash())
        self.s2 = pools[0]
        self.c3 = nn.Sequential(c3, squash())
        self.s4 = pools[1]
        self.fit = nn.AdaptiveAvgPool2d(5)  # changes nothing at 32 px
        self.c5 = nn.Sequential(nn.Conv2d(16, 120, 5), squash())
        self.f6 = nn.Sequential(nn.Linear(120, 84), squash())
        self.output = output

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] to logits [N, K]."""
        x = self.c1(x)
        x = self.s2(x)
        x = self.c3(x)
        x = self.s4(x)
        x = self.fit(x)
        x = self.c5(x).flatten(1)
        x = self.f6(x)
        x = self.output(x)
        return x


def lenet5(num_classes: int = 10, in_channels: int = 1) -> LeNet5:
    """LeNet-5 as it is usually taught: 61,706 parameters.

    Deviations from the paper: C3 sees all maps of S2 (2,416 parameters instead of 1,516); S2 and S4 are plain averages
    without parameters and are not squashed; plain tanh; a trained linear output (850 parameters). At other sizes than
    32 px the maps of S4 are averaged to 5×5.
    """
    pools = (nn.AvgPool2d(2), nn.AvgPool2d(2))
    return LeNet5(nn.Conv2d(6, 16, 5), pools, nn.Tanh, nn.Linear(84, num_classes), in_channels)


def lenet5_1998(num_classes: int = 10, in_channels: int = 1) -> LeNet5:
    """LeNet-5 as published: 60,000 trained parameters; 32 px, background at -0.1 and ink at 1.175.

    Connection table (table I), trained subsampling, scaled tanh behind every layer up to F6, and squared distances to
    fixed codes as output. Weights of convolutions and of F6 start uniform in ±2.4 / fan-in (appendix A).

    Deviations: the coefficients of subsampling start at 1/4, so that it averages, and biases as torch starts them; the
    output is negated, so that the largest is best; the digits' pictures (figure 3) are drawn anew; other numbers of
    classes than 10 get random codes of ±1, which section II.B names as the alternative. At other sizes than 32 px the
    maps of S4 are averaged to 5×5.
    """
    pools = (nn.Sequential(Subsampling(6), ScaledTanh()), nn.Sequential(Subsampling(16), ScaledTanh()))
    codes = torch.tensor(digit_codes()) if num_classes == 10 else _random_codes(num_classes)
    network = LeNet5(TableConv2d(C3_TABLE, 6, 5), pools, ScaledTanh, RadialBasis(codes), in_channels)
    _initialise(network)
    return network


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = 2.4 / module.weight[0].numel()
            nn.init.uniform_(module.weight, -bound, bound)
        elif isinstance(module, TableConv2d):
            for kernel, output in zip(
                module.kernels.detach(), (o for o, row in enumerate(C3_TABLE) for _ in row), strict=True
            ):
                kernel.uniform_(-2.4 / module.fan_in[output], 2.4 / module.fan_in[output])


def _random_codes(num_classes: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(0)
    codes = torch.randint(0, 2, (num_classes, 84), generator=generator, device="cpu").float() * 2 - 1
    return codes.to(torch.get_default_device())
