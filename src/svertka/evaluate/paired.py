"""Model comparison: paired differences, the one-standard-error rule, successive halving.

Pairs are images: two contenders that judged the same images are compared image by image, so what makes an image hard
for both drops out. Images of one unit (a patient, near duplicates) count as one observation.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from svertka.evaluate.intervals import Z_95
from svertka.schema import Estimate

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Gain:
    """A mean difference over images, with its standard error."""

    mean: float
    standard_error: float
    n: int

    @property
    def worth_it(self) -> bool:
        """The one-standard-error rule: else the simpler one stays (Breiman et al. 1984, CART, section 3.4.3)."""
        return self.mean > self.standard_error

    @property
    def estimate(self) -> Estimate:
        """With its 95 % interval."""
        half = Z_95 * self.standard_error
        return Estimate(self.mean, self.mean - half, self.mean + half, self.n)


def paired_gain(
    cheap_N: Floats, costly_N: Floats, units_N: NDArray[np.int64] | None = None, learnt_from: int = 0
) -> Gain:
    """What the costly one gains over the cheap one: the mean of ``costly - cheap``.

    Args:
        cheap_N: a score of each image, more is better: right (1) or wrong (0), or minus its log loss.
        costly_N: the same images' by the other.
        units_N: images of one unit share a number; None means that none belong together.
        learnt_from: number of training images, where the images were judged by folds whose training sets overlap. The
            variance then grows by the factor ``1 + n / learnt_from``: the correction of Nadeau and Bengio (2003,
            Machine Learning 52, pages 239 to 281), with the variance of a fold's mean taken from its images, which
            serves also where there are too few folds to see how they vary.
    """
    difference_N = np.asarray(costly_N, np.float64) - np.asarray(cheap_N, np.float64)
    n, mean = len(difference_N), float(difference_N.mean())
    units_N = np.arange(n) if units_N is None else units_N
    _, unit_N = np.unique(units_N, return_inverse=True)
    sum_U = np.bincount(unit_N, difference_N - mean)
    count = len(sum_U)
    variance = float((sum_U**2).sum()) / n**2 * count / (count - 1) if count > 1 else math.inf
    return Gain(mean=mean, standard_error=math.sqrt(variance * (1 + n / learnt_from if learnt_from else 1.0)), n=n)


@dataclass(frozen=True, slots=True)
class Rung:
    """A round of the race: so many contenders are alive, each judged on the folds up to ``folds``."""

    alive: int
    folds: int


def halving(contenders: int, folds: int) -> tuple[Rung, ...]:
    """Rounds of successive halving: folds double while the worse half leaves, until one has all folds.

    Source: Jamieson and Talwalkar 2016, Non-stochastic Best Arm Identification and Hyperparameter Optimization
    (arXiv 1502.07943), algorithm 1, with folds as what is spent.
    """
    rungs, alive, reached = [], contenders, 1
    while alive > 1 and reached < folds:
        rungs.append(Rung(alive, reached))
        alive, reached = math.ceil(alive / 2), 2 * reached
    return (*rungs, Rung(alive, folds)) if alive else ()
