"""Evaluation: from predictions to every figure with its confidence interval. NumPy only."""

from svertka.evaluate.calibration import fit_temperature
from svertka.evaluate.conformal import fit_conformal, too_few
from svertka.evaluate.judgement import (
    FEW_IMAGES,
    FEW_IN_A_CLASS,
    MAJORITY,
    class_to_find,
    evaluate,
    from_json,
    to_json,
)
from svertka.evaluate.predictions import (
    load_predictions,
    log_probabilities,
    predicted_labels,
    probabilities,
    save_predictions,
)

__all__ = [
    "FEW_IMAGES",
    "FEW_IN_A_CLASS",
    "MAJORITY",
    "class_to_find",
    "evaluate",
    "fit_conformal",
    "fit_temperature",
    "from_json",
    "load_predictions",
    "log_probabilities",
    "predicted_labels",
    "probabilities",
    "save_predictions",
    "to_json",
    "too_few",
]
