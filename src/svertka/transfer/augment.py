"""Random changes of training images, drawn once an epoch so that any step can be repeated alone.

Torch by nature; imported only when a network is trained.
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


def draw(augment: Augment, count: int, rng: np.random.Generator) -> Draw:
    """Draws the changes of ``count`` images.

    One affine map holds the crop and both flips, so an image is resampled once.
    """
    side = np.sqrt(rng.uniform(augment.min_area, 1.0, count))  # half-width of the crop, in coordinates of -1..1
    shift = rng.uniform(-1.0, 1.0, (count, 2)) * (1.0 - side)[:, None]
    signs = rng.choice([-1.0, 1.0], (count, 2))
    signs[:, 0] = signs[:, 0] if augment.mirror else 1.0
    signs[:, 1] = signs[:, 1] if augment.upside_down else 1.0
    affine = np.zeros((count, 2, 3))
    affine[:, 0, 0], affine[:, 1, 1] = side * signs[:, 0], side * signs[:, 1]
    affine[:, :, 2] = shift
    return Draw(
        affine.astype(np.float32),
        rng.uniform(1 - augment.contrast, 1 + augment.contrast, count).astype(np.float32),
        rng.uniform(1 - augment.brightness, 1 + augment.brightness, count).astype(np.float32),
    )


def apply(drawn: Draw, images_NCHW: Tensor) -> Tensor:
    """Changes images [N, 3, S, S] with values in 0..1 as drawn; returns the same shape and range."""
    grid = affine_grid(torch.from_numpy(drawn.affine_N23), list(images_NCHW.shape), align_corners=False)
    images = grid_sample(images_NCHW, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    contrast = torch.from_numpy(drawn.contrast_N)[:, None, None, None]
    brightness = torch.from_numpy(drawn.brightness_N)[:, None, None, None]
    return ((images - mean) * contrast + mean * brightness).clamp(0, 1)
