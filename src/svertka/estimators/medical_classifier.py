"""``MedicalImageClassifier``: a classifier evaluated as a diagnostic test is."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted, column_or_1d

from svertka.errors import BundleError, ConfigError, DataError
from svertka.estimators.fitted import as_predictions
from svertka.estimators.image_classifier import ImageClassifier, as_plain, group_numbers
from svertka.estimators.image_input import as_images
from svertka.evaluate import evaluate, fit_conformal, probabilities, too_few
from svertka.evaluate.clusters import clustered_share, roc_auc
from svertka.evaluate.conformal import is_answer, judge_abstention, possible_classes
from svertka.evaluate.operating_point import OperatingPoint, choose_threshold, judge_operating_point
from svertka.messages import sentences
from svertka.messages.translator import Translator, has_width
from svertka.schema import Abstention, Bundle, Conformal, Estimate, Evaluation, Predictions


@dataclass(frozen=True, kw_only=True)
class DiagnosticEvaluation:
    """What a diagnostic test is worth on images of patients that it has never seen.

    Intervals are of 95 % and count patients (groups), not images, as independent.

    Attributes:
        positive: the class to be found.
        images: judged.
        groups: patients that these images come from.
        accuracy: share of images named rightly at the operating point.
        operating_point: sensitivity, specificity, PPV, NPV, and the prevalence that these two hold for.
        roc_auc: of the positive class against the rest, with DeLong's interval.
        abstention: how often "unsure" is said, and whether the promised coverage holds; None without thresholds.
        evaluation: every other figure: calibration, curves, the other classes. Its intervals count images.
    """

    positive: Any
    images: int
    groups: int
    accuracy: Estimate
    operating_point: OperatingPoint
    roc_auc: Estimate
    abstention: Abstention | None
    evaluation: Evaluation

    def __str__(self) -> str:
        """The result as a person reads it."""
        point = self.operating_point
        rows = {
            "accuracy": self.accuracy,
            "sensitivity": point.sensitivity,
            "specificity": point.specificity,
            "PPV": point.positive_value,
            "NPV": point.negative_value,
            "prevalence": point.prevalence,
            "ROC AUC": self.roc_auc,
            "calibration error": self.evaluation.metrics["calibration_error"],
        }
        if self.abstention:
            rows |= {
                f"coverage ({self.abstention.target:.0%} promised)": self.abstention.coverage,
                "answered": self.abstention.answered,
                "accuracy of answers": self.abstention.accuracy,
            }
        lines = [f"{self.images} images of {self.groups} groups; {self.positive!r} from p = {point.threshold:.3f}"]
        for name, figure in rows.items():
            why = Translator("en").sameness("roc_auc" if name == "ROC AUC" else "share", figure)
            interval = f"{figure.low:.3f} to {figure.high:.3f}" if has_width(figure) else why
            lines.append(f"{name:<24}{figure.value:.3f}  {interval}  n = {figure.n}")
        return "\n".join(lines)


@dataclass(eq=False, repr=False)
class MedicalImageClassifier(ImageClassifier):
    """``ImageClassifier`` for diagnosis: patients stay whole, and the threshold is chosen, stated and judged.

    ``fit`` holds validation images out by patient and chooses on them the operating point and the thresholds behind
    "unsure". ``predict`` calls an image positive from the operating point on; otherwise it names the most probable of
    the other classes. Judge it with ``evaluate`` on patients that took no part in ``fit``.

    Not a medical device: a figure holds for images like those that it was measured on.

    Attributes:
        threshold_: a probability of the positive class at or above it is called positive.
        conformal_: thresholds behind "unsure", by class; None where a class had too few validation images.

    Parameters that are not listed here are those of ``ImageClassifier``.

    Args:
        positive: the class to be found; it must be named.
        sensitivity: of the operating point, at least this on validation; None takes Youden's index.
        coverage: share of each class's images whose set of possible classes shall hold the true one.
        validation_fraction: held out with every strategy, because the operating point is chosen on these images.
        folds: the operating point is then chosen on all images, each judged by what had not learnt from it.
    """

    _: KW_ONLY
    validation_fraction: float = 0.25
    positive: Any = None
    sensitivity: float | None = 0.95
    coverage: float = 0.9

    _always_holds_out = True

    def fit(self, X: Any, y: Any, groups: Any = None, sample_weight: Any = None) -> Self:
        """Learns, then chooses the operating point and the thresholds behind "unsure" on the images held out.

        Args:
            X: images, N of them.
            y: N labels.
            groups: the patient of each image, N names or numbers; required. One image a patient: ``range(N)``.
            sample_weight: how much each image counts in learning, see ``ImageClassifier.fit``; choices count all alike.

        Raises:
            ConfigError: ``positive`` is no class, or ``sensitivity`` or ``coverage`` no share.
            DataError: groups are missing, or too few images were held out to choose anything on.
        """
        if groups is None:
            raise DataError(
                "groups is None; expected the patient of each image, so that no patient stands on two sides. "
                "If every image is of another patient, say so: groups=range(len(X))."
            )
        classes, _ = self._labels(y, len(as_images(X)))
        self._column(classes)
        super().fit(X, y, groups, sample_weight)
        val = self.trained_.val
        assert val is not None
        positive_N = val.labels_N == self._column(self.classes_)
        self.threshold_ = choose_threshold(self._score(val), positive_N, self.sensitivity)
        self.conformal_ = fit_conformal(val, self.coverage)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The class of each image at the operating point, [N]."""
        label_N = self._called(self._judge(X))
        labels_N: NDArray[Any] = self.classes_[label_N]
        return labels_N

    def predict_set(self, X: Any) -> NDArray[np.bool_]:
        """Which classes are possible, [N, K] in the order of ``classes_``.

        Raises:
            DataError: there are no thresholds; the message says why.
        """
        found = self._judge(X)
        return possible_classes(found.logits_NK, self._thresholds())

    def predict_or_abstain(self, X: Any) -> NDArray[np.object_]:
        """The class of each image where no other is possible, else None ("unsure"), [N].

        Raises:
            DataError: there are no thresholds; the message says why.
        """
        found = self._judge(X)
        label_N = self._called(found)
        answers_N = self.classes_[label_N].astype(object)
        answers_N[~is_answer(possible_classes(found.logits_NK, self._thresholds()), label_N)] = None
        return answers_N

    def evaluate(self, X: Any, y: Any, groups: Any) -> DiagnosticEvaluation:
        """Judges the classifier on patients that took no part in ``fit``.

        Args:
            X: images, N of them.
            y: N labels, all of them among ``classes_``; the positive class and others must occur.
            groups: the patient of each image, N names or numbers.

        Raises:
            DataError: a label is unknown, or one side of the question is missing.
        """
        check_is_fitted(self)
        images = as_images(X)
        labels = column_or_1d(y)
        unknown = sorted(set(labels.tolist()) - set(self.classes_.tolist()), key=str)
        if unknown or len(labels) != len(images):
            raise DataError(
                f"y has {len(labels)} labels for {len(images)} images and unknown classes {unknown!r:.100}; expected "
                f"one of {self.classes_.tolist()!r:.100} for each image."
            )
        groups_N = group_numbers(groups, images)
        labels_N = np.searchsorted(self.classes_, labels).astype(np.int64)
        found = as_predictions(self.trained_.logits(images), self.trained_.class_names, labels_N)
        label_N, score_N = self._called(found), self._score(found)
        column = self._column(self.classes_)
        positive_N = labels_N == column
        conformal = self.conformal_
        return DiagnosticEvaluation(
            positive=as_plain(self.positive),
            images=len(images),
            groups=len(np.unique(groups_N)),
            accuracy=clustered_share(label_N == labels_N, groups_N),
            operating_point=judge_operating_point(score_N, positive_N, self.threshold_, groups_N),
            roc_auc=roc_auc(score_N, positive_N, groups_N),
            abstention=judge_abstention(found, conformal, label_N=label_N, groups_N=groups_N) if conformal else None,
            evaluation=evaluate(found, temperature=self.trained_.temperature, groups_N=groups_N, positive=column),
        )

    def _column(self, classes: NDArray[Any]) -> int:
        """Where the positive class stands among the classes."""
        names, positive = classes.tolist(), as_plain(self.positive)
        if positive not in names:
            raise ConfigError(f"positive is {positive!r}; expected the class to be found, one of {names!r:.200}.")
        return int(names.index(positive))

    def _score(self, found: Predictions) -> NDArray[np.float64]:
        """Probability of the positive class, [N]."""
        return probabilities(found, self.trained_.temperature)[:, self._column(self.classes_)]

    def _called(self, found: Predictions) -> NDArray[np.int64]:
        """Number of the class that is named, [N]: the positive one from the threshold on, else the best of the rest."""
        column = self._column(self.classes_)
        rest_NK = found.logits_NK.copy()
        rest_NK[:, column] = -np.inf
        return np.where(self._score(found) >= self.threshold_, column, rest_NK.argmax(axis=1)).astype(np.int64)

    def _thresholds(self) -> Conformal:
        check_is_fitted(self)
        if self.conformal_ is not None:
            return self.conformal_
        val = self.trained_.val
        why = too_few(val, self.coverage) if val is not None else None
        raise DataError(f'There is no "unsure". {sentences(why) if why else "The bundle has no thresholds for it."}')

    def _conformal(self) -> Conformal | None:
        return self.conformal_

    def _facts(self) -> dict[str, object]:
        return {"threshold": self.threshold_}

    def _restore(self, bundle: Bundle, facts: dict[str, Any]) -> None:
        if "threshold" not in facts:
            raise BundleError(
                f"{bundle.directory} has no operating point; expected a bundle that MedicalImageClassifier saved."
            )
        self.threshold_, self.conformal_ = float(facts["threshold"]), bundle.conformal
