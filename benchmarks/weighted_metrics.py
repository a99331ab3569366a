"""Every figure of an evaluation for many weightings of the images at once: what intervals are compared with.

Weights have the shape [N, B] (N images, B weightings): ones give the figure itself, counts of a resample those of the
bootstrap.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svertka.evaluate.metrics import Ranking, ScoredPredictions

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Weight of the images of each class: rightly predicted, true, and predicted; each [K, B]."""

    hits_KB: Floats
    true_KB: Floats
    predicted_KB: Floats


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


def class_counts(judged: ScoredPredictions, weights_NB: Floats) -> ClassCounts:
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


def all_metrics(judged: ScoredPredictions, weights_NB: Floats) -> tuple[dict[str, Floats], Floats]:
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
