"""95 % confidence intervals of metrics from each image's influence, without resampling.

Every figure changes smoothly with the weights of the images. Its derivative by the weight of one image is that image's
*influence*; a figure's variance is the sum of squared influences (the infinitesimal jackknife), of images that come in
groups the sum of squared sums by group. Figures of few images are far from normal, so each is taken on a scale on
which it is nearly so:

- Shares of images (accuracy, precision, recall): Wilson's interval (``clusters``). F1 of a class is
  ``2J / (1 + J)``, where J is the share of hits among the images that are of the class or were named so; it gets the
  interval of that share.
- Means over classes (balanced accuracy, macro F1): Wilson's for as many independent images as have its variance.
- Areas under ROC and precision-recall curves: normal on the scale of log-odds; of two classes the ROC's by DeLong.
- Log loss: a mean of skewed values, whose skewness Hall's transformation takes out.
- The calibration error has its own (``calibration``).

What a class of few images makes too small is put right by what is known of it: variances by ``n / (n - 1)``, the
curvature's bias of macro F1 and average precision by its first term. The interval always holds the figure itself. With
many images all this agrees with the bootstrap's percentiles. They cover the chance in drawing these test images (their
classes too), not another training run or another camera.

Shapes: N images, K classes, C groups, P images of one class, G groups of images with an equal score.

Sources: Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans, chapter 6; Takahashi, Yamamoto, Kuchiba
and Koyama 2022, Confidence Interval for Micro-averaged F1 and Macro-averaged F1 Scores, Applied Intelligence 52; Boyd,
Eng and Page 2013, Area Under the Precision-Recall Curve, ECML PKDD (log-odds); Hall 1992, On the Removal of Skewness by
Transformation, Journal of the Royal Statistical Society B 54, 221-228.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from svertka.evaluate.clusters import clustered_share, count_groups, logit_interval, sum_by_group
from svertka.evaluate.intervals import Z_95, share, wilson
from svertka.evaluate.metrics import Ranking, ScoredPredictions
from svertka.schema import Estimate

Groups = NDArray[np.int64] | None
Floats = NDArray[np.float64]


# --- means over classes -------------------------------------------------------------------------------------------


def balanced_accuracy(scored: ScoredPredictions, groups_N: Groups) -> Estimate:
    """Mean recall over the classes that occur; for its interval a class's recall is drawn a little to the mean."""
    true_K = np.bincount(scored.labels_N, minlength=scored.num_classes)
    right_N = scored.labels_N == scored.predicted_N
    hits_K = np.bincount(scored.labels_N[right_N], minlength=scored.num_classes)
    known_K = true_K > 0
    recall_K = hits_K / np.maximum(true_K, 1)
    value = float(recall_K.sum() / known_K.sum())
    influence_N = (right_N - recall_K[scored.labels_N]) / true_K[scored.labels_N]
    effect = design_effect(influence_N, groups_N)
    size_k, hits_k = true_K[known_K] / effect, hits_K[known_K] / effect
    drawn_k = (hits_k + value) / (size_k + 1)
    variance = float((drawn_k * (1 - drawn_k) / size_k).sum()) / known_K.sum() ** 2
    return _mean_over_classes(value, value, variance, size_k, len(right_N))


def macro_f1(scored: ScoredPredictions, groups_N: Groups) -> Estimate:
    """Mean F1 over the classes that are true or predicted somewhere."""
    truth_KN = scored.labels_N == np.arange(scored.num_classes)[:, None]
    named_KN = scored.predicted_N == np.arange(scored.num_classes)[:, None]
    both_K = truth_KN.sum(axis=1) + named_KN.sum(axis=1)
    known_K = both_K > 0
    both_k = both_K[known_K]
    f1_k = 2 * (truth_KN & named_KN).sum(axis=1)[known_K] / both_k
    influence_N = np.zeros(len(scored.labels_N))
    for f1, both, truth_N, named_N in zip(f1_k, both_k, truth_KN[known_K], named_KN[known_K], strict=True):
        least = max(2, count_groups(truth_N | named_N, groups_N))
        one_N = (2.0 * (truth_N & named_N) - f1 * (truth_N.astype(float) + named_N)) / both
        influence_N += math.sqrt(least / (least - 1)) * one_N / len(f1_k)
    effect = design_effect(influence_N, groups_N)
    value, lost = float(f1_k.mean()), float((f1_k * (1 - f1_k) / both_k).mean()) * effect
    true_k = np.bincount(scored.labels_N, minlength=scored.num_classes)
    size_k = true_k[true_k > 0] / effect
    variance = float((sum_by_group(influence_N, groups_N) ** 2).sum())
    return _mean_over_classes(value, min(1.0, value + lost), variance, size_k, len(influence_N))


def _mean_over_classes(value: float, centre: float, variance: float, size_k: Floats, n: int) -> Estimate:
    """Wilson's interval for so many images as have this variance, at most as many as the classes' sizes are worth."""
    worth = len(size_k) ** 2 / float((1 / size_k).sum())
    spread = centre * (1 - centre)
    found = wilson(centre, min(worth, spread / variance) if variance > 0 and spread > 0 else worth, n)
    return Estimate(value, min(value, found.low), max(value, found.high), n)


def f1_of_class(scored: ScoredPredictions, label: int, groups_N: Groups) -> Estimate:
    """F1 of one class; ``n`` counts the images of the class or named so. Of none nothing is known: 0, from 0 to 1."""
    truth_N, named_N = scored.labels_N == label, scored.predicted_N == label
    hits = clustered_share(truth_N & named_N, groups_N, truth_N | named_N)
    value, low, high = (2 * bound / (1 + bound) for bound in (hits.value, hits.low, hits.high))
    return Estimate(value, low, high, hits.n)


# --- rankings -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Area:
    """An area under a curve of one class against the rest.

    Attributes:
        influence_N: of each image, summing to 0.
        bias: by which it is too large on average.
    """

    value: float
    influence_N: Floats
    bias: float = 0.0


def areas(ranking: Ranking) -> tuple[Area, Area]:
    """ROC AUC and average precision of a ranking with images on both sides."""
    n, positives = len(ranking.order_N), len(ranking.positives_P)
    negatives = n - positives
    count_G = np.diff(np.r_[ranking.starts_G, positives])
    found_G = np.cumsum(count_G)
    group_P = np.repeat(np.arange(len(count_G)), count_G)
    # The first group with positives that ends behind each place of the ranking: it and those after it lie at or below.
    next_N = np.searchsorted(ranking.upto_G, np.arange(n), side="right")

    false_above_G, false_tied_G = ranking.above_G - (found_G - count_G), ranking.upto_G - ranking.above_G - count_G
    right_G = (negatives - false_above_G - false_tied_G / 2) / negatives
    area = float((count_G * right_G).sum()) / positives
    tied_N = np.arange(n) >= np.r_[ranking.above_G, n][next_N]
    above_N = np.r_[0, found_G][next_N] + np.where(tied_N, np.r_[count_G, 0][next_N] / 2, 0.0)
    by_roc_N = (above_N / positives - area) / negatives
    by_roc_N[ranking.positives_P] = (right_G[group_P] - area) / positives

    average, without_N = _average_precision(ranking, count_G, group_P, next_N)
    mean = float(without_N.mean())
    bias = (n - 1) * (mean - average)
    return Area(area, _unsorted(by_roc_N, ranking)), Area(average, _unsorted(mean - without_N, ranking), bias)


def _average_precision(
    ranking: Ranking, count_G: NDArray[np.int64], group_P: NDArray[np.int64], next_N: NDArray[np.int64]
) -> tuple[float, Floats]:
    """Average precision, and what it would be without each image of the ranking (a class's only image left in)."""
    found_G, upto_G, positives = np.cumsum(count_G), ranking.upto_G, len(ranking.positives_P)
    precision_G = found_G / upto_G
    total = float((count_G * precision_G).sum())
    fewer_G = np.maximum(upto_G - 1, 1)
    without_negative_G, without_positive_G = found_G / fewer_G, (found_G - 1) / fewer_G
    gained_G, changed_G = (
        np.r_[np.cumsum((count_G * (others_G - precision_G))[::-1])[::-1], 0.0]
        for others_G in (without_negative_G, without_positive_G)
    )
    without_N = (total + gained_G[next_N]) / positives
    left_P = total + changed_G[group_P] - without_positive_G[group_P]
    without_N[ranking.positives_P] = left_P / (positives - 1) if positives > 1 else total
    return total / positives, without_N


def _unsorted(sorted_N: Floats, ranking: Ranking) -> Floats:
    values_N = np.empty_like(sorted_N)
    values_N[ranking.order_N] = sorted_N
    return values_N


def ranking_intervals(scored: ScoredPredictions, groups_N: Groups) -> tuple[Estimate, Estimate] | None:
    """Mean ROC AUC and mean average precision over the classes that can be ranked; None where none can."""
    n = len(scored.labels_N)
    totals, values, biases, unknown = np.zeros((2, n)), [], [], np.zeros(2)
    smallest = n
    for ranking in scored.rankings:
        positive_N = np.zeros(n, bool)
        positive_N[ranking.order_N[ranking.positives_P]] = True
        if positive_N.all() or not positive_N.any():
            continue
        found = areas(ranking)
        sides = [count_groups(side_N, groups_N) for side_N in (positive_N, ~positive_N)]
        inflate_N = np.where(positive_N, *(math.sqrt(m / (m - 1)) if m > 1 else 1.0 for m in sides))
        totals += np.stack([inflate_N * found[0].influence_N, found[1].influence_N])
        values.append([area.value for area in found])
        biases.append([area.bias for area in found])
        smallest = min(smallest, *sides)
        if min(sides) == 1:  # nothing tells how it varies: as much as any area of about this size can
            drawn = (np.array(values[-1]) + 0.5) / 2
            unknown += drawn * (1 - drawn)
    if not values:
        return None
    classes = len(values)
    value_2, bias_2 = np.mean(values, axis=0), np.mean(biases, axis=0)
    estimates = []
    for which in range(2):
        influence_N = totals[which] / classes
        variance = float((sum_by_group(influence_N, groups_N) ** 2).sum() + unknown[which] / classes**2)
        bias = bias_2[which] * design_effect(influence_N, groups_N)
        estimates.append(_area(float(value_2[which]), float(bias), math.sqrt(variance), smallest, n))
    return estimates[0], estimates[1]


def _area(value: float, bias: float, error: float, smallest: int, n: int) -> Estimate:
    """An area's interval; of perfect rankings Wilson's for as many successes as the smallest side has groups."""
    if not 0 < value < 1 or error == 0:
        bound = share(round(value * smallest), smallest)
        return Estimate(value, min(value, bound.low), max(value, bound.high), n)
    low, high = logit_interval(min(max(value - bias, value / 2), (1 + value) / 2), error)
    return Estimate(value, min(value, low), max(value, high), n)


# --- a mean -------------------------------------------------------------------------------------------------------


def skewed_mean(loss_N: Floats, groups_N: Groups) -> Estimate:
    """Mean of values of 0 or more with Hall's interval; of one group, or of equal values, there is no width."""
    n, value = len(loss_N), float(loss_N.mean())
    residual_C = sum_by_group(loss_N - value, groups_N)
    groups, scale = len(residual_C), float(np.abs(residual_C).max())
    if groups == 1 or scale <= 1e-12 * value:
        return Estimate(value, value, value, n)
    residual_C = residual_C / scale  # cubes of the largest losses would leave float64
    variance = float((residual_C**2).mean())
    skewness = float((residual_C**3).mean()) / variance**1.5
    error = scale * math.sqrt(groups / (groups - 1) * groups * variance) / n
    high, low = (value - error * _unskewed(z, skewness / math.sqrt(groups)) for z in (-Z_95, Z_95))
    return Estimate(value, min(value, max(low, 0.0)), max(value, high), n)


def _unskewed(z: float, skew: float) -> float:
    """The studentised mean that Hall's cubic transformation takes to z; ``skew`` is skewness over the root of n."""
    if abs(skew) < 1e-6:
        return z
    inner = 1 + skew * (z - skew / 6)
    return 3 * (math.copysign(abs(inner) ** (1 / 3), inner) - 1) / skew


def design_effect(influence_N: Floats, groups_N: Groups) -> float:
    """By how much groups raise a variance, at least 1; where no image has influence, each group counts once."""
    if groups_N is None:
        return 1.0
    alone = float((influence_N**2).sum())
    if alone == 0:
        return len(influence_N) / count_groups(np.ones(len(influence_N), bool), groups_N)
    return max(1.0, float((sum_by_group(influence_N, groups_N) ** 2).sum()) / alone)
