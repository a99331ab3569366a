"""MobileNetV2: inverted residuals with depthwise convolution. Imports torch.

Sandler, Howard, Zhu, Zhmoginov, Chen: MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018
(arXiv 1801.04381), section 3 and table 2.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from svertka.architectures.base import Network, he_initialise

# Table 2 of the paper: expansion t, kernel, stride s of the first block, channels c, blocks n.
ROWS = (
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 3, 2, 32, 3), (6, 3, 2, 64, 4),
    (6, 3, 1, 96, 3), (6, 3, 2, 160, 3), (6, 3, 1, 320, 1),
)  # fmt: skip


class InvertedResidual(nn.Module):
    """1×1 up, depthwise, 1×1 down without activation; the shortcut joins the narrow ends (figure 3b, table 1).

    ``expansion`` says how much wider it is inside; at 1 there is no first convolution. ``kernel``, ``stride`` and
    ``convolution`` (its class) are those of the depthwise convolution.
    """

    def __init__(
        self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int,
        convolution: type[nn.Conv2d], eps: float,
    ) -> None:  # fmt: skip
        super().__init__()
        wide = inputs * expansion
        self.expand = conv_norm_relu6(nn.Conv2d(inputs, wide, 1, bias=False), eps) if expansion > 1 else nn.Identity()
        self.depthwise = conv_norm_relu6(
            convolution(wide, wide, kernel, stride, padding=kernel // 2, groups=wide, bias=False), eps
        )
        self.project = nn.Sequential(nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs, eps=eps))
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, O, H/stride, W/stride]."""
        y: Tensor = self.expand(x)
        y = self.depthwise(y)
        y = self.project(y)
        if self.has_shortcut:
            y += x
        return y


def conv_norm_relu6(convolution: nn.Conv2d, eps: float) -> nn.Sequential:
    """A convolution with BatchNorm and ReLU6, which keeps low-precision numbers in range."""
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels, eps=eps), nn.ReLU6(inplace=True))


class MobileNetV2(Network):
    """Table 2 of the paper, or one with other ``rows``; see ``mobilenet_v2``.

    ``convolution`` is the class of the stem and of all depthwise convolutions, ``eps`` that of BatchNorm.
    """

    def __init__(
        self, rows: Sequence[tuple[int, int, int, int, int]], num_classes: int, in_channels: int, small_images: bool,
        *, dropout: float = 0.2, convolution: type[nn.Conv2d] = nn.Conv2d, eps: float = 1e-5,
    ) -> None:  # fmt: skip
        super().__init__(in_channels, smallest_px=5 if small_images else 17)
        stride = 1 if small_images else 2
        self.stem = conv_norm_relu6(convolution(in_channels, 32, 3, stride, padding=1, bias=False), eps)
        blocks: list[InvertedResidual] = []
        inputs = 32
        for number, (expansion, kernel, stride, outputs, count) in enumerate(rows):
            for each in [1 if small_images and number == 1 else stride, *[1] * (count - 1)]:
                blocks.append(InvertedResidual(inputs, outputs, expansion, kernel, each, convolution, eps))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.neck = conv_norm_relu6(nn.Conv2d(inputs, 1280, 1, bias=False), eps)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(1280, num_classes)
        he_initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] to logits [N, K]."""
        x = self.stem(x)
        x = self.blocks(x)
        x = self.neck(x)
        x = self.avgpool(x).flatten(1)
        x = self.classifier(self.dropout(x))
        return x


def mobilenet_v2(num_classes: int = 1000, in_channels: int = 3, small_images: bool = False) -> MobileNetV2:
    """MobileNetV2 at width 1.0: 3,504,872 parameters.

    Deviation: dropout of 0.2 before the classifier, as in torchvision. For small images (up to 64 px) the stem and the
    first block that strides keep the resolution.
    """
    network = MobileNetV2(ROWS, num_classes, in_channels, small_images)
    nn.init.normal_(network.classifier.weight, std=0.01)
    nn.init.zeros_(network.classifier.bias)
    return network
