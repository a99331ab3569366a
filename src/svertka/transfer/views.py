"""Which flips of an image keep its meaning, and the mean over them. Torch only where a module is built."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from svertka.config import Augment
from svertka.data.loader import ImageSource, batches

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
            losses[name].append(_log_loss(logits(seen), source.labels[rows]))
    plain_N = np.concatenate(losses[""])
    share_K = np.bincount(source.labels) / len(source)
    gained = float(-(share_K * np.log(np.maximum(share_K, 1e-12))).sum() - plain_N.mean())
    passed = {}
    for name in FLIPS:
        rise_N = np.concatenate(losses[name]) - plain_N
        error = float(rise_N.std() / np.sqrt(len(rise_N)))
        passed[name] = bool(rise_N.mean() < max(0.2 * gained, min(2 * error, 0.5 * gained)))
    return replace(augment, **passed)


def _log_loss(logits_NK: NDArray[np.float32], labels_N: NDArray[np.int64]) -> NDArray[np.float64]:
    z = logits_NK.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    loss: NDArray[np.float64] = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels_N]
    return loss


def mean_over_views(module: "nn.Module", augment: Augment) -> "nn.Module":
    """A module [N, 3, S, S] to [N, D] that gives the mean of ``module`` over an image and its flips.

    With a linear head behind it, that is the mean of the logits.
    """
    import torch
    from torch import Tensor, nn

    axes: list[tuple[int, ...]] = [()]
    if augment.mirror:
        axes += [(*some, 3) for some in axes]
    if augment.upside_down:
        axes += [(*some, 2) for some in axes]

    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.module(x.flip(some) if some else x) for some in axes]).mean(dim=0)

    return module if len(axes) == 1 else Mean()
