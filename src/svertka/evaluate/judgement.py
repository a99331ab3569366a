"""``evaluate``: from predictions to every figure with its interval, beside its baselines; and back from JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svertka.errors import ConfigError, DataError, did_you_mean
from svertka.evaluate.calibration import calibration_error, reliability
from svertka.evaluate.clusters import clustered_share, roc_auc
from svertka.evaluate.conformal import judge_abstention
from svertka.evaluate.curves import roc_and_precision_recall
from svertka.evaluate.metrics import ScoredPredictions, confusion_matrix, log_odds, score
from svertka.evaluate.predictions import scaled_logits
from svertka.evaluate.uncertainty import (
    balanced_accuracy,
    f1_of_class,
    macro_f1,
    ranking_intervals,
    skewed_mean,
)
from svertka.messages import Translator
from svertka.schema import ClassScores, Conformal, Estimate, Evaluation, Notice, Predictions
from svertka.util.from_dict import from_dict

MAJORITY = "majority class"
FEW_IMAGES = 100
"""Below so many test images, notices, the terminal and the report say that every figure is rough."""
FEW_IN_A_CLASS = 10
"""Below so many test images of a class, that this class's figures are."""
_NEEDS_PROBABILITIES = (
    "log_loss",
    "log_loss_uncalibrated",
    "calibration_error",
    "calibration_error_uncalibrated",
)


def evaluate(
    predictions: Predictions,
    *,
    temperature: float = 1.0,
    baselines: Mapping[str, Predictions] | None = None,
    majority_class: int | None = None,
    conformal: Conformal | None = None,
    groups_N: NDArray[np.int64] | None = None,
    positive: int | None = None,
) -> Evaluation:
    """Judges predictions: every figure with a 95 % interval and the number of images behind it.

    Where images come in groups, the intervals count groups as independent, not images; see ``clusters``.

    A figure that does not exist on these images is left out of ``metrics``, and a notice says why: ROC AUC and
    average precision when no class has both images of its own and others. Precision of a class that is never
    predicted and recall of a class without images are given as 0, from 0 to 1, with ``n`` 0.

    Args:
        predictions: on the test images.
        temperature: that logits are divided by; from ``fit_temperature`` on validation.
        baselines: what other models said of the same images (the probe); judged with temperature 1.
        majority_class: the most frequent label of the training images. Predicting it always is the first baseline;
            it has no probabilities, so no log loss and no calibration error.
        conformal: thresholds of ``fit_conformal`` on validation, for sets of possible classes.
        groups_N: number of each image's group (patient, scene, copies of one image); None: every image stands alone.
        positive: label of the class to be found, of two classes, see ``class_to_find``; None means the second, as in
            scikit-learn. ROC and precision-recall curves and average precision are of this class.

    Raises:
        DataError: predictions cannot be judged, see ``predictions.check``.
        ConfigError: ``majority_class`` is no class.
    """
    scored = score(predictions, temperature, positive)
    metrics = _estimates(scored, predictions, groups_N)
    others = {
        name: _estimates(score(other, positive=positive), other, groups_N) for name, other in (baselines or {}).items()
    }
    if majority_class is not None:
        others = {MAJORITY: _majority(predictions, majority_class, groups_N, positive)} | others
    roc, precision_recall = roc_and_precision_recall(scored, predictions.class_names)
    confusion_KK = confusion_matrix(scored)
    return Evaluation(
        n=len(predictions),
        class_names=predictions.class_names,
        temperature=temperature,
        metrics=metrics,
        per_class=_per_class(scored, predictions.class_names, groups_N),
        confusion_KK=tuple(tuple(row) for row in confusion_KK.tolist()),
        roc=roc,
        precision_recall=precision_recall,
        reliability=reliability(scored.calibrated),
        reliability_uncalibrated=reliability(scored.uncalibrated),
        baselines=others,
        positive=predictions.class_names[scored.ranked[0]] if scored.num_classes == 2 else "",
        notices=_notices(predictions.class_names, confusion_KK, metrics),
        abstention=None if conformal is None else judge_abstention(predictions, conformal, groups_N=groups_N),
    )


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as plain values, as ``metrics.json`` holds them."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(evaluation)))
    return plain


def from_json(value: Mapping[str, Any]) -> Evaluation:
    """Rebuilds what ``to_json`` made, exactly.

    Raises:
        DataError: a field is missing, unknown or of the wrong kind.
    """
    try:
        return from_dict(Evaluation, value)
    except TypeError as error:
        raise DataError(
            f"These are not the metrics of an evaluation ({error}); expected the contents of the metrics.json of a run "
            "folder. Evaluate the model again to make a new one."
        ) from None


def class_to_find(wanted: str, class_names: Sequence[str], labels_N: NDArray[np.int64]) -> int | None:
    """Label of the class to be found: of two the one that is wanted, else the rarer; of more None.

    Args:
        wanted: its name; empty: the rarer of two, or the second where both are equally common.
        class_names: of the labels.
        labels_N: of the images that tell which is rarer.

    Raises:
        ConfigError: there is no such class, or there are more than two.
    """
    if wanted and wanted not in class_names:
        raise ConfigError(
            f"positive is {wanted!r}; expected the class to be found, one of {Translator('en').listing(class_names)}."
            f"{did_you_mean(wanted, class_names)}"
        )
    if len(class_names) != 2:
        if wanted:
            raise ConfigError(
                f"positive is {wanted!r}, but there are {len(class_names)} classes; it is for two. Of more, each is "
                "judged against the rest: leave it out."
            )
        return None
    if wanted:
        return list(class_names).index(wanted)
    first, second = np.bincount(labels_N, minlength=2)
    return 0 if first < second else 1


def _estimates(
    scored: ScoredPredictions, predictions: Predictions, groups_N: NDArray[np.int64] | None
) -> dict[str, Estimate]:
    """Every metric that exists, with its interval."""
    ranked = ranking_intervals(scored, groups_N)
    metrics = {
        "accuracy": clustered_share(scored.labels_N == scored.predicted_N, groups_N),
        "balanced_accuracy": balanced_accuracy(scored, groups_N),
        "macro_f1": macro_f1(scored, groups_N),
    }
    if ranked:
        metrics |= dict(zip(("roc_auc", "average_precision"), ranked, strict=True))
    if ranked and scored.num_classes == 2:
        scores_N = log_odds(scaled_logits(predictions))[:, scored.ranked[0]]
        metrics["roc_auc"] = roc_auc(scores_N, scored.labels_N == scored.ranked[0], groups_N)
    return metrics | {
        "log_loss": skewed_mean(scored.calibrated.loss_N, groups_N),
        "log_loss_uncalibrated": skewed_mean(scored.uncalibrated.loss_N, groups_N),
        "calibration_error": calibration_error(scored.calibrated, groups_N),
        "calibration_error_uncalibrated": calibration_error(scored.uncalibrated, groups_N),
    }


def _majority(
    predictions: Predictions, majority_class: int, groups_N: NDArray[np.int64] | None, positive: int | None
) -> dict[str, Estimate]:
    """Figures of always predicting one class."""
    classes = len(predictions.class_names)
    if not 0 <= majority_class < classes:
        raise ConfigError(f"majority_class is {majority_class}; expected a label from 0 to {classes - 1}.")
    always_NK = np.zeros((len(predictions), classes), dtype=np.float32)
    always_NK[:, majority_class] = 1.0
    always = replace(predictions, logits_NK=always_NK)
    figures = _estimates(score(always, positive=positive), always, groups_N)
    return {name: figure for name, figure in figures.items() if name not in _NEEDS_PROBABILITIES}


def _per_class(
    scored: ScoredPredictions, class_names: tuple[str, ...], groups_N: NDArray[np.int64] | None
) -> tuple[ClassScores, ...]:
    """Precision, recall and F1 of every class, in the order of the class names."""
    right_N = scored.labels_N == scored.predicted_N
    return tuple(
        ClassScores(
            name=name,
            support=int((scored.labels_N == k).sum()),
            precision=clustered_share(right_N, groups_N, scored.predicted_N == k),
            recall=clustered_share(right_N, groups_N, scored.labels_N == k),
            f1=f1_of_class(scored, k, groups_N),
        )
        for k, name in enumerate(class_names)
    )


def _notices(
    class_names: tuple[str, ...], confusion_KK: NDArray[np.int64], metrics: Mapping[str, Estimate]
) -> tuple[Notice, ...]:
    """What limits these figures."""
    support_K, n = confusion_KK.sum(axis=1), int(confusion_KK.sum())
    missing = [name for name, support in zip(class_names, support_K, strict=True) if support == 0]
    scarce = [name for name, support in zip(class_names, support_K, strict=True) if 0 < support < FEW_IN_A_CLASS]
    notices = []
    if missing:
        notices.append(Notice("class_without_test_images", {"names": missing}, level="warning"))
    if "roc_auc" not in metrics:
        notices.append(Notice("ranking_not_measured", level="warning"))
    if n < FEW_IMAGES:
        notices.append(Notice("few_test_images", {"n": n}, level="warning"))
    elif scarce:
        notices.append(Notice("few_test_images_in_class", {"limit": FEW_IN_A_CLASS, "names": scarce}))
    if np.trace(confusion_KK) == n:
        notices.append(Notice("no_mistakes", {"n": n}))
    return tuple(notices)
