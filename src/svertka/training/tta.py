"""Test-time augmentation: which flips keep an image's meaning, and the mean over them."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from svertka.config import Augment, FineTune
from svertka.data.loader import ImageSource, batches
from svertka.evaluate.predictions import cross_entropy

if TYPE_CHECKING:
    from torch import nn

Logits = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

FLIPS = {"mirror": 2, "upside_down": 1}
"""Name in ``Augment`` to axis of images [N, H, W, C]."""


def measure_flips(logits: Logits, source: ImageSource, augment: Augment) -> Augment:
    """Keeps the flips under which a trained classifier judges labelled images about as well as before.

    A flip passes if the mean log loss rises by less than a fifth of what the classifier has gained over guessing by
    class frequency, or by no more than twice the standard error of the rise.

    Args:
        logits: of prepared images [N, S, S, 3].
        source: validation images.
        augment: whose ``mirror`` and ``upside_down`` are set.
    """
    losses: dict[str, list[NDArray[np.float64]]] = {name: [] for name in ("", *FLIPS)}
    for rows, images in batches(source, np.arange(len(source)), 32):
        for name in losses:
            seen = np.ascontiguousarray(np.flip(images, FLIPS[name])) if name else images
            losses[name].append(cross_entropy(logits(seen), source.labels[rows]))
    plain_N = np.concatenate(losses[""])
    share_K = np.bincount(source.labels) / len(source)
    gained = float(-(share_K * np.log(np.maximum(share_K, 1e-12))).sum() - plain_N.mean())
    passed = {}
    for name in FLIPS:
        rise_N = np.concatenate(losses[name]) - plain_N
        error = float(rise_N.std() / np.sqrt(len(rise_N)))
        passed[name] = bool(rise_N.mean() < max(0.2 * gained, min(2 * error, 0.5 * gained)))
    return replace(augment, **passed)


def count_views(settings: FineTune, augment: Augment) -> int:
    """How many views of an image ``mean_over_views`` takes, with the flips of ``augment``."""
    return len(_flips(settings, augment)) * (3 if settings.average_shifts else 1)


def mean_over_views(module: "nn.Module", settings: FineTune) -> "nn.Module":
    """A module [N, 3, S, S] to [N, D] that gives the mean of ``module`` over views of an image.

    The views are its flips, and with shifts the image moved by a pixel up and left, and down and right, which count
    half as much together as the unmoved one (Jordan 2024, arXiv 2404.00498, section 3.6). With a linear head behind
    it, that is the mean of the logits.
    """
    import torch
    from torch import Tensor, nn
    from torch.nn.functional import pad

    flips = _flips(settings, settings.augment)

    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.judge(x.flip(axes) if axes else x) for axes in flips]).mean(dim=0)

        def judge(self, x: Tensor) -> Tensor:
            if not settings.average_shifts:
                return cast("Tensor", self.module(x))
            wide, (height, width) = pad(x, (1, 1, 1, 1), mode="reflect"), x.shape[2:]
            corners = (wide[:, :, :height, :width], wide[:, :, 2 : 2 + height, 2 : 2 + width])
            return cast("Tensor", 0.5 * self.module(x) + 0.25 * sum(self.module(corner) for corner in corners))

    return Mean() if len(flips) > 1 or settings.average_shifts else module


def _flips(settings: FineTune, augment: Augment) -> list[tuple[int, ...]]:
    """Axes to flip, one tuple a view."""
    axes: list[tuple[int, ...]] = [()]
    if settings.average_views and augment.mirror:
        axes += [(*some, 3) for some in axes]
    if settings.average_views and augment.upside_down:
        axes += [(*some, 2) for some in axes]
    return axes
