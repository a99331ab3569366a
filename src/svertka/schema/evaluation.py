"""Evaluation: predictions, and every figure with its interval."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from svertka.schema.images import Notice


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval and the number of images behind it."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """What a model said of labelled images; saved, so that metrics and report rebuild without torch.

    Attributes:
        logits_NK: before temperature and softmax, float32.
        paths: one a row.
        class_names: one a column.
    """

    logits_NK: NDArray[np.float32]
    labels_N: NDArray[np.int64]
    paths: tuple[str, ...]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels_N)


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelDoubt:
    """A label that looks wrong; see ``evaluate.doubts``.

    Attributes:
        label: its class as it was given.
        likely: the class that the image looks like to a classifier that has not learnt from it.
        own: probability of the given class.
    """

    path: str
    label: str
    likely: str
    probability: float
    own: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScores:
    """Precision, recall and F1 of one class (one against the rest); ``support`` is its number of images."""

    name: str
    support: int
    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A line of a figure: points (x, y) in order, and the figure that sums it up."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    summary: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ReliabilityBin:
    """Images whose confidence fell in one bin: mean confidence, share that was right, how many."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Conformal:
    """When a class may be the true one: where 1 minus its probability (without temperature) is at most its threshold.

    Attributes:
        target: the share of each class's images whose set of possible classes shall hold the true one.
        thresholds: one a class, from the validation images.
        counts: validation images behind each.
    """

    target: float
    thresholds: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Abstention:
    """How sets of possible classes did on the test images. A set of one class, the predicted one, is an answer.

    Attributes:
        coverage: share of images whose set holds the true class.
        per_class: the same of each class.
        answered: share of images with an answer; the others are "unsure".
        accuracy: share of the answers that are right.
        counts: validation images of each class, which set the thresholds.
        thresholds: 1 minus the least probability (without temperature) with which a class is possible, by class; empty
            in older files.
        empty: images for which no class is possible; None in older files.
    """

    target: float
    coverage: Estimate
    per_class: tuple[Estimate, ...]
    answered: Estimate
    accuracy: Estimate
    counts: tuple[int, ...]
    thresholds: tuple[float, ...] = ()
    empty: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Every figure with its interval.

    Attributes:
        class_names: order of the confusion matrix.
        temperature: that logits are divided by before softmax; fitted on validation, 1.0 if not fitted.
        metrics: name to estimate: ``accuracy``, ``balanced_accuracy``, ``macro_f1``, ``roc_auc`` (one against the
            rest, macro mean), ``average_precision`` (the same), ``log_loss``, ``log_loss_uncalibrated``,
            ``calibration_error`` (root mean square over bins, less what luck explains),
            ``calibration_error_uncalibrated``.
        confusion_KK: rows true, columns predicted.
        roc: one curve a class (two classes: one, for the class to be found).
        reliability: with temperature scaling.
        baselines: the same metric names for ``"majority class"`` and, where there is one, ``"probe"``.
        notices: what limits these figures (a class without images, few images …).
        abstention: how often "unsure" would have been said, and what it is worth; None without thresholds.
        positive: of two classes the one to be found, which ROC AUC, average precision and curves are of; empty with
            more classes, and in older files, where it was the second.
    """

    n: int
    class_names: tuple[str, ...]
    temperature: float
    metrics: dict[str, Estimate]
    per_class: tuple[ClassScores, ...]
    confusion_KK: tuple[tuple[int, ...], ...]
    roc: tuple[Curve, ...]
    precision_recall: tuple[Curve, ...]
    reliability: tuple[ReliabilityBin, ...]
    reliability_uncalibrated: tuple[ReliabilityBin, ...]
    baselines: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    abstention: Abstention | None = None
    positive: str = ""


@dataclass(frozen=True, slots=True)
class OrderCheck:
    """Does the order of the files predict the labels? Same probe, same images, two ways to cut five folds.

    Attributes:
        shuffled: mean ROC AUC over shuffled folds.
        contiguous: mean ROC AUC over folds of neighbouring files.
        standard_error: of the difference, over the folds.
        suspicious: contiguous is clearly lower: images come in groups, and a random split is optimistic.
    """

    shuffled: float
    contiguous: float
    standard_error: float
    suspicious: bool
