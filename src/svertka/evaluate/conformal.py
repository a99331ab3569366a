"""Conformal prediction: sets of possible classes with a promised coverage, and the answer "unsure".

Split conformal prediction: on validation images the model's own doubt of the true class, 1 minus its probability, is
sorted, and the value at rank ⌈(n + 1) · target⌉ becomes the threshold. A class belongs to an image's set where the
doubt of it is no larger. For a new image drawn like the validation images the set then holds the true class with a
probability of at least the target, whatever the model and however few images.

Class-conditional: each class has a threshold of its own, so the promise holds for each class and not only on the whole.
With one threshold for all, a rare class, which is the one that matters in medicine, may be missed far more often.
A class needs ⌈target / (1 - target)⌉ validation images (9 for 90 %); where one has fewer, there are no sets at all.

An image is answered where its set holds the predicted class alone; else it is "unsure", which says something else than
a low confidence. A set of several classes, or of another one, says that those cannot be excluded at the promised
coverage. An empty one says that every class is less probable than it was for that share of the class's own validation
images: of a model that is nearly always surer than 99.9 %, an image at 99.7 % is unusual. Giving it the predicted class
would keep the promise, but also answer images that lie between the classes.

Probabilities are taken without temperature: scaling mends confidences, but tends to widen the sets (Xi et al. 2024,
arXiv 2402.04344). Choices that were made on the same validation images (epoch, strategy) weaken the promise a little;
that is why the coverage is measured on test images.

Sources: Vovk 2012, Conditional Validity of Inductive Conformal Predictors (arXiv 1209.2673), for thresholds by class;
Sadinle, Lei and Wasserman 2019, Least Ambiguous Set-Valued Classifiers with Bounded Error Levels (arXiv 1609.00451),
for the score; Angelopoulos and Bates 2021, A Gentle Introduction to Conformal Prediction (arXiv 2107.07511).
"""

import math

import numpy as np
from numpy.typing import NDArray

from svertka.errors import ConfigError
from svertka.evaluate.clusters import clustered_share
from svertka.evaluate.predictions import check, predicted_labels, probabilities, softmax
from svertka.schema import Abstention, Conformal, Notice, Predictions

TARGET = 0.9
"""The coverage that ``svertka train`` promises."""


def fit_conformal(val: Predictions, target: float = TARGET) -> Conformal | None:
    """Thresholds from validation images, or None if ``too_few`` says that a class has too few of them.

    Args:
        val: images that the parameters were not fitted to.
        target: share of each class's images whose set shall hold the true class.

    Raises:
        DataError: the predictions cannot be judged, see ``predictions.check``.
        ConfigError: the target lies outside 0.5 to 0.999.
    """
    if not 0.5 <= target <= 0.999:
        raise ConfigError(f"coverage is {target}; expected 0.5 to 0.999 of the images.")
    if too_few(val, target) is not None:
        return None
    doubt_NK = 1 - probabilities(val)
    thresholds, counts = [], []
    for label in range(len(val.class_names)):
        doubt_n = np.sort(doubt_NK[val.labels_N == label, label])
        thresholds.append(float(doubt_n[_rank(len(doubt_n), target) - 1]))
        counts.append(len(doubt_n))
    return Conformal(target=target, thresholds=tuple(thresholds), counts=tuple(counts))


def too_few(val: Predictions, target: float = TARGET) -> Notice | None:
    """Why there can be no thresholds: classes with fewer validation images than the target needs; None if none."""
    check(val)
    counts = np.bincount(val.labels_N, minlength=len(val.class_names))
    least = math.ceil(round(target / (1 - target), 6))
    scarce = [name for name, count in zip(val.class_names, counts, strict=True) if count < least]
    return Notice("no_abstention", {"names": scarce, "least": least}) if scarce else None


def _rank(n: int, target: float) -> int:
    """⌈(n + 1) · target⌉, without the rounding that would make 10 · 0.9 a little more than 9."""
    return math.ceil(round((n + 1) * target, 6))


def possible_classes(logits_NK: NDArray[np.floating], conformal: Conformal) -> NDArray[np.bool_]:
    """Which classes each image may show, [N, K].

    Args:
        logits_NK: before temperature.
        conformal: from ``fit_conformal``.
    """
    doubt_NK = 1 - softmax(logits_NK)
    # Logits of another engine or batch differ in their last digits: an image on the threshold is inside in all of them.
    possible_NK: NDArray[np.bool_] = doubt_NK <= np.array(conformal.thresholds) + 1e-6
    return possible_NK


def is_answer(possible_NK: NDArray[np.bool_], label_N: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Where the set holds the named class and no other, [N]; elsewhere the model is unsure."""
    answer_N: NDArray[np.bool_] = (possible_NK.sum(axis=1) == 1) & possible_NK[np.arange(len(label_N)), label_N]
    return answer_N


def judge_abstention(
    test: Predictions,
    conformal: Conformal,
    *,
    label_N: NDArray[np.integer] | None = None,
    groups_N: NDArray[np.int64] | None = None,
) -> Abstention:
    """Measures on test images what the thresholds promise.

    Args:
        test: images that took no part in fitting or choosing.
        conformal: from validation images.
        label_N: the class that is named for each image; None means the most probable one.
        groups_N: number of each image's group, for the intervals; None means that every image stands alone.
    """
    check(test)
    label_N = predicted_labels(test) if label_N is None else label_N
    possible_NK = possible_classes(test.logits_NK, conformal)
    covered_N = possible_NK[np.arange(len(test)), test.labels_N]
    answered_N = is_answer(possible_NK, label_N)
    return Abstention(
        target=conformal.target,
        coverage=clustered_share(covered_N, groups_N),
        per_class=tuple(
            clustered_share(covered_N, groups_N, test.labels_N == label) for label in range(len(test.class_names))
        ),
        answered=clustered_share(answered_N, groups_N),
        accuracy=clustered_share(label_N == test.labels_N, groups_N, answered_N),
        counts=conformal.counts,
        thresholds=conformal.thresholds,
        empty=int((~possible_NK.any(axis=1)).sum()),
    )
