"""Judging: predictions in, every figure with its interval out. NumPy only.

``predictions`` saves and reads what a model said; ``metrics`` defines the figures, ``uncertainty`` their
intervals, ``clusters`` those of shares and DeLong's, ``calibration`` how far confidences can be trusted, ``conformal``
when to say "unsure", ``operating_point`` when to call a test positive, ``curves`` the lines of a report; ``judgement``
puts them together.
"""

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
