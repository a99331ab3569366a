"""Does a confidence of 80 % mean right 80 times of 100? Measured in bins, mended with one number.

Source: Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017 (arXiv 1706.04599):
section 2 for reliability bins and the expected calibration error with 15 bins of equal width, section 4.2 for
temperature scaling.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svertka.evaluate.predictions import check, predicted_labels, scaled_logits, softmax
from svertka.schema import Predictions, ReliabilityBin

NUM_BINS = 15
TEMPERATURE_RANGE = (0.01, 100.0)
PRIOR_WIDTH = 0.25
"""Standard deviation of the prior of 1/T, near 1 about that of log T: two thirds of classifiers want 0.8 to 1.3."""


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
            loss_N=_losses(shifted_NK, predictions.labels_N),
            confidence_N=confidence_N,
            right_N=(predicted_N == predictions.labels_N).astype(np.float64),
            bin_N=(np.ceil(confidence_N * NUM_BINS).astype(np.int64) - 1).clip(0, NUM_BINS - 1),
        )


def _losses(shifted_NK: NDArray[np.float64], labels_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cross-entropy of each image in nats, [N], from logits whose row maximum is 0."""
    normaliser_N = np.log(np.exp(shifted_NK).sum(axis=1))
    losses_N: NDArray[np.float64] = normaliser_N - shifted_NK[np.arange(len(labels_N)), labels_N]
    return losses_N


def calibration_error(confidences: Confidences, weights_NB: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Expected calibration error for each weighting of the images, [B].

    The gap between accuracy and mean confidence of each bin, weighted by the bin's share of images. Luck alone makes
    it positive: two perfectly calibrated classes give about 0.08 on 100 images, 0.03 on 656, 0.01 on 5,000.
    """
    gap_N = confidences.right_N - confidences.confidence_N
    gap_bN = np.where(confidences.bin_N == np.arange(NUM_BINS)[:, None], gap_N, 0.0)
    error_B: NDArray[np.floating[Any]] = np.abs(gap_bN @ weights_NB).sum(axis=0) / weights_NB.sum(axis=0)
    return error_B


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
