"""AlexNet: the two towers of 2012, the same as one tower, and torchvision's variant. Imports torch.

Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks, NIPS 2012
(https://papers.nips.cc/paper/4824), section 3.5 and figure 2.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from svertka.architectures.base import Network


class TowerNorm(nn.LocalResponseNorm):
    """Local response normalisation (section 3.3) that doesn't look over the border between towers.

    The paper's α multiplies the sum over five maps, torch's the mean: 5 · 1e-4 here is 1e-4 there.
    """

    def __init__(self, towers: int) -> None:
        super().__init__(size=5, alpha=5e-4, beta=0.75, k=2.0)
        self.towers = towers

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W], each tower's share of C by itself."""
        towers = x.reshape(-1, x.shape[1] // self.towers, *x.shape[2:])
        return super().forward(towers).reshape(x.shape)


class AlexNet(Network):
    """Five convolutional and three fully connected layers; see the functions below for the variants.

    Args:
        widths: channels of the five convolutions.
        num_classes: K.
        in_channels: C.
        small_images: a 5×5 first convolution without stride, and a 2×2 grid before the classifier instead of 6×6.
        padding: of the first convolution.
        towers: 2 splits the second, fourth and fifth convolution in two halves that don't see each other.
        norm: response normalisation behind the first two.
    """

    def __init__(
        self, widths: Sequence[int], num_classes: int, in_channels: int, small_images: bool,
        *, padding: int = 0, towers: int = 1, norm: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(in_channels, smallest_px=15 if small_images else 67 - 2 * padding)
        first, second, third, fourth, fifth = widths
        kernel, stride, padding = (5, 1, 2) if small_images else (11, 4, padding)
        grid = 2 if small_images else 6

        def layer(convolution: nn.Conv2d, *, norm: bool = False, pool: bool = False) -> nn.Sequential:
            norms = [TowerNorm(towers)] if norm else []
            pools = [nn.MaxPool2d(3, stride=2)] if pool else []
            return nn.Sequential(convolution, nn.ReLU(inplace=True), *norms, *pools)

        def full(inputs: int) -> nn.Sequential:
            return nn.Sequential(nn.Dropout(), nn.Linear(inputs, 4096), nn.ReLU(inplace=True))

        self.conv1 = layer(nn.Conv2d(in_channels, first, kernel, stride, padding), norm=norm, pool=True)
        self.conv2 = layer(nn.Conv2d(first, second, 5, padding=2, groups=towers), norm=norm, pool=True)
        self.conv3 = layer(nn.Conv2d(second, third, 3, padding=1))
        self.conv4 = layer(nn.Conv2d(third, fourth, 3, padding=1, groups=towers))
        self.conv5 = layer(nn.Conv2d(fourth, fifth, 3, padding=1, groups=towers), pool=True)
        self.avgpool = nn.AdaptiveAvgPool2d(grid)  # changes nothing at the size of the paper
        self.fc6 = full(fifth * grid * grid)
        self.fc7 = full(4096)
        self.fc8 = nn.Linear(4096, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] to logits [N, K]."""
        x = self.conv1(x)
        x = self.conv2(x)
        x = self.conv3(x)
        x = self.conv4(x)
        x = self.conv5(x)
        x = self.avgpool(x).flatten(1)
        x = self.fc6(x)
        x = self.fc7(x)
        x = self.fc8(x)
        return x


def alexnet_2012(num_classes: int = 1000, in_channels: int = 3, small_images: bool = False) -> AlexNet:
    """The net of the paper: two towers, response normalisation, 60,965,224 parameters, 227 px.

    Weights start from N(0, 0.01²); biases of the second, fourth and fifth convolution and of the hidden full layers
    at one, the others at zero (section 5). The paper writes 224 px, but its 55×55 maps need 227.

    Deviation: dropout stands before the full layers that it thins, with the outputs doubled in training instead of
    halved in prediction.
    """
    network = AlexNet((96, 256, 384, 384, 256), num_classes, in_channels, small_images, towers=2, norm=True)
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.normal_(module.weight, std=0.01)
            nn.init.constant_(module.bias, float(name.split(".")[0] in {"conv2", "conv4", "conv5", "fc6", "fc7"}))
    return network


def alexnet_single_tower(num_classes: int = 1000, in_channels: int = 3, small_images: bool = False) -> AlexNet:
    """One tower with all connections and without response normalisation: 62,378,344 parameters, 227 px.

    The net that most textbooks tabulate. Deviations from the paper: no groups, no normalisation, torch's initial
    weights.
    """
    return AlexNet((96, 256, 384, 384, 256), num_classes, in_channels, small_images)


def alexnet(num_classes: int = 1000, in_channels: int = 3, small_images: bool = False) -> AlexNet:
    """The AlexNet of torchvision: 61,100,840 parameters, 224 px.

    After Krizhevsky: One weird trick for parallelizing convolutional neural networks (arXiv 1404.5997, 2014), one
    tower of 64, 192, 384, 256 and 256 maps. Deviations: no response normalisation, padding 2 in the first layer.
    """
    return AlexNet((64, 192, 384, 256, 256), num_classes, in_channels, small_images, padding=2)
