"""Every figure that judges a classifier, for many weightings of the images at once.

A metric takes weights of shape [N, B] and returns B values. Weights of one give the figure itself; what a little more
weight of one image does to it is that image's influence, which ``uncertainty`` works out for the intervals.

Shapes: N images, K classes, B weightings, G groups of images with an equal score.

Conventions, where definitions differ:

- Of equal logits the first class is predicted. Equal scores count half in ROC AUC and as one step in average
  precision (both as in scikit-learn).
- Two classes: ROC AUC and average precision are those of the class to be found (``positive``). More: the mean over
  classes, each against the rest, each class with equal weight.
- A mean over classes leaves out the classes for which the figure does not exist (no image of the class). Where
  nothing is left the value is NaN, and ``evaluate`` leaves the metric out.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svertka.evaluate.calibration import Confidences
from svertka.evaluate.predictions import check, predicted_labels, scaled_logits
from svertka.schema import Predictions

Floats = NDArray[np.floating[Any]]

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
class Judged:
    """What the metrics need of predictions, worked out once.

    Attributes:
        labels_N: true labels.
        predicted_N: predicted labels.
        num_classes: K.
        calibrated: loss and confidence with the temperature.
        uncalibrated: the same without.
        ranked: labels of the classes that are ranked against the rest: all; of two only the one to be found.
        rankings: one for each of these.
    """

    labels_N: NDArray[np.int64]
    predicted_N: NDArray[np.int64]
    num_classes: int
    calibrated: Confidences
    uncalibrated: Confidences
    ranked: tuple[int, ...]
    rankings: tuple[Ranking, ...]


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Weight of the images of each class: rightly predicted, true, and predicted; each [K, B]."""

    hits_KB: Floats
    true_KB: Floats
    predicted_KB: Floats


def judge(predictions: Predictions, temperature: float = 1.0, positive: int | None = None) -> Judged:
    """Works out once what every metric and every resample needs.

    Args:
        predictions: to be judged.
        temperature: that logits are divided by.
        positive: label of the class to be found, of two classes; None means the second. More classes need none.

    Raises:
        DataError: the predictions cannot be judged, see ``predictions.check``.
    """
    check(predictions)
    scores_NK = log_odds(scaled_logits(predictions, temperature))
    num_classes = scores_NK.shape[1]
    ranked = (1 if positive is None else positive,) if num_classes == 2 else tuple(range(num_classes))
    return Judged(
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


def ranking_metrics(ranking: Ranking, weights_NB: Floats) -> tuple[Floats, Floats]:
    """ROC AUC and average precision of one class against the rest, each [B]; NaN where either side has no weight.

    AUC is the share of pairs (image of the class, other image) that the score puts in the right order, ties half
    (Hanley and McNeil 1982). Average precision is the precision at each image of the class, averaged: the step-wise
    sum, without interpolation.
    """
    sorted_NB = weights_NB[ranking.order_N]
    total_NB = np.zeros((len(sorted_NB) + 1, sorted_NB.shape[1]), sorted_NB.dtype)
    np.cumsum(sorted_NB, axis=0, out=total_NB[1:])
    total_B = total_NB[-1]
    if len(ranking.positives_P) == 0:
        return np.full_like(total_B, np.nan), np.full_like(total_B, np.nan)
    weight_GB = np.add.reduceat(sorted_NB[ranking.positives_P], ranking.starts_G, axis=0)
    found_GB = np.cumsum(weight_GB, axis=0)
    above_GB, upto_GB = total_NB[ranking.above_G], total_NB[ranking.upto_G]
    positives_B = found_GB[-1]
    negatives_B = total_B - positives_B
    negatives_above_GB = above_GB - (found_GB - weight_GB)
    negatives_tied_GB = upto_GB - above_GB - weight_GB
    below_GB = negatives_B - negatives_above_GB - negatives_tied_GB / 2
    precision_GB = found_GB / np.maximum(upto_GB, 1e-30)  # without weight so far both are 0, and so is the term
    defined_B = (positives_B > 0) & (negatives_B > 0)
    divisor_B = np.where(defined_B, positives_B, np.nan)
    auc_B = (weight_GB * below_GB).sum(axis=0) / divisor_B / np.where(defined_B, negatives_B, np.nan)
    return auc_B, (weight_GB * precision_GB).sum(axis=0) / divisor_B


def class_counts(judged: Judged, weights_NB: Floats) -> ClassCounts:
    """Weighs hits, true and predicted images of each class."""
    right_N = judged.labels_N == judged.predicted_N
    return ClassCounts(
        hits_KB=_sum_by_class(weights_NB[right_N], judged.labels_N[right_N], judged.num_classes),
        true_KB=_sum_by_class(weights_NB, judged.labels_N, judged.num_classes),
        predicted_KB=_sum_by_class(weights_NB, judged.predicted_N, judged.num_classes),
    )


def _sum_by_class(weights_NB: Floats, class_N: NDArray[np.int64], num_classes: int) -> Floats:
    """Column sums of the rows of each class, [K, B]; zeros for a class without rows."""
    sums_KB = np.zeros((num_classes, weights_NB.shape[1]), weights_NB.dtype)
    order_N = np.argsort(class_N, kind="stable")
    present, starts = np.unique(class_N[order_N], return_index=True)
    if len(present):
        sums_KB[present] = np.add.reduceat(weights_NB[order_N], starts, axis=0)
    return sums_KB


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Quotient, NaN where the denominator is 0."""
    quotient: Floats = numerator / np.where(denominator > 0, denominator, np.nan)
    return quotient


def _mean_over_classes(values_KB: Floats) -> Floats:
    """Mean over the classes that have a value; NaN where none has."""
    known_KB = ~np.isnan(values_KB)
    return _ratio(np.where(known_KB, values_KB, 0).sum(axis=0), known_KB.sum(axis=0).astype(values_KB.dtype))


def f1_scores(counts: ClassCounts) -> Floats:
    """Harmonic mean of precision and recall of each class, [K, B]; NaN where it is neither true nor predicted."""
    return _ratio(2 * counts.hits_KB, counts.true_KB + counts.predicted_KB)


def all_metrics(judged: Judged, weights_NB: Floats) -> tuple[dict[str, Floats], Floats]:
    """Metrics for every weighting, name to [B], and F1 of each class, [K, B]. NaN where one does not exist.

    Names are those of ``schema.Evaluation.metrics``.
    """
    counts = class_counts(judged, weights_NB)
    f1_KB = f1_scores(counts)
    ranked = [ranking_metrics(ranking, weights_NB) for ranking in judged.rankings]
    total_B = weights_NB.sum(axis=0)
    figures = {
        "accuracy": counts.hits_KB.sum(axis=0) / total_B,
        "balanced_accuracy": _mean_over_classes(_ratio(counts.hits_KB, counts.true_KB)),
        "macro_f1": _mean_over_classes(f1_KB),
        "roc_auc": _mean_over_classes(np.stack([auc_B for auc_B, _ in ranked])),
        "average_precision": _mean_over_classes(np.stack([ap_B for _, ap_B in ranked])),
        "log_loss": judged.calibrated.loss_N @ weights_NB / total_B,
        "log_loss_uncalibrated": judged.uncalibrated.loss_N @ weights_NB / total_B,
    }
    return figures, f1_KB


def confusion_matrix(judged: Judged) -> NDArray[np.int64]:
    """Number of images of each true class (rows) predicted as each class (columns), [K, K]."""
    cell_N = judged.labels_N * judged.num_classes + judged.predicted_N
    counts = np.bincount(cell_N, minlength=judged.num_classes**2)
    matrix_KK: NDArray[np.int64] = counts.reshape(judged.num_classes, judged.num_classes).astype(np.int64)
    return matrix_KK
