"""ROC and precision-recall curves, thinned so that a report stays small."""

import numpy as np
from numpy.typing import NDArray

from svertka.evaluate.metrics import Ranking, ScoredPredictions
from svertka.evaluate.uncertainty import areas
from svertka.schema import Curve

MAX_POINTS = 200


def roc_and_precision_recall(scored: ScoredPredictions, class_names: tuple[str, ...]) -> tuple[tuple[Curve, ...], ...]:
    """The two families of curves: one of each a class that has both sides (of two only the one to be found).

    Returns:
        ROC curves (x: false positive rate, y: true positive rate; summary: area) and precision-recall curves
        (x: recall, y: precision; summary: average precision).
    """
    roc, precision_recall = [], []
    for label, ranking in zip(scored.ranked, scored.rankings, strict=True):
        name = class_names[label]
        n, positives = len(ranking.order_N), len(ranking.positives_P)
        if not 0 < positives < n:
            continue
        found, flagged = _vertices(ranking)
        false = flagged - found
        roc_x, roc_y = _thin(false / (n - positives), found / positives)
        area = float(np.trapezoid(found, false)) / positives / (n - positives)
        roc.append(Curve(name=name, x=roc_x, y=roc_y, summary=area))
        # Before the first image precision is 0 of 0; 1 is the customary start.
        precision = np.where(flagged > 0, found / np.maximum(flagged, 1), 1.0)
        pr_x, pr_y = _thin(found / positives, precision)
        _, average_precision = areas(ranking)
        precision_recall.append(Curve(name=name, x=pr_x, y=pr_y, summary=average_precision.value))
    return tuple(roc), tuple(precision_recall)


def _vertices(ranking: Ranking) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where a curve turns, as counts: images of the class found, and images flagged in all, as the threshold falls.

    Between two groups of equal score that hold images of the class only the flagged count grows, so the corners just
    before and just after each such group draw the whole curve.
    """
    positives, n = len(ranking.positives_P), len(ranking.order_N)
    found_before_G = ranking.starts_G
    found_after_G = np.r_[ranking.starts_G[1:], positives]
    found = np.column_stack([found_before_G, found_after_G]).ravel()
    flagged = np.column_stack([ranking.above_G, ranking.upto_G]).ravel()
    return np.r_[0, found, positives].astype(np.int64), np.r_[0, flagged, n].astype(np.int64)


def _thin(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """At most ``MAX_POINTS`` points, evenly spaced along the curve's corners; repeated points go, the ends stay."""
    is_new = np.r_[True, (np.diff(x) != 0) | (np.diff(y) != 0)]
    x, y = x[is_new], y[is_new]
    kept = np.unique(np.linspace(0, len(x) - 1, min(MAX_POINTS, len(x))).round().astype(int))
    return tuple(x[kept].tolist()), tuple(y[kept].tolist())
