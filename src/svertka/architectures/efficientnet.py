"""EfficientNet-Lite0 to Lite2, whose ImageNet weights come with packages. Imports torch.

Tan, Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019 (arXiv 1905.11946), table
1 and section 3.3; the Lite changes: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
"""

import math

from torch import Tensor, nn
from torch.nn import functional as F

from svertka.architectures.mobilenet import MobileNetV2

# Table 1 of the paper, stages 2 to 8: expansion, kernel, stride of the first block, channels, blocks; Lite0's.
ROWS = (
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1),
)  # fmt: skip


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow does it: an odd pixel of padding goes to the right and to the bottom."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, O, ⌈H/stride⌉, ⌈W/stride⌉]."""
        top, bottom = _padding(int(x.shape[2]), self.kernel_size[0], self.stride[0])
        left, right = _padding(int(x.shape[3]), self.kernel_size[1], self.stride[1])
        if (top, left) == (bottom, right):
            return F.conv2d(x, self.weight, self.bias, self.stride, (top, left), groups=self.groups)
        x = F.pad(x, (left, right, top, bottom))
        return F.conv2d(x, self.weight, self.bias, self.stride, groups=self.groups)


def _padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


class EfficientNetLite(MobileNetV2):
    """Table 1 of the paper without squeeze-and-excitation, scaled; see ``efficientnet_lite``."""


def efficientnet_lite(
    width: float, depth: float, num_classes: int = 1000, in_channels: int = 3, small_images: bool = False
) -> EfficientNetLite:
    """EfficientNet-Lite0 (4,652,008 parameters, 224 px), Lite1 (5,416,680, 240 px), Lite2 (6,092,072, 260 px).

    ``width`` multiplies channels (by 1, 1, 1.1), ``depth`` the number of blocks (by 1, 1.1, 1.2). The Lite changes to
    EfficientNet-B0: no squeeze-and-excitation, ReLU6 for swish; stem and neck, and the number of blocks in the first
    and last stage, are never scaled. Pixels are scaled to -1..1. Deviation: no stochastic depth in training. For small
    images (up to 64 px) the stem and the first block that strides keep the resolution.
    """
    rows = [
        # the nearest multiple of eight; in the first and last stage the number of blocks stays
        (
            expansion,
            kernel,
            stride,
            int(channels * width + 4) // 8 * 8,
            count if count == 1 else math.ceil(count * depth),
        )
        for expansion, kernel, stride, channels, count in ROWS
    ]
    dropout = 0.2 if width == 1 else 0.3
    return EfficientNetLite(
        rows, num_classes, in_channels, small_images, dropout=dropout, convolution=SameConv2d, eps=1e-3
    )
