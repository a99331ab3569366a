"""VGG-11 to VGG-19 from one table and one block. Imports torch.

Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015 (arXiv 1409.1556),
section 2 and table 1.
"""

from itertools import pairwise

from torch import Tensor, nn

from svertka.architectures.base import Network, he_initialise, of_depth

# Table 1 of the paper, columns A, B, D and E: channels and number of the 3×3 convolutions in each of the five blocks.
BLOCKS = {
    11: ((64, 1), (128, 1), (256, 2), (512, 2), (512, 2)),
    13: ((64, 2), (128, 2), (256, 2), (512, 2), (512, 2)),
    16: ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)),
    19: ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)),
}


def vgg_block(
    in_channels: int, out_channels: int, convolutions: int, *, batch_norm: bool = False, ceil_mode: bool = False
) -> nn.Sequential:
    """Some 3×3 convolutions, each with ReLU, then 2×2 max pooling: [N, C, H, W] to [N, O, H/2, W/2].

    ``batch_norm`` normalises between each convolution and its ReLU. With ``ceil_mode`` an odd side loses nothing: 7
    becomes 4 instead of 3.
    """
    layers: list[nn.Module] = []
    for channels in [in_channels] + [out_channels] * (convolutions - 1):
        norm = [nn.BatchNorm2d(out_channels)] if batch_norm else []
        layers += [nn.Conv2d(channels, out_channels, 3, padding=1), *norm, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.MaxPool2d(2, ceil_mode=ceil_mode))


class VGG(Network):
    """Table 1 of the paper; see ``vgg``."""

    def __init__(self, depth: int, batch_norm: bool, num_classes: int, in_channels: int, small_images: bool) -> None:
        super().__init__(in_channels, smallest_px=17 if small_images else 32)
        self.block1, self.block2, self.block3, self.block4, self.block5 = (
            vgg_block(inputs, outputs, convolutions, batch_norm=batch_norm, ceil_mode=small_images)
            for (inputs, _), (outputs, convolutions) in pairwise([(in_channels, 0), *of_depth(BLOCKS, depth, "VGG")])
        )
        if small_images:
            self.avgpool = nn.AdaptiveAvgPool2d(1)
            self.classifier = nn.Sequential(nn.Linear(512, num_classes))
        else:
            self.avgpool = nn.AdaptiveAvgPool2d(7)  # changes nothing at 224 px
            self.classifier = nn.Sequential(
                nn.Linear(512 * 7 * 7, 4096), nn.ReLU(inplace=True), nn.Dropout(),
                nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(),
                nn.Linear(4096, num_classes),
            )  # fmt: skip
        he_initialise(self)
        for module in self.classifier:
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] to logits [N, K]."""
        x = self.block1(x)
        x = self.block2(x)
        x = self.block3(x)
        x = self.block4(x)
        x = self.block5(x)
        x = self.avgpool(x).flatten(1)
        x = self.classifier(x)
        return x


def vgg(
    depth: int, num_classes: int = 1000, in_channels: int = 3, small_images: bool = False, *, batch_norm: bool = False
) -> VGG:
    """VGG-11, 13, 16 or 19 (columns A, B, D, E of table 1).

    Deviations: He's initial weights instead of copying a shallower net's (section 3.1 allows random ones);
    ``batch_norm`` is later than the paper. For small images (17 to 64 px) one full layer behind a global average
    takes the place of the three, which would hold 89 % of VGG-16's parameters.
    """
    return VGG(depth, batch_norm, num_classes, in_channels, small_images)
