"""Paired gains against their textbook values, and the rounds of halving."""

import numpy as np
import pytest

from svertka.evaluate.paired import Rung, halving, paired_gain
from svertka.model_selection.leaderboard import verdict
from svertka.schema import Estimate


def test_gain_of_independent_images_has_the_usual_standard_error():
    rng = np.random.default_rng(0)
    cheap, costly = rng.normal(size=200), rng.normal(0.1, size=200)
    gain = paired_gain(cheap, costly)
    assert gain.mean == pytest.approx((costly - cheap).mean())
    assert gain.standard_error == pytest.approx((costly - cheap).std(ddof=1) / np.sqrt(200))


def test_copies_of_an_image_are_one_observation():
    rng = np.random.default_rng(1)
    cheap, costly = rng.normal(size=50), rng.normal(size=50)
    once = paired_gain(cheap, costly)
    copied = paired_gain(np.repeat(cheap, 4), np.repeat(costly, 4), np.repeat(np.arange(50), 4))
    assert copied.standard_error == pytest.approx(once.standard_error)
    assert paired_gain(np.repeat(cheap, 4), np.repeat(costly, 4)).standard_error < 0.6 * once.standard_error


def test_overlapping_training_sets_widen_the_interval():
    cheap, costly = np.zeros(100), np.r_[np.ones(10), np.zeros(90)]
    plain, folds = paired_gain(cheap, costly), paired_gain(cheap, costly, learnt_from=80)
    assert folds.standard_error == pytest.approx(plain.standard_error * np.sqrt(1 + 100 / 80))


@pytest.mark.parametrize(("wins", "worth"), [(60, True), (52, False), (40, False)])
def test_one_standard_error_decides(wins, worth):
    difference = np.r_[np.ones(wins), -np.ones(100 - wins)]
    assert paired_gain(np.zeros(100), difference).worth_it == worth


def test_one_image_shows_nothing():
    assert not paired_gain(np.zeros(1), np.ones(1)).worth_it


@pytest.mark.parametrize(
    ("low", "high", "said"), [(0.01, 0.2, "better"), (-0.2, -0.01, "worse"), (-0.1, 0.2, "no difference shown")]
)
def test_verdict_needs_an_interval_without_zero(low, high, said):
    assert verdict(Estimate((low + high) / 2, low, high, 100)) == said


@pytest.mark.parametrize(
    ("candidates", "folds", "rungs"),
    [
        (0, 5, ()),
        (1, 5, (Rung(1, 5),)),
        (2, 5, (Rung(2, 1), Rung(1, 5))),
        (5, 5, (Rung(5, 1), Rung(3, 2), Rung(2, 4), Rung(1, 5))),
        (8, 2, (Rung(8, 1), Rung(4, 2))),
    ],
)
def test_halving(candidates, folds, rungs):
    assert halving(candidates, folds) == rungs
