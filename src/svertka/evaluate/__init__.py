"""Judging: predictions in, every figure with its interval out. NumPy only.

``predictions`` saves and reads what a model said; ``metrics`` defines the figures, ``bootstrap`` their intervals,
``calibration`` how far confidences can be trusted, ``curves`` the lines of a report; ``judgement`` puts them
together, ``metrics_json`` writes the result down.
"""

from svertka.evaluate.calibration import fit_temperature, why_not_fitted
from svertka.evaluate.judgement import MAJORITY, evaluate
from svertka.evaluate.metrics_json import from_json, to_json
from svertka.evaluate.predictions import load_predictions, predicted_labels, probabilities, save_predictions

__all__ = [
    "MAJORITY",
    "evaluate",
    "fit_temperature",
    "from_json",
    "load_predictions",
    "predicted_labels",
    "probabilities",
    "save_predictions",
    "to_json",
    "why_not_fitted",
]
