"""Does a confidence of 80 % mean right 80 times of 100? Measured in bins, mended with one number.

Source: Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017 (arXiv 1706.04599):
section 2 for reliability bins and the expected calibration error with 15 bins of equal width, section 4.2 for
temperature scaling.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svertka.evaluate.predictions import check, predicted_labels, scaled_logits, softmax
from svertka.schema import Notice, Predictions, ReliabilityBin

NUM_BINS = 15
MIN_IMAGES_FOR_TEMPERATURE = 10
TEMPERATURE_RANGE = (0.01, 100.0)


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


def fit_temperature(val: Predictions) -> float:
    """The temperature that makes the log loss on validation images smallest, or 1.0 if ``why_not_fitted`` says why.

    The loss is convex in 1/T, so its slope changes sign once; that point is found by bisection on log T. Predicted
    labels don't change. Never fit on the test images: the figure that it mends would then be one of training.

    Raises:
        DataError: the predictions cannot be judged, see ``predictions.check``.
    """
    if why_not_fitted(val) is not None:
        return 1.0
    low, high = map(math.log, TEMPERATURE_RANGE)
    for _ in range(40):  # 9.2 / 2**40 in log T: far below what any figure shows
        middle = (low + high) / 2
        if _slope(val, math.exp(middle)) > 0:
            low = middle  # still too sharp
        else:
            high = middle
    return math.exp((low + high) / 2)


def why_not_fitted(val: Predictions) -> Notice | None:
    """The reason why no temperature can be fitted to these validation images, or None if one can."""
    check(val)
    coldest, hottest = TEMPERATURE_RANGE
    if len(val) < MIN_IMAGES_FOR_TEMPERATURE:
        return Notice("temperature_few_images", {"n": len(val), "least": MIN_IMAGES_FOR_TEMPERATURE})
    if (predicted_labels(val) == val.labels_N).all():
        return Notice("temperature_all_right", {"n": len(val)})
    if _slope(val, hottest) >= 0:
        return Notice("temperature_no_better")
    if _slope(val, coldest) <= 0:
        return Notice("temperature_implausible", {"coldest": coldest})
    return None


def _slope(predictions: Predictions, temperature: float) -> float:
    """Slope of the mean log loss against 1/T: expected logit minus the true class's logit, up to a positive factor."""
    shifted_NK = scaled_logits(predictions, temperature)
    expected_N = (softmax(shifted_NK) * shifted_NK).sum(axis=1)
    return float((expected_N - shifted_NK[np.arange(len(predictions)), predictions.labels_N]).mean())
