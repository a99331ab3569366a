"""ResNet-18 to ResNet-152, the CIFAR family, and both without shortcuts. Imports torch.

He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016 (arXiv 1512.03385), section 3.3 and
table 1; for CIFAR-10 section 4.2.
"""

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from svertka.architectures.base import Network, he_initialise, of_depth
from svertka.errors import ConfigError

# Table 1 of the paper: blocks in each of the four stages.
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

Shortcut = Literal["projection", "padding", "none"]


class BasicBlock(nn.Module):
    """Two 3×3 convolutions, the first with the stride, and a shortcut around them (figure 5, left).

    Without a ``shortcut`` it is a plain block; without ``batch_norm`` convolutions have biases.
    """

    expansion = 1

    def __init__(
        self, inputs: int, width: int, stride: int, shortcut: nn.Module | None, batch_norm: bool = True
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=not batch_norm)
        self.bn1 = make_norm(width, batch_norm)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=not batch_norm)
        self.bn2 = make_norm(width, batch_norm)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, O, H/stride, W/stride]."""
        y: Tensor = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.downsample is not None:
            y += self.downsample(x)
        y = self.relu(y)
        return y


class Bottleneck(nn.Module):
    """1×1 down to ``width``, 3×3, 1×1 up to four times as many, and a shortcut around them (figure 5, right).

    Without a ``shortcut`` it is a plain block; with ``stride_first`` the first 1×1 strides, as in the paper, not the
    3×3.
    """

    expansion = 4

    def __init__(
        self, inputs: int, width: int, stride: int, shortcut: nn.Module | None, stride_first: bool = False
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if stride_first else (1, stride)
        self.conv1 = nn.Conv2d(inputs, width, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, second, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, 4 × width, H/stride, W/stride]."""
        y: Tensor = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        if self.downsample is not None:
            y += self.downsample(x)
        y = self.relu(y)
        return y


class PaddedShortcut(nn.Module):
    """Every ``stride``-th pixel, and zeros as further channels: no parameters (section 3.3, option A)."""

    def __init__(self, extra_channels: int, stride: int) -> None:
        super().__init__()
        self.extra_channels, self.stride = extra_channels, stride

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C + extra, H/stride, W/stride]."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra_channels))


def make_shortcut(kind: Shortcut, inputs: int, outputs: int, stride: int) -> nn.Module | None:
    """The way around a block: the identity wherever shapes allow it, else a projection (option B) or padding (A)."""
    if kind == "none":
        return None
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    if kind == "padding":
        return PaddedShortcut(outputs - inputs, stride)
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def make_norm(width: int, batch_norm: bool) -> nn.Module:
    """BatchNorm, or nothing in its place."""
    return nn.BatchNorm2d(width) if batch_norm else nn.Identity()


def make_stage(
    block: type[BasicBlock] | type[Bottleneck], inputs: int, width: int, blocks: int, stride: int, shortcut: Shortcut,
    **how: Any,
) -> nn.Sequential:  # fmt: skip
    """A row of blocks, of which the first one strides; ``how`` goes to each of them."""
    outputs = block.expansion * width
    sizes = [(inputs, stride)] + [(outputs, 1)] * (blocks - 1)
    return nn.Sequential(
        *(block(before, width, step, make_shortcut(shortcut, before, outputs, step), **how) for before, step in sizes)
    )


class ResNet(Network):
    """A stem, stages of residual blocks, an average and a classifier; see ``resnet`` and ``cifar_resnet``.

    Each stage is twice as wide as the one before. A ``kernel`` of 7 in the first convolution comes with a stride of 2
    and max pooling. ``how`` goes to each block: ``batch_norm`` (the stem takes it, too) or ``stride_first``.
    """

    def __init__(
        self, block: type[BasicBlock] | type[Bottleneck], widths: Sequence[int], blocks: Sequence[int], kernel: int,
        shortcut: Shortcut, num_classes: int, in_channels: int, **how: Any,
    ) -> None:  # fmt: skip
        batch_norm: bool = how.get("batch_norm", True)
        strides = 2 ** (len(widths) - 1) * (4 if kernel == 7 else 1)
        super().__init__(in_channels, smallest_px=strides // 2 + 1)
        channels, stride = widths[0], 2 if kernel == 7 else 1
        self.conv1 = nn.Conv2d(in_channels, channels, kernel, stride, padding=kernel // 2, bias=not batch_norm)
        self.bn1 = make_norm(channels, batch_norm)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if kernel == 7 else nn.Identity()
        self.stages = [f"layer{number}" for number in range(1, len(widths) + 1)]
        for name, width, count in zip(self.stages, widths, blocks, strict=True):
            stride = 1 if width == widths[0] else 2
            self.add_module(name, make_stage(block, channels, width, count, stride, shortcut, **how))
            channels = block.expansion * width
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        he_initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] to logits [N, K]."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.maxpool(x)
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        x = self.avgpool(x).flatten(1)
        x = self.fc(x)
        return x


def resnet(
    depth: int, num_classes: int = 1000, in_channels: int = 3, small_images: bool = False, *,
    shortcut: Shortcut = "projection", stride_first: bool = False,
) -> ResNet:  # fmt: skip
    """ResNet-18, 34, 50, 101 or 152 (table 1; projections where shapes change, option B of section 4.1).

    ``shortcut="none"`` gives the plain net of the same depth (section 3.3), ``"padding"`` option A.

    Deviation: the stride stands in the 3×3 convolution of a bottleneck ("v1.5", as in torchvision; half a point
    better on ImageNet); ``stride_first`` puts it into the first 1×1, as the paper does. For small images (up to 64 px)
    the stem is a 3×3 convolution without stride and without pooling.
    """
    blocks, kernel, widths = of_depth(BLOCKS, depth, "ResNet"), 3 if small_images else 7, (64, 128, 256, 512)
    if depth < 50:
        return ResNet(BasicBlock, widths, blocks, kernel, shortcut, num_classes, in_channels)
    return ResNet(Bottleneck, widths, blocks, kernel, shortcut, num_classes, in_channels, stride_first=stride_first)


def cifar_resnet(
    depth: int, num_classes: int = 10, in_channels: int = 3, *,
    shortcut: Shortcut = "padding", batch_norm: bool = True,
) -> ResNet:  # fmt: skip
    """ResNet-20, 32, 44, 56 or 110 for 32 px (section 4.2): three stages of (depth - 2) / 6 blocks, 16 to 64 maps.

    Shortcuts have no parameters (option A). ``shortcut="none"`` gives the plain net. Deviation: none in the network;
    ``batch_norm=False``, for experiments, leaves it out and gives every convolution a bias.
    """
    if depth < 8 or depth % 6 != 2:
        raise ConfigError(f"depth of a ResNet for CIFAR is {depth}; expected 6 n + 2, such as 20 or 56.")
    blocks = [(depth - 2) // 6] * 3
    return ResNet(BasicBlock, (16, 32, 64), blocks, 3, shortcut, num_classes, in_channels, batch_norm=batch_norm)
