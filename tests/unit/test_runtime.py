"""Process-wide settings."""

import pytest

from svertka.util import runtime


@pytest.mark.parametrize(("asked", "given"), [(0, 2), (1, 1), (2, 2), (5000, 2)])
def test_no_more_threads_than_processors(asked, given, monkeypatch):
    monkeypatch.setattr(runtime, "available_cores", lambda: 2)
    assert runtime.compute_threads(asked) == given
