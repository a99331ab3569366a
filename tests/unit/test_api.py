"""The public names: pinned, all there, and lazy."""

import subprocess
import sys

import pytest

import svertka


def test_public_names_are_pinned():
    assert svertka.__all__ == [
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
    assert all(callable(getattr(svertka, name)) for name in svertka.__all__)


def test_unknown_name_lists_the_known():
    with pytest.raises(AttributeError, match="no attribute 'train'; expected one of Augment"):
        svertka.train  # noqa: B018


def test_importing_the_package_imports_nothing_else():
    code = "import sys, svertka; sys.exit(any(name.startswith('svertka.') or name == 'numpy' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
