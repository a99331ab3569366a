"""How far a figure might be off because the test set is finite: 95 % intervals.

Shares of images (accuracy, precision, recall) get Wilson's interval. It stays honest where the bootstrap is not:
3 of 3 right is not "100 % for certain" but 44 to 100 %.

The area under the ROC curve of two classes gets DeLong's interval (``clusters.roc_auc``), as diagnostics is used to.

Everything else gets a percentile bootstrap: draw as many images as there are, with replacement, a thousand times,
and take the middle 95 % of the figure's values. The draw is not stratified: a new test set would vary in its mix of
classes too. A rare class may be missing from some draws; figures that need it are then taken over the other draws.

The interval speaks of the luck of drawing these test images, not of another training run or another camera. It counts
images as independent, or, where they come in groups, the groups: then whole groups are drawn.

Source: Efron and Tibshirani 1993,
An Introduction to the Bootstrap, chapter 13.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from svertka.schema import Estimate

RESAMPLES = 1000
_CHUNK = 32  # resamples at a time: a chunk of a few thousand images then stays in the processor's cache


def resamples(
    n: int, seed: int, count: int = RESAMPLES, groups_N: NDArray[np.int64] | None = None
) -> Iterator[NDArray[np.float32]]:
    """Yields how often each image was drawn, in chunks of shape [n, B]; B in all is ``count``.

    Every column sums to n, with groups only on average: as many groups are drawn as there are, large and small.

    float32 holds counts exactly up to 16 million images and halves the memory traffic.

    Args:
        n: number of images.
        seed: equal seeds draw equally.
        count: of draws.
        groups_N: number of each image's group, which is drawn as a whole; None means that every image stands alone.
    """
    if groups_N is not None:
        numbers, group_N = np.unique(groups_N, return_inverse=True)
        if len(numbers) < n:
            yield from (weights_CB[group_N] for weights_CB in resamples(len(numbers), seed, count))
            return
    rng = np.random.default_rng(seed)
    for start in range(0, count, _CHUNK):
        size = min(_CHUNK, count - start)
        drawn_BN = rng.integers(0, n, size=(size, n))
        cell_BN = drawn_BN * size + np.arange(size)[:, None]
        yield np.bincount(cell_BN.ravel(), minlength=n * size).reshape(n, size).astype(np.float32)


def percentile_interval(value: float, draws_B: NDArray[np.float64], n: int, *, centred: bool = False) -> Estimate:
    """The figure with the middle 95 % of its resampled values, widened where needed to hold the figure itself.

    Where it exists on no resample, nothing is known: from 0 to 1.

    Args:
        value: the figure on the test images.
        draws_B: the figure on each resample; NaN where it does not exist.
        n: number of images behind it.
        centred: move the draws by their mean's distance from the figure, but not below 0. For a calibration error,
            an absolute value: resampling adds noise, which can only make it larger.
    """
    known_B = draws_B[~np.isnan(draws_B)]
    if len(known_B) == 0:
        return Estimate(value, 0.0, 1.0, n)
    if centred:
        known_B = np.maximum(known_B + (value - known_B.mean()), 0.0)
    low, high = (float(q) for q in np.quantile(known_B, [0.025, 0.975]))
    return Estimate(value, min(low, value), max(high, value), n)
