"""Data augmentation, drawn from (seed, epoch, step) so that any step can be repeated alone.

One affine map holds crop, shift, turn and flips, so an image is resampled once. What torchvision has is taken from
its v2 transforms, which draw from torch's generator: the loop seeds it in every step. Imports torch.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from svertka.config import Augment


@dataclass(frozen=True, slots=True)
class Draw:
    """What was drawn for N images: affine maps [N, 2, 3] from output to input coordinates, contrast, brightness [N]."""

    affine_N23: NDArray[np.float32]
    contrast_N: NDArray[np.float32]
    brightness_N: NDArray[np.float32]


def draw(augment: Augment, count: int, rng: np.random.Generator, signs_N2: NDArray[np.float64] | None = None) -> Draw:
    """Draws the changes of ``count`` images.

    Args:
        augment: what may change.
        count: of images.
        rng: for all that is drawn.
        signs_N2: of x and y, -1 where the image is flipped if flips are allowed; drawn if there are none.
    """
    side = np.sqrt(rng.uniform(augment.min_area, 1.0, count))  # half-width of the crop, in coordinates of -1..1
    offset = rng.uniform(-1.0, 1.0, (count, 2)) * (1.0 - side)[:, None]
    signs = rng.choice([-1.0, 1.0], (count, 2)) if signs_N2 is None else signs_N2.copy()
    signs[:, 0] = signs[:, 0] if augment.mirror else 1.0
    signs[:, 1] = signs[:, 1] if augment.upside_down else 1.0
    affine = np.zeros((count, 2, 3))
    affine[:, 0, 0], affine[:, 1, 1] = side * signs[:, 0], side * signs[:, 1]
    affine[:, :, 2] = offset
    contrast = rng.uniform(1 - augment.contrast, 1 + augment.contrast, count)
    brightness = rng.uniform(1 - augment.brightness, 1 + augment.brightness, count)
    if augment.shift:
        affine[:, :, 2] += rng.uniform(-2 * augment.shift, 2 * augment.shift, (count, 2))
    if augment.rotate_deg:
        angle = np.deg2rad(rng.uniform(-augment.rotate_deg, augment.rotate_deg, count))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
        affine[:, :, :2] = turn @ affine[:, :, :2]
    return Draw(affine.astype(np.float32), contrast.astype(np.float32), brightness.astype(np.float32))


def alternating(rows: NDArray[np.int64], of: int, seed: int, epoch: int) -> NDArray[np.float64]:
    """Signs [N, 2] for some rows of ``of`` images, drawn for an image once and then changing in turn.

    The mirror changes from epoch to epoch, upside down every other one: four epochs see all four views.
    """
    first_N2 = np.random.default_rng([seed, 2]).integers(0, 2, (of, 2))[rows]
    signs_N2: NDArray[np.float64] = 1.0 - 2.0 * ((first_N2 + np.array([epoch, epoch // 2])) % 2)
    return signs_N2


def apply(drawn: Draw, images_NCHW: Tensor) -> Tensor:
    """Changes images [N, 3, S, S] with values in 0..1 as drawn; returns the same shape and range."""
    grid = affine_grid(torch.from_numpy(drawn.affine_N23), list(images_NCHW.shape), align_corners=False)
    images = grid_sample(images_NCHW, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    contrast = torch.from_numpy(drawn.contrast_N)[:, None, None, None]
    brightness = torch.from_numpy(drawn.brightness_N)[:, None, None, None]
    return ((images - mean) * contrast + mean * brightness).clamp(0, 1)


def trivial(images_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One operation of TrivialAugmentWide an image, each at a strength of its own."""
    from torchvision.transforms.v2 import TrivialAugmentWide

    change = TrivialAugmentWide()
    changed = [change(torch.from_numpy(image).permute(2, 0, 1)).permute(1, 2, 0).numpy() for image in images_NHWC]
    return np.stack(changed)


def erase(images_NCHW: Tensor, probability: float) -> Tensor:
    """A rectangle of some images is set to mid-gray."""
    from torchvision.transforms.v2 import RandomErasing

    change = RandomErasing(p=probability, value=0.5)
    return torch.stack([change(image) for image in images_NCHW])


def mix(x: Tensor, labels: Tensor, classes: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """MixUp (a weighted sum with another image) or CutMix (a rectangle of it), by the toss of a coin.

    Returns:
        Images, and the share of each class in them [N, K].
    """
    from torchvision.transforms.v2 import CutMix, MixUp

    change = (MixUp(alpha=0.2, num_classes=classes), CutMix(alpha=1.0, num_classes=classes))[int(rng.integers(2))]
    mixed, shares = change(x, labels)
    return mixed, shares
