"""Comparing ways of learning: who runs (``candidates``), the race, how they stand, and a picture of it."""

from svertka.comparison.candidates import Candidate, make_candidates
from svertka.comparison.race import compare

__all__ = ["Candidate", "compare", "make_candidates"]
