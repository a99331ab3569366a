"""Calibration: reliability in bins, calibration error, and temperature scaling.

Source: Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017 (arXiv 1706.04599):
section 2 for reliability bins, 15 of equal width, section 4.2 for temperature scaling; Kumar, Liang and Ma, Verified
Uncertainty Calibration, NeurIPS 2019 (arXiv 1909.10155), section 5 for the calibration error without the share of luck;
Sankaran, Approximations to the Non-central Chi-square Distribution, Biometrika 50 (1963), 199 to 204, for its interval
where the error is large.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svertka.evaluate.predictions import check, cross_entropy, predicted_labels, scaled_logits, softmax
from svertka.schema import Estimate, Predictions, ReliabilityBin

NUM_BINS = 15
TEMPERATURE_RANGE = (0.01, 100.0)
PRIOR_WIDTH = 0.25
"""Standard deviation of the prior of 1/T, near 1 about that of log T: two thirds of classifiers want 0.8 to 1.3."""
LARGE_CHI_SQUARE = 5000.0
"""Above it, noncentral chi square is Sankaran's approximation, there within 3e-7; an exact sum has ever more terms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Confidences:
    """How sure a model was of its own predictions, and what it paid.

    Attributes:
        loss_N: minus the log of the true class's probability, in nats; never clipped.
        confidence_N: probability of the predicted class.
        right_N: 1.0 where the prediction is right, else 0.0.
        bin_N: index of the confidence's bin; bin b holds confidences in (b, b + 1] / 15.
    """

    loss_N: NDArray[np.float64]
    confidence_N: NDArray[np.float64]
    right_N: NDArray[np.float64]
    bin_N: NDArray[np.int64]

    @classmethod
    def of(cls, predictions: Predictions, temperature: float) -> "Confidences":
        """Losses and confidences with logits divided by ``temperature``."""
        shifted_NK = scaled_logits(predictions, temperature)
        predicted_N = predicted_labels(predictions)
        rows_N = np.arange(len(predicted_N))
        confidence_N = softmax(shifted_NK)[rows_N, predicted_N]
        return cls(
            loss_N=cross_entropy(shifted_NK, predictions.labels_N),
            confidence_N=confidence_N,
            right_N=(predicted_N == predictions.labels_N).astype(np.float64),
            bin_N=(np.ceil(confidence_N * NUM_BINS).astype(np.int64) - 1).clip(0, NUM_BINS - 1),
        )


def calibration_error(confidences: Confidences, groups_N: NDArray[np.int64] | None = None) -> Estimate:
    """The gap between accuracy and mean confidence of a bin, as a root mean square over images, less what luck adds.

    Luck alone makes the gaps of few images large: 50 images of a classifier whose confidences are true show 0.12. So
    the variance that luck gives each bin is subtracted from the mean square, which is then right on average (Kumar,
    Liang and Ma 2019); where that leaves less than nothing, the error is 0.

    The interval: the sum of the bins' squared gaps, in units of its variances, is distributed like noncentral chi
    square (two moments matched, as Satterthwaite does); its limits are the errors for which the sum that was seen lies
    at the 96 and 1 % quantile. Not 97.5 and 2.5: an error near 0, the usual one, can only be missed from above. Zero is
    among them where confidences may well be true. No limit passes 1, which no gap of probabilities can.

    Args:
        confidences: of the images.
        groups_N: number of each image's group; None means that every image stands alone.
    """
    n = len(confidences.right_N)
    gap_N = confidences.right_N - confidences.confidence_N
    _, bin_N, count_B = np.unique(confidences.bin_N, return_inverse=True, return_counts=True)
    gap_B, right_B, confidence_B = (
        np.bincount(bin_N, weights=values_N) / count_B
        for values_N in (gap_N, confidences.right_N, confidences.confidence_N)
    )
    effect = _effect_of_groups((gap_N - gap_B[bin_N]) / np.sqrt(count_B[bin_N]), bin_N, groups_N)
    # A bin's accuracy is drawn to its confidence and to one half, by an image each: a bin without mistakes is not sure.
    drawn_B = (right_B * count_B / effect + confidence_B + 0.5) / (count_B / effect + 2)
    variance_B = effect * drawn_B * (1 - drawn_B)
    unit = float((variance_B**2).sum() / variance_B.sum())
    freedom = float(variance_B.sum()) / unit
    seen = float((count_B * gap_B**2).sum()) / unit
    value, low, high = (
        math.sqrt(min(1.0, max(0.0, excess) * unit / n))
        for excess in (seen - freedom, _noncentrality(seen, freedom, 0.96), _noncentrality(seen, freedom, 0.01))
    )
    return Estimate(value, min(value, low), max(value, high), n)


def _effect_of_groups(residual_N: NDArray[np.float64], bin_N: NDArray[np.intp], groups_N: Any) -> float:
    """By how much groups raise the variance of the bins' gaps, at least 1."""
    if groups_N is None:
        return 1.0
    groups, group_N = np.unique(groups_N, return_inverse=True)
    alone = float((residual_N**2).sum())
    if alone <= 1e-12:
        return len(residual_N) / len(groups)
    cell_N = np.unique(group_N * NUM_BINS + bin_N, return_inverse=True)[1]
    return max(1.0, float((np.bincount(cell_N, weights=residual_N) ** 2).sum()) / alone)


def _noncentrality(seen: float, freedom: float, level: float) -> float:
    """The noncentrality of the chi square whose quantile at ``level`` is the value seen; 0 where none is so low."""
    low, high = 0.0, 4 * seen + 40 * math.sqrt(seen) + 100
    function = _chi_square if seen <= LARGE_CHI_SQUARE else _large_chi_square
    if function(seen, freedom, 0.0) <= level:
        return 0.0
    for _ in range(40):
        middle = (low + high) / 2
        if function(seen, freedom, middle) > level:
            low = middle
        else:
            high = middle
    return low


def _chi_square(x: float, k: float, away: float) -> float:
    """Distribution function of noncentral chi square: a Poisson mixture of central ones with 2, 4, 6 … more degrees.

    Those are tails of one sum: the central function at ``k + 2j`` degrees is the sum of ``exp(-h) h^a / Γ(a + 1)`` over
    ``a = k/2 + j, k/2 + j + 1, …`` with ``h = x / 2``.
    """
    if x <= 0:
        return 0.0
    half, mean = x / 2, away / 2
    far = max(half, mean)
    steps = np.arange(1.0, far + 10 * math.sqrt(far) + 60)
    power_J = np.r_[0.0, steps]
    log_term_J = (k / 2 + power_J) * math.log(half) - half - math.lgamma(k / 2 + 1)
    log_term_J -= np.r_[0.0, np.cumsum(np.log(k / 2 + steps))]
    central_J = np.cumsum(np.exp(log_term_J)[::-1])[::-1]
    if mean == 0:
        return float(central_J[0])
    log_poisson_J = power_J * math.log(mean) - mean - np.r_[0.0, np.cumsum(np.log(steps))]
    return float(np.exp(log_poisson_J) @ central_J)


def _large_chi_square(x: float, k: float, away: float) -> float:
    """The same function where ``x`` is large: a power of the ratio to its mean is nearly normal (Sankaran 1963)."""
    mean, spread = k + away, k + 2 * away  # the variance is twice the spread
    power = 1 - 2 * mean * (k + 3 * away) / (3 * spread**2)
    p = spread / mean**2
    m = (power - 1) * (1 - 3 * power)
    centre = 1 + power * p * (power - 1 - (2 - power) * m * p / 2)
    error = power * math.sqrt(2 * p) * (1 + m * p / 2)
    return 0.5 * math.erfc((centre - (x / mean) ** power) / (error * math.sqrt(2)))


def reliability(confidences: Confidences) -> tuple[ReliabilityBin, ...]:
    """The bins that hold images, from low to high confidence."""
    bins = []
    for b in np.unique(confidences.bin_N):
        inside_N = confidences.bin_N == b
        confidence, accuracy = confidences.confidence_N[inside_N].mean(), confidences.right_N[inside_N].mean()
        bins.append(ReliabilityBin(confidence=float(confidence), accuracy=float(accuracy), count=int(inside_N.sum())))
    return tuple(bins)


def fit_temperature(*unseen: Predictions) -> float:
    """The most probable temperature after these images, by a prior that holds it near 1 while they are few.

    A few dozen images say little: a temperature that fits them alone strays so far that fresh images are judged worse
    than without one. So 1/T gets a gamma prior with its mode at 1, a quarter wide (``PRIOR_WIDTH``). Of 30 images the
    prior decides, of 500 they do; where all are named rightly, so that they alone would have T fall without end, it
    keeps T finite. The log loss is convex in 1/T and so is the prior's, hence the slope of their sum changes sign once;
    that point is found by bisection on log T.

    Predicted labels don't change. Never fit on the test images: the figure that it mends would then be one of training.

    Args:
        unseen: predictions on images that the parameters were not fitted to (validation, out of fold); 1 without any.

    Raises:
        DataError: the predictions cannot be judged, see ``predictions.check``.
    """
    for predictions in unseen:
        check(predictions)
    low, high = map(math.log, TEMPERATURE_RANGE)
    for _ in range(40):  # 9.2 / 2**40 in log T: far below what any figure shows
        middle = (low + high) / 2
        if _slope(unseen, math.exp(middle)) > 0:
            low = middle  # still too sharp
        else:
            high = middle
    return math.exp((low + high) / 2)


def _slope(unseen: Sequence[Predictions], temperature: float) -> float:
    """Slope of the summed log loss and of minus the log prior against 1/T.

    The loss's is the expected logit minus the true class's logit, over all images.
    """
    slope = (1 - temperature) / PRIOR_WIDTH**2
    for predictions in unseen:
        shifted_NK = scaled_logits(predictions, temperature)
        expected_N = (softmax(shifted_NK) * shifted_NK).sum(axis=1)
        true_N = shifted_NK[np.arange(len(predictions)), predictions.labels_N]
        slope += temperature * float((expected_N - true_N).sum())
    return slope
