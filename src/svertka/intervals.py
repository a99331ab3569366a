"""Wilson's interval of a share, which every room needs; ``evaluate.bootstrap`` has the intervals of other figures.

Source: Wilson 1927, Probable Inference, the Law of Succession, and Statistical Inference.
"""

import math

from svertka.schema import Estimate

Z_95 = 1.959963984540054
"""97.5 % quantile of the normal distribution."""


def share(successes: int, n: int) -> Estimate:
    """A share of images with Wilson's 95 % interval. Of no images nothing is known: 0, from 0 to 1, n = 0."""
    if n == 0:
        return Estimate(0.0, 0.0, 1.0, 0)
    p, z2 = successes / n, Z_95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Estimate(p, min(p, max(0.0, centre - half)), max(p, min(1.0, centre + half)), n)
