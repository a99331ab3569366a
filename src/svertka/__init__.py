"""svertka: a folder of images in; a tested, explained, portable classifier out.

The public names load on first use (PEP 562), so importing the package costs nothing.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# From version 1.29 on ONNX Runtime reports to its makers what it runs, unless this is set before it is imported (its
# Privacy.md). Nothing of svertka's user leaves the computer.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from svertka.bundle.bundle import load_bundle
    from svertka.bundle.predictor import open_predictor, predict_files
    from svertka.config import Augment, FineTune, RunConfig, Scratch
    from svertka.data.scan import scan
    from svertka.data.split import make_split
    from svertka.estimators.image_classifier import ImageClassifier
    from svertka.estimators.medical_classifier import MedicalImageClassifier
    from svertka.pipeline import run
    from svertka.report import build_report
    from svertka.runs.folder import load_run
    from svertka.util.version import __version__ as __version__

_HOMES = {
    "Augment": "config",
    "FineTune": "config",
    "ImageClassifier": "estimators.image_classifier",
    "MedicalImageClassifier": "estimators.medical_classifier",
    "RunConfig": "config",
    "Scratch": "config",
    "build_report": "report",
    "load_bundle": "bundle.bundle",
    "load_run": "runs.folder",
    "make_split": "data.split",
    "open_predictor": "bundle.predictor",
    "predict_files": "bundle.predictor",
    "run": "pipeline",
    "scan": "data.scan",
    "__version__": "util.version",
}
__all__ = [
    "Augment",
    "FineTune",
    "ImageClassifier",
    "MedicalImageClassifier",
    "RunConfig",
    "Scratch",
    "build_report",
    "load_bundle",
    "load_run",
    "make_split",
    "open_predictor",
    "predict_files",
    "run",
    "scan",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'svertka' has no attribute {name!r}; expected one of {', '.join(__all__)}.")
    return getattr(import_module(f"svertka.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
