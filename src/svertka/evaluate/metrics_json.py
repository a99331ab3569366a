"""``metrics.json``: an evaluation as plain JSON values and back, exactly."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from svertka.errors import DataError
from svertka.schema import Abstention, ClassScores, Curve, Estimate, Evaluation, Notice, ReliabilityBin


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as dictionaries, lists, numbers and text, in the shape of the record's fields."""
    plain: dict[str, Any] = _lists(asdict(evaluation))
    return plain


def _lists(value: Any) -> Any:
    """Tuples become lists, as JSON would make them, so that the value equals what ``json.loads`` gives."""
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, list | tuple) else value


def from_json(value: Mapping[str, Any]) -> Evaluation:
    """Rebuilds what ``to_json`` made.

    Raises:
        DataError: a field is missing, unknown or of the wrong kind.
    """
    try:
        return Evaluation(
            **{
                **value,
                "class_names": tuple(value["class_names"]),
                "metrics": _estimates(value["metrics"]),
                "per_class": tuple(_class_scores(scores) for scores in value["per_class"]),
                "confusion_KK": tuple(tuple(row) for row in value["confusion_KK"]),
                "roc": tuple(_curve(curve) for curve in value["roc"]),
                "precision_recall": tuple(_curve(curve) for curve in value["precision_recall"]),
                "reliability": tuple(ReliabilityBin(**b) for b in value["reliability"]),
                "reliability_uncalibrated": tuple(ReliabilityBin(**b) for b in value["reliability_uncalibrated"]),
                "baselines": {name: _estimates(figures) for name, figures in value["baselines"].items()},
                "notices": tuple(Notice(**notice) for notice in value["notices"]),
                "abstention": _abstention(value.get("abstention")),
                "positive": _name(value.get("positive", "")),
            }
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"These are not the metrics of an evaluation ({type(error).__name__}: {error}); expected the contents of "
            "the metrics.json of a run folder. Evaluate the model again to make a new one."
        ) from None


def _estimates(value: Mapping[str, Any]) -> dict[str, Estimate]:
    return {name: Estimate(**figure) for name, figure in value.items()}


def _class_scores(value: Mapping[str, Any]) -> ClassScores:
    return ClassScores(**{**value, **{key: Estimate(**value[key]) for key in ("precision", "recall", "f1")}})


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.100} is no name")
    return value


def _abstention(value: Mapping[str, Any] | None) -> Abstention | None:
    if value is None:  # also in metrics.json of older runs
        return None
    return Abstention(
        **{
            **value,
            **{name: Estimate(**value[name]) for name in ("coverage", "answered", "accuracy")},
            "per_class": tuple(Estimate(**figure) for figure in value["per_class"]),
            "counts": tuple(value["counts"]),
            "thresholds": tuple(value.get("thresholds", ())),
        }
    )


def _curve(value: Mapping[str, Any]) -> Curve:
    return Curve(**{**value, "x": tuple(value["x"]), "y": tuple(value["y"])})
