"""Out-of-distribution detection: the distance of an image to its nearest training image.

Deep nearest neighbours (Sun et al. 2022, arXiv 2204.06507): features are scaled to length 1, and an image whose nearest
known neighbour is far away is unlike the training images. The features of *all* stages take part. The last stage alone
forgets, in fine-tuning, what doesn't tell the classes apart (arXiv 2603.11269), which a digit among solar cells may
well share with one of them; the earlier ones keep it. ``benchmarks/unlike.py`` measures both.

So that a bundle stays small, about ``POINTS`` training images are remembered, at least one a class, in ``AXES``
coordinates. The length is taken before the projection: what an unlike image has outside of the remembered axes makes
it far from every point.

Shapes: N images, D features, A axes, R remembered points.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from svertka.features.linear_probe import standardisation
from svertka.schema import Notice, Novelty

POINTS = 500
AXES = 64
SHARE = 0.05
"""At most this share of images like those of training is flagged."""

DOUBT = 0.05
"""The probability that the true share is larger after all, because the validation images were a lucky draw."""

SHORTEST = 1e-12
"""Length below which features count as zero."""

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What training images look like to the network.

    Attributes:
        mean_D: of their features.
        scale_D: see ``probe.standardisation``; all above 0.
        axes_DA: orthonormal directions in which they differ most.
        points_RA: one row a remembered image.
    """

    mean_D: FloatArray
    scale_D: FloatArray
    axes_DA: FloatArray
    points_RA: FloatArray

    @classmethod
    def of(cls, x_RD: FloatArray, widths: tuple[int, ...]) -> "Neighbourhood":
        """Remembers images by their features; ``widths`` as in ``FeatureTable``. Cost: one SVD, about half a second."""
        mean_D, scale_D = standardisation(x_RD, widths)
        unit_RD = _unit((x_RD - mean_D) / scale_D)
        _, _, directions = np.linalg.svd(unit_RD, full_matrices=False)
        axes_DA = np.ascontiguousarray(directions[:AXES].T, np.float32)
        return cls(mean_D, scale_D, axes_DA, unit_RD @ axes_DA)

    def distances(self, x_ND: FloatArray) -> FloatArray:
        """Cosine distance [N] to the nearest remembered image: 0 the same direction, 1 nothing in common."""
        unit_ND = _unit((x_ND - self.mean_D) / self.scale_D)
        distances: FloatArray = np.float32(1) - (unit_ND @ self.axes_DA @ self.points_RA.T).max(axis=1)
        return distances

    def padded(self, width: int) -> "Neighbourhood":
        """The same for vectors of ``width`` features that begin with these; the others play no part."""
        more = (0, width - len(self.mean_D))
        return replace(
            self,
            mean_D=np.pad(self.mean_D, more),
            scale_D=np.pad(self.scale_D, more, constant_values=np.finfo(np.float32).max),  # divides them to nothing
            axes_DA=np.pad(self.axes_DA, (more, (0, 0))),
        )

    def measured_on(self, distances_N: FloatArray) -> Novelty:
        """What is far, judged by images that are like those of training but did not teach (the validation images)."""
        return Novelty(
            threshold=_upper_limit(distances_N),
            quantiles=tuple(float(value) for value in np.quantile(distances_N, np.linspace(0, 1, 101))),
            n=len(distances_N),
        )


def ood_notice(novelty: Novelty, distances_N: FloatArray) -> Notice:
    """How many of the judged images are flagged; loud where chance (three standard errors) doesn't explain them."""
    flagged, n = sum(map(novelty.is_out_of_distribution, distances_N)), len(distances_N)
    expected = max(SHARE, 1 / (novelty.n + 1))  # so often is the next image the farthest of them all
    percent, limit = 100 * flagged / n, round(100 * expected, 1)
    if flagged > n * expected + 3 * math.sqrt(n * expected * (1 - expected)):
        return Notice(
            "many_unlike_training",
            {"flagged": flagged, "images": n, "percent": percent, "limit": limit},
            level="warning",
        )
    return Notice("unlike_training", {"flagged": flagged, "images": n, "percent": percent, "limit": limit})


def _unit(z_ND: FloatArray) -> FloatArray:
    """Rows of length 1; a row of zeros, which is an image exactly at the mean, stays as it is."""
    unit_ND: FloatArray = z_ND / np.maximum(np.linalg.norm(z_ND, axis=1, keepdims=True), np.float32(SHORTEST))
    return unit_ND


def _upper_limit(distances_N: FloatArray) -> float:
    """The lowest distance that, with confidence 1 - DOUBT, at most SHARE of such images exceed.

    That is a one-sided tolerance limit without assumptions on the distribution (Wilks 1941): the (m+1)-th largest of n
    distances, where m is the most for which a binomial count of n draws at SHARE stays at m or below with probability
    DOUBT at most. It takes 59 images; with fewer the largest distance is the best there is.
    """
    from scipy.stats import binom

    n = len(distances_N)
    above = max(0, int(binom.ppf(DOUBT, n, SHARE)) - 1)  # ppf is the first count whose probability reaches DOUBT
    return float(np.sort(distances_N)[n - 1 - above])
