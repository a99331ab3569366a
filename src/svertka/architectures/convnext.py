"""ConvNeXt-T, the convolutional answer to transformers. Imports torch.

Liu, Mao, Wu, Feichtenhofer, Darrell, Xie: A ConvNet for the 2020s, CVPR 2022 (arXiv 2201.03545), section 2, figure 4
and table 9.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from svertka.architectures.base import Network

# Table 9 of the paper: channels and blocks of the four stages.
WIDTHS, BLOCKS = (96, 192, 384, 768), (3, 3, 9, 3)


class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels of each pixel of a map [N, C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W], same shape."""
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016, arXiv 1603.09382): in training, leaves out an image's whole branch."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W], same shape."""
        if not self.training or self.probability == 0:
            return x
        keep = 1 - self.probability
        return x * (x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(keep) / keep)


class ConvNeXtBlock(nn.Module):
    """Depthwise 7×7, LayerNorm, 1×1 to four times the channels, GELU, 1×1 back, scale, and a shortcut (figure 4).

    ``drop_path`` is the probability of leaving it out in training.
    """

    def __init__(self, channels: int, drop_path: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand = nn.Linear(channels, 4 * channels)  # a 1×1 convolution, on channels that stand last
        self.gelu = nn.GELU()
        self.project = nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels, 1, 1), 1e-6))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W], same shape."""
        y: Tensor = self.depthwise(x).permute(0, 2, 3, 1)
        y = self.expand(self.norm(y))
        y = self.project(self.gelu(y)).permute(0, 3, 1, 2)
        y = self.drop_path(self.scale * y)
        return x + y


class ConvNeXt(Network):
    """Table 9 of the paper; see ``convnext_tiny``."""

    def __init__(self, num_classes: int, in_channels: int, small_images: bool, drop_path: float) -> None:
        patch = 2 if small_images else 4
        super().__init__(in_channels, smallest_px=8 * patch)
        rates = iter(torch.linspace(0, drop_path, sum(BLOCKS), device="cpu").tolist())
        self.stem = nn.Sequential(nn.Conv2d(in_channels, WIDTHS[0], patch, stride=patch), LayerNorm2d(WIDTHS[0], 1e-6))
        self.stage1, self.stage2, self.stage3, self.stage4 = (
            nn.Sequential(*(ConvNeXtBlock(width, next(rates)) for _ in range(count)))
            for width, count in zip(WIDTHS, BLOCKS, strict=True)
        )
        self.down1, self.down2, self.down3 = (
            nn.Sequential(LayerNorm2d(inputs, 1e-6), nn.Conv2d(inputs, outputs, 2, stride=2))
            for inputs, outputs in pairwise(WIDTHS)
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.norm = LayerNorm2d(WIDTHS[-1], 1e-6)
        self.classifier = nn.Linear(WIDTHS[-1], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] to logits [N, K]."""
        x = self.stem(x)
        x = self.down1(self.stage1(x))
        x = self.down2(self.stage2(x))
        x = self.down3(self.stage3(x))
        x = self.stage4(x)
        x = self.norm(self.avgpool(x)).flatten(1)
        x = self.classifier(x)
        return x


def convnext_tiny(
    num_classes: int = 1000, in_channels: int = 3, small_images: bool = False, *, drop_path: float = 0.1
) -> ConvNeXt:
    """ConvNeXt-T: 28,589,128 parameters.

    Deviation: none in the network. For small images (16 to 64 px) the patches of the stem have 2 px instead of 4.
    """
    return ConvNeXt(num_classes, in_channels, small_images, drop_path)
