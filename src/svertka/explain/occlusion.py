"""Occlusion maps: how the probabilities change where a square of the image is covered.

Zeiler and Fergus 2014, Visualizing and Understanding Convolutional Networks, section 4.2 (arXiv 1311.2901). It asks
the network alone, so it works for every network, and it doesn't share the assumptions of a class activation map.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from svertka.explain.opened_bundle import F32, Look, OpenedBundle

FINE, COARSE = 12, 6
"""Cells a side of the map, for a page and for a run's report; a square of 2 × 2 cells is covered at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Occlusion:
    """Answers to one image with each square covered.

    Attributes:
        corners_M2: row and column of the square's first pixel.
        side_px: of the square.
        cells: of the map that they make, a side.
        features_MD: of each covered image.
    """

    corners_M2: NDArray[np.int64]
    side_px: int
    cells: int
    features_MD: F32


def occlude(network: OpenedBundle, look: Look, cells: int = FINE) -> Occlusion:
    """Covers each square of 2 × 2 cells with the image's own mean colour; costs ``(cells - 1)²`` passes."""
    side = look.image_SSC.shape[0]
    edges = np.linspace(0, side, cells + 1).round().astype(np.int64)
    colour = look.image_SSC.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    corners = [(row, column) for row in range(cells - 1) for column in range(cells - 1)]
    covered = np.repeat(look.image_SSC[None], len(corners), axis=0)
    for image, (row, column) in zip(covered, corners, strict=True):
        image[edges[row] : edges[row + 2], edges[column] : edges[column + 2]] = colour
    return Occlusion(np.array(corners), int(edges[2]), cells, network.features(covered))


def occlusion_map(network: OpenedBundle, look: Look, occlusion: Occlusion, label: int) -> F32:
    """How much the log-odds of a class fall where a place is covered: the mean over the squares that cover it.

    Log-odds, unlike probabilities, don't hide a loss of evidence where the network is all but sure.

    Returns:
        [cells, cells], above 0 where the place speaks for the class.
    """
    before = log_odds(network, look.features_D[None])[0, label]
    drop_M = before - log_odds(network, occlusion.features_MD)[:, label]
    total, count = np.zeros((2, occlusion.cells, occlusion.cells))
    for (row, column), drop in zip(occlusion.corners_M2, drop_M, strict=True):
        total[row : row + 2, column : column + 2] += drop
        count[row : row + 2, column : column + 2] += 1
    found: F32 = (total / count).astype(np.float32)
    return found


def covered_probability(network: OpenedBundle, occlusion: Occlusion, label: int) -> float:
    """The lowest probability of a class that covering one square leaves."""
    return float(network.probabilities(occlusion.features_MD)[:, label].min())


def log_odds(network: OpenedBundle, features_ND: F32) -> NDArray[np.float64]:
    """Log-odds [N, K] of each class against all others, calibrated."""
    z_NK = network.head.logits(features_ND).astype(np.float64) / network.anatomy.temperature
    found = np.empty_like(z_NK)
    for label in range(z_NK.shape[1]):
        others = np.delete(z_NK, label, axis=1)
        top = others.max(axis=1)
        found[:, label] = z_NK[:, label] - top - np.log(np.exp(others - top[:, None]).sum(axis=1))
    return found
