"""Wilson's confidence interval of a proportion; ``evaluate.uncertainty`` has those of other figures.

Sources: Wilson 1927, Probable Inference, the Law of Succession, and Statistical Inference; Newcombe 1998, Interval
Estimation for the Difference Between Independent Proportions, Statistics in Medicine 17.
"""

import math

from svertka.schema import Estimate

Z_95 = 1.959963984540054
"""97.5 % quantile of the normal distribution."""


def share(successes: int, n: int) -> Estimate:
    """A share of images with Wilson's 95 % interval. Of no images nothing is known: 0, from 0 to 1, n = 0."""
    return wilson(successes / n, n, n) if n else Estimate(0.0, 0.0, 1.0, 0)


def wilson(p: float, size: float, n: int) -> Estimate:
    """A share of ``n`` images with Wilson's 95 % interval, where they are worth ``size`` independent ones."""
    z2 = Z_95**2
    centre = (p + z2 / (2 * size)) / (1 + z2 / size)
    half = Z_95 * math.sqrt(p * (1 - p) / size + z2 / (4 * size * size)) / (1 + z2 / size)
    return Estimate(p, min(p, max(0.0, centre - half)), max(p, min(1.0, centre + half)), n)


def difference(a: Estimate, b: Estimate) -> Estimate:
    """How much one share exceeds another of other images, with Newcombe's 95 % interval (his method 10)."""
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    high = value + math.hypot(a.high - a.value, b.value - b.low)
    return Estimate(value, low, high, min(a.n, b.n))
