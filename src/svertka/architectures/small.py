"""A narrow network for small images, after the speed records of CIFAR-10. Imports torch.

Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (arXiv 2404.00498, sections 3.1 to 3.3): a first layer
that whitens patches and doesn't learn, identity-like initialisation, BatchNorm with quick statistics. Here it is
narrower (32, 64, 64 channels for 64, 256, 256), and the last maximum is over the whole map, so any size fits.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, gelu, max_pool2d

from svertka.architectures.base import Network
from svertka.errors import ShapeError

NAME = "small_cnn"


class Whitening(nn.Module):
    """2×2 convolution onto the principal axes of the images' patches, each scaled to variance 1, both signs.

    The weight is a buffer: it is computed from images (``fit``), never trained. Until then it is a random rotation.
    """

    weight: Tensor

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        size = 4 * in_channels
        axes = torch.linalg.qr(torch.randn(size, size))[0].reshape(size, in_channels, 2, 2)
        self.register_buffer("weight", torch.cat([axes, -axes]))
        self.bias = nn.Parameter(torch.zeros(2 * size))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, 8 C, H - 1, W - 1]."""
        return conv2d(x, self.weight, self.bias)

    @torch.no_grad()
    def fit(self, x: Tensor, eps: float = 5e-4) -> None:
        """Computes the axes from normalised images [N, C, H, W]; some hundreds are enough.

        ``eps`` is added to every variance, so that axes without any (gray images have many) stay quiet.

        Raises:
            ShapeError: the images have other channels than the layer.
        """
        channels = self.weight.shape[1]
        if x.ndim != 4 or x.shape[1] != channels:
            raise ShapeError(f"whitening was given images of shape {list(x.shape)}; expected [N, {channels}, H, W].")
        patches = x.unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 4 * channels).double()
        patches = patches - patches.mean(0)
        variances, axes = torch.linalg.eigh(patches.T @ patches / len(patches))
        # An axis that gray images never use would only amplify rounding errors.
        scale = torch.where(variances > 1e-8, torch.rsqrt(variances + eps), 0.0)
        rows = (axes * scale).T.reshape(-1, channels, 2, 2).float()
        self.weight.copy_(torch.cat([rows, -rows]))


class Group(nn.Module):
    """Two 3×3 convolutions with BatchNorm and GELU; the first is pooled 2×2."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = _identity_like(in_channels, channels), _norm(channels)
        self.conv2, self.norm2 = _identity_like(channels, channels), _norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[N, I, H, W] to [N, C, H // 2, W // 2]."""
        x = gelu(self.norm1(max_pool2d(self.conv1(x), 2)))
        return gelu(self.norm2(self.conv2(x)))


class SmallCNN(Network):
    """Whitening, three groups, the maximum over space, a linear classifier."""

    def __init__(self, num_classes: int, in_channels: int, widths: tuple[int, int, int]) -> None:
        super().__init__(in_channels, smallest_px=16)
        self.whiten = Whitening(in_channels)
        self.groups = nn.Sequential(
            *(Group(*pair) for pair in zip((8 * in_channels, *widths[:-1]), widths, strict=True))
        )
        self.classifier = nn.Linear(widths[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_classes]."""
        x = self.groups(gelu(self.whiten(x)))
        logits: Tensor = self.classifier(x.amax(dim=(2, 3)))
        return logits


def small_cnn(num_classes: int = 10, in_channels: int = 3, widths: tuple[int, int, int] = (32, 64, 64)) -> SmallCNN:
    """The network of ``--recipe small``: for images of 28 to 64 px."""
    return SmallCNN(num_classes, in_channels, widths)


def _identity_like(in_channels: int, channels: int) -> nn.Conv2d:
    """The first filters pass their channel on as it is (Dirac), the rest are random (section 3.2)."""
    convolution = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
    same = min(in_channels, channels)
    nn.init.dirac_(convolution.weight[:same])
    return convolution


def _norm(channels: int) -> nn.BatchNorm2d:
    """Statistics that follow quickly, as training is short (section 3.1)."""
    return nn.BatchNorm2d(channels, momentum=0.2)
