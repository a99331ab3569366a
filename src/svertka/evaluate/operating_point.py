"""Chooses a decision threshold on validation images, and evaluates it on test images.

Sensitivity is the share of images of the class that are found, specificity the share of the others that are left
alone; neither depends on how common the class is. The predictive values do: of the images that were called positive
(negative), the share that is. They hold for the prevalence that is stated beside them, and ``predictive_values``
carries them over to another.

Source: Youden 1950, Index for Rating Diagnostic Tests, Cancer 3, 32-35, for the largest sensitivity + specificity - 1.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from svertka.errors import ConfigError, DataError
from svertka.evaluate.clusters import clustered_share
from svertka.schema import Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatingPoint:
    """A threshold and what it is worth on the images at hand.

    Attributes:
        threshold: a probability at or above it is called positive.
        sensitivity: of images of the class, share called positive.
        specificity: of the others, share called negative.
        positive_value: of images called positive, share that is (PPV).
        negative_value: of images called negative, share that is (NPV).
        prevalence: share of images of the class, which both predictive values depend on.
    """

    threshold: float
    sensitivity: Estimate
    specificity: Estimate
    positive_value: Estimate
    negative_value: Estimate
    prevalence: Estimate


def choose_threshold(
    probability_N: NDArray[np.floating], positive_N: NDArray[np.bool_], sensitivity: float | None
) -> float:
    """The threshold that finds at least a share of the class, or else Youden's; halfway to the next lower probability.

    Args:
        probability_N: of the class, on validation images.
        positive_N: which of them are of the class.
        sensitivity: share to be found, with the fewest false alarms; None means Youden's index. Of equally good
            thresholds the one that finds more.

    Raises:
        ConfigError: the sensitivity is not above 0 and at most 1.
        DataError: all images are of the class, or none is.
    """
    if sensitivity is not None and not 0 < sensitivity <= 1:
        raise ConfigError(f"sensitivity is {sensitivity}; expected above 0, at most 1, or None for Youden's index.")
    positives = int(positive_N.sum())
    if not 0 < positives < len(positive_N):
        raise DataError(
            f"{positives} of {len(positive_N)} validation images are of the class to be found; expected images of it "
            "and others, otherwise no threshold can be chosen. Add images, or hold out more of them."
        )
    found_P = np.sort(probability_N[positive_N])[::-1]
    others_M = np.sort(probability_N[~positive_N])
    false_alarms_P = len(others_M) - np.searchsorted(others_M, found_P, side="left")
    if sensitivity is None:
        youden_P = np.searchsorted(-found_P, -found_P, side="right") / positives - false_alarms_P / len(others_M)
        edge = found_P[np.flatnonzero(youden_P == youden_P.max())[-1]]
    else:
        least = math.ceil(round(sensitivity * positives, 6)) - 1
        edge = found_P[np.flatnonzero(false_alarms_P == false_alarms_P[least])[-1]]
    lower = probability_N[probability_N < edge]
    return float((edge + (lower.max() if len(lower) else 0.0)) / 2)


def judge_operating_point(
    probability_N: NDArray[np.floating],
    positive_N: NDArray[np.bool_],
    threshold: float,
    groups_N: NDArray[np.int64] | None = None,
) -> OperatingPoint:
    """What a threshold is worth on labelled images, every share with Wilson's 95 % interval.

    Args:
        probability_N: of the class.
        positive_N: which images are of it.
        threshold: from ``choose_threshold``, on other images.
        groups_N: number of each image's group, for the intervals; None means that every image stands alone.
    """
    called_N = probability_N >= threshold
    return OperatingPoint(
        threshold=threshold,
        sensitivity=clustered_share(called_N, groups_N, positive_N),
        specificity=clustered_share(~called_N, groups_N, ~positive_N),
        positive_value=clustered_share(positive_N, groups_N, called_N),
        negative_value=clustered_share(~positive_N, groups_N, ~called_N),
        prevalence=clustered_share(positive_N, groups_N),
    )


def predictive_values(sensitivity: float, specificity: float, prevalence: float) -> tuple[float, float]:
    """PPV and NPV at a prevalence, by Bayes' rule; NaN where nothing would be called so.

    Raises:
        ConfigError: the prevalence is no share.
    """
    if not 0 <= prevalence <= 1:
        raise ConfigError(f"prevalence is {prevalence}; expected a share from 0 to 1.")
    true_positive, false_positive = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    true_negative, false_negative = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    called, cleared = true_positive + false_positive, true_negative + false_negative
    return true_positive / called if called else math.nan, true_negative / cleared if cleared else math.nan
