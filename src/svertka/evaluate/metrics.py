"""What all metrics need of predictions, computed once: losses, confidences, and rankings of the images.

Shapes: N images, K classes, P images of one class, G groups of images with an equal score.

Conventions, where definitions differ:

- Of equal logits the first class is predicted. Equal scores count half in ROC AUC and as one step in average
  precision (both as in scikit-learn).
- Two classes: ROC AUC and average precision are those of the class to be found (``positive``). More: the mean over
  classes, each against the rest, each class with equal weight.
- A mean over classes leaves out the classes for which the figure does not exist (no image of the class). Where
  nothing is left the value is NaN, and ``evaluate`` leaves the metric out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from svertka.evaluate.calibration import Confidences
from svertka.evaluate.predictions import check, predicted_labels, scaled_logits
from svertka.schema import Predictions

_ROUNDING = 1e-12  # scores that differ relatively by less were equal before float64 rounded them


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """One class against the rest, images sorted by falling score.

    Attributes:
        order_N: image indices, highest score first.
        positives_P: positions in ``order_N`` that hold an image of the class.
        starts_G: index into ``positives_P`` where a new score begins; one entry a distinct score that has positives.
        above_G: number of images with a higher score than that group's.
        upto_G: number of images with a higher or equal score.
    """

    order_N: NDArray[np.intp]
    positives_P: NDArray[np.intp]
    starts_G: NDArray[np.intp]
    above_G: NDArray[np.intp]
    upto_G: NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredPredictions:
    """What the metrics need of predictions, worked out once.

    Attributes:
        calibrated: loss and confidence with the temperature.
        uncalibrated: the same without.
        ranked: labels of the classes that are ranked against the rest: all; of two only the one to be found.
    """

    labels_N: NDArray[np.int64]
    predicted_N: NDArray[np.int64]
    num_classes: int
    calibrated: Confidences
    uncalibrated: Confidences
    ranked: tuple[int, ...]
    rankings: tuple[Ranking, ...]


def score(predictions: Predictions, temperature: float = 1.0, positive: int | None = None) -> ScoredPredictions:
    """Works out once what every metric and every resample needs.

    Args:
        predictions: to be scored.
        temperature: that logits are divided by.
        positive: label of the class to be found, of two classes; None means the second. More classes need none.

    Raises:
        DataError: the predictions cannot be judged, see ``predictions.check``.
    """
    check(predictions)
    scores_NK = log_odds(scaled_logits(predictions, temperature))
    num_classes = scores_NK.shape[1]
    ranked = (1 if positive is None else positive,) if num_classes == 2 else tuple(range(num_classes))
    return ScoredPredictions(
        labels_N=predictions.labels_N,
        predicted_N=predicted_labels(predictions),
        num_classes=num_classes,
        calibrated=Confidences.of(predictions, temperature),
        uncalibrated=Confidences.of(predictions, 1.0),
        ranked=ranked,
        rankings=tuple(rank(scores_NK[:, k], predictions.labels_N == k) for k in ranked),
    )


def log_odds(shifted_NK: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds of each class against the rest, shape [N, K], from logits whose row maximum is 0.

    It ranks images like the probability does, but keeps apart those whose probability rounds to 0 or 1.
    """
    rows_N, top_N = np.arange(len(shifted_NK)), shifted_NK.argmax(axis=1)
    powers_NK = np.exp(shifted_NK)
    rest_NK = powers_NK.sum(axis=1, keepdims=True) - powers_NK
    rest_NK[rows_N, top_N] = 1.0  # this difference cancels for the top class, whose rest is worked out below
    log_rest_NK = np.log(rest_NK)
    others_NK = shifted_NK.copy()
    others_NK[rows_N, top_N] = -np.inf
    second_N = others_NK.max(axis=1)
    log_rest_NK[rows_N, top_N] = second_N + np.log(np.exp(others_NK - second_N[:, None]).sum(axis=1))
    odds_NK: NDArray[np.float64] = shifted_NK - log_rest_NK
    return odds_NK


def rank(score_N: NDArray[np.float64], positive_N: NDArray[np.bool_]) -> Ranking:
    """Sorts images by falling score and finds the groups of equal score (up to rounding) that hold positives."""
    order_N = np.argsort(-score_N, kind="stable")
    sorted_N = score_N[order_N]
    fall = sorted_N[:-1] - sorted_N[1:]
    is_start_N = np.r_[True, fall > _ROUNDING * np.maximum(1.0, np.abs(sorted_N[1:]))]
    group_N = np.cumsum(is_start_N) - 1
    bounds = np.r_[np.flatnonzero(is_start_N), len(score_N)]
    positives_P = np.flatnonzero(positive_N[order_N])
    groups_G, starts_G = np.unique(group_N[positives_P], return_index=True)
    return Ranking(
        order_N=order_N,
        positives_P=positives_P,
        starts_G=starts_G,
        above_G=bounds[groups_G],
        upto_G=bounds[groups_G + 1],
    )


def confusion_matrix(scored: ScoredPredictions) -> NDArray[np.int64]:
    """Number of images of each true class (rows) predicted as each class (columns), [K, K]."""
    cell_N = scored.labels_N * scored.num_classes + scored.predicted_N
    counts = np.bincount(cell_N, minlength=scored.num_classes**2)
    matrix_KK: NDArray[np.int64] = counts.reshape(scored.num_classes, scored.num_classes).astype(np.int64)
    return matrix_KK
