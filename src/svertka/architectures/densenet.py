"""DenseNet-121 to DenseNet-201. Imports torch.

Huang, Liu, van der Maaten, Weinberger: Densely Connected Convolutional Networks, CVPR 2017 (arXiv 1608.06993), section
3 and table 1; memory-saving recomputation after Pleiss et al. 2017 (arXiv 1707.06990).
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from svertka.architectures.base import Network, he_initialise, of_depth

# Table 1 of the paper: layers in each of the four dense blocks; and growth rate and maps of the stem.
LAYERS = {121: (6, 12, 24, 16), 161: (6, 12, 36, 24), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}
GROWTH = {121: (32, 64), 161: (48, 96), 169: (32, 64), 201: (32, 64)}


class DenseLayer(nn.Module):
    """BN, ReLU, 1×1, BN, ReLU, 3×3: from all maps before it to ``growth`` (k of the paper) new ones (DenseNet-B).

    With ``recompute`` no joined maps are kept for the backward pass; it joins and normalises once more.
    """

    def __init__(self, inputs: int, growth: int, recompute: bool) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)
        self.recompute = recompute

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps [N, C_i, H, W] to [N, k, H, W]."""
        if self.recompute and self.training and torch.is_grad_enabled():
            x: Tensor = checkpoint(self.bottleneck, *maps, use_reentrant=False, context_fn=self._contexts)
        else:
            x = self.bottleneck(*maps)
        x = self.conv2(self.relu2(self.norm2(x)))
        return x

    def bottleneck(self, *maps: Tensor) -> Tensor:
        """Maps [N, C_i, H, W] to [N, 4k, H, W]."""
        x: Tensor = self.conv1(self.relu1(self.norm1(torch.cat(maps, dim=1))))
        return x

    def _contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _counting_once(self.norm1)


@contextmanager
def _counting_once(norm: nn.BatchNorm2d) -> Iterator[None]:
    """While it is on, the batch that BatchNorm sees again doesn't enter its running statistics again."""
    counter = norm.num_batches_tracked
    assert counter is not None
    momentum, seen = norm.momentum, counter.clone()
    norm.momentum = 0.0
    try:
        yield
    finally:
        norm.momentum = momentum
        counter.copy_(seen)


class DenseBlock(nn.ModuleDict):
    """Layers that each see the maps of all before them; all maps go out, joined (section 3, figure 1)."""

    def __init__(self, inputs: int, layers: int, growth: int, recompute: bool) -> None:
        super().__init__({f"layer{i + 1}": DenseLayer(inputs + i * growth, growth, recompute) for i in range(layers)})

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C + layers × k, H, W]."""
        maps = [x]
        for layer in self.values():
            maps.append(layer(maps))
        return torch.cat(maps, dim=1)


class Transition(nn.Module):
    """BN, ReLU, 1×1 to half the channels (θ = 0.5, DenseNet-C), 2×2 average."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(inputs, inputs // 2, 1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C/2, H/2, W/2]."""
        x = self.pool(self.conv(self.relu(self.norm(x))))
        return x


class DenseNet(Network):
    """Table 1 of the paper; see ``densenet``."""

    def __init__(self, depth: int, num_classes: int, in_channels: int, small_images: bool, recompute: bool) -> None:
        super().__init__(in_channels, smallest_px=8 if small_images else 29)
        first, second, third, fourth = of_depth(LAYERS, depth, "DenseNet")
        growth, stem = GROWTH[depth]
        c1 = stem + first * growth
        c2 = c1 // 2 + second * growth
        c3 = c2 // 2 + third * growth
        c4 = c3 // 2 + fourth * growth
        kernel, stride = (3, 1) if small_images else (7, 2)
        self.conv0 = nn.Conv2d(in_channels, stem, kernel, stride, padding=kernel // 2, bias=False)
        self.norm0 = nn.BatchNorm2d(stem)
        self.relu0 = nn.ReLU(inplace=True)
        self.pool0 = nn.Identity() if small_images else nn.MaxPool2d(3, stride=2, padding=1)
        self.dense1, self.transition1 = DenseBlock(stem, first, growth, recompute), Transition(c1)
        self.dense2, self.transition2 = DenseBlock(c1 // 2, second, growth, recompute), Transition(c2)
        self.dense3, self.transition3 = DenseBlock(c2 // 2, third, growth, recompute), Transition(c3)
        self.dense4 = DenseBlock(c3 // 2, fourth, growth, recompute)
        self.norm5 = nn.BatchNorm2d(c4)
        self.relu5 = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(c4, num_classes)
        he_initialise(self, mode="fan_in")

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] to logits [N, K]."""
        x = self.relu0(self.norm0(self.conv0(x)))
        x = self.pool0(x)
        x = self.transition1(self.dense1(x))
        x = self.transition2(self.dense2(x))
        x = self.transition3(self.dense3(x))
        x = self.dense4(x)
        x = self.relu5(self.norm5(x))
        x = self.avgpool(x).flatten(1)
        x = self.classifier(x)
        return x


def densenet(
    depth: int, num_classes: int = 1000, in_channels: int = 3, small_images: bool = False, *, recompute: bool = False
) -> DenseNet:
    """DenseNet-121, 161, 169 or 201 (table 1: bottlenecks and compression, DenseNet-BC).

    ``recompute`` trades a fifth of training time for most of the memory: joined maps are made once more in the
    backward pass. Deviation: DenseNet-161 (k = 48) is not in the paper's table; its authors published it later. For
    small images (8 to 64 px) the stem is a 3×3 convolution without stride and without pooling.
    """
    return DenseNet(depth, num_classes, in_channels, small_images, recompute)
