"""The page of benchmarks is made from results; what a reader could stumble over in it."""

import importlib
import sys
from pathlib import Path

import pytest


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    before = set(sys.modules)
    yield importlib.import_module("tables")
    for name in {"tables", "common"} - before:
        sys.modules.pop(name, None)


def test_figures_are_rounded_and_have_their_unit(tables):
    figures = {"after_imports_mb": 39.72265625, "peak_memory_mb": 280, "accuracy": 0.8643292, "cells flagged": 14}
    assert tables.remark({"note": "", "figures": figures}) == (
        "after imports: 39.7 MB; peak memory: 280 MB; accuracy: 0.864; cells flagged: 14"
    )


def test_every_result_has_a_place(tables):
    assert {path.stem for path in tables.RESULTS.glob("*.json")} <= set(tables.ORDER)
