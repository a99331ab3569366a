"""Class activation maps (Grad-CAM), exact, from the weights of the linear head.

A logit here is linear in the means of the stages' maps. So the layer before pooling is all these maps together, the
gradient of a logit by one of its numbers is the head's weight divided by the number of places, and Grad-CAM (Selvaraju
et al. 2017, arXiv 1610.02391) needs no backward pass: it is the class activation map of Zhou et al. 2016 (arXiv
1512.04150), exact for what is handed over, flips included. Nothing of the decision is left out: the map's mean is the
logit.

Shapes: K classes, D features, C channels, H/W rows and columns of a stage's map, G side of a joint map.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from svertka.errors import ConfigError
from svertka.explain.opened_bundle import Look, OpenedBundle

Map = NDArray[np.float32]

GRID = 56
"""Side of a joint map: finer than all but the first stages, whose numbers are averaged."""


def stage_maps(network: OpenedBundle, look: Look, label: int) -> tuple[Map, ...]:
    """What each place of each stage adds to the logit of a class: one map [H, W] a stage, early to late.

    The sum over all places of all stages, and ``constant_part``, are the logit (less the mean logit of all classes,
    which softmax doesn't see).

    Raises:
        ConfigError: the network has no stages to look at (``network.stages`` is 0).
    """
    if not look.maps:
        raise ConfigError(
            "this network's features are no means of feature maps, so it has no class activation map; use occlusion."
        )
    parts: list[Map] = []
    for stage, weights_C in enumerate(split_by_stage(_row(network, label), look)):
        views = [
            np.flip(np.tensordot(weights_C, view[stage], axes=1), axes)
            for view, axes in zip(look.maps, network.flips, strict=True)
        ]
        mean: Map = np.stack(views).mean(axis=0, dtype=np.float32)
        parts.append(mean / np.float32(mean.size))
    return tuple(parts)


def constant_part(network: OpenedBundle, label: int) -> float:
    """The part of a logit that no image changes."""
    head = network.head
    return float(head.bias_K[label] - head.bias_K.mean() - head.mean_D @ _row(network, label))


def evidence(network: OpenedBundle, look: Look, label: int, grid: int = GRID) -> Map:
    """The maps of all stages as one [G, G]: above 0 where a place speaks for the class, below 0 where against.

    Its mean is the logit, less the mean logit of all classes; the constant part is spread evenly.
    """
    joint = np.full((grid, grid), constant_part(network, label), np.float32)
    for part in stage_maps(network, look, label):
        density = part * np.float32(part.size)
        scaled = resized(density, grid)
        joint += scaled + (density.mean() - scaled.mean())
    return joint


def resized(plane: Map, side: int) -> Map:
    """A map at another resolution: the mean where it shrinks, linear between places where it grows."""
    kernel = Image.Resampling.BOX if min(plane.shape) > side else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(np.ascontiguousarray(plane, np.float32)).resize((side, side), kernel))


def split_by_stage(vector_D: Map, look: Look) -> Sequence[Map]:
    """A vector over all features, cut where one stage ends and the next begins."""
    widths = [len(one) for one in look.maps[0]]
    return np.split(vector_D, np.cumsum(widths)[:-1])


def _row(network: OpenedBundle, label: int) -> Map:
    weight_KD = network.head.scaled_weight_KD
    row: Map = weight_KD[label] - weight_KD.mean(axis=0)
    return row
