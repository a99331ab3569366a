"""What a time budget allows: the strategy, and the reason as it is told."""

import numpy as np
import pytest

from svertka.candidates import Candidate, allowed
from svertka.config import FineTune
from svertka.learn import choose
from svertka.messages import sentences
from svertka.schema import Predictions
from svertka.transfer.strategies import make_strategy

ASKED = make_strategy("finetune", FineTune(max_epochs=16, min_epochs=4), 3)


@pytest.mark.parametrize(
    ("epochs", "said"),
    [
        (0, "There was no time for fine-tuning: an epoch takes about 42\u00a0s here, fewer than 4 are not worth while"),
        (
            5,
            "Of the time given (2.5\u00a0min) 110\u00a0s were left to train in, enough for 5 of 16 epochs: one takes "
            "about 42\u00a0s here.",
        ),
        (16, "The time was enough for all epochs (16)."),
    ],
)
def test_budget_decides_the_epochs_and_says_so(epochs, said):
    plan = {
        "epochs": [epochs] if epochs else [],
        "forced": False,
        "epoch_s": 41.6,
        "left_s": 110.2,
        "mirror": True,
        "upside_down": False,
    }
    strategy, why = allowed(plan, ASKED, 2.5)
    assert (strategy.epochs if strategy else 0) == epochs
    assert sentences(why).startswith(said)
    if strategy:
        assert (strategy.settings.augment.mirror, strategy.settings.augment.upside_down) == (True, False)


def test_epochs_that_were_run_without_time_for_them_are_told():
    plan = {"epochs": [4], "forced": True, "epoch_s": 41.6, "left_s": -3.0, "mirror": False, "upside_down": False}
    strategy, why = allowed(plan, ASKED, 2.5)
    assert strategy.epochs == 4
    assert sentences(why).startswith(
        "Of the time given (2.5\u00a0min) 0\u00a0s were left to train in, which is too short: 4 epochs"
    )


@pytest.mark.parametrize(("margin", "kept"), [(0.0, "probe"), (0.05, "probe"), (3.0, "finetune")])
def test_the_costlier_one_needs_more_than_one_standard_error(margin, kept):
    rng = np.random.default_rng(0)
    labels_N = rng.integers(0, 2, 40)

    def candidate(strategy, gain):
        right_N = rng.normal(1 + gain, 1.0, 40)
        logits_NK = np.zeros((40, 2), np.float32)
        logits_NK[np.arange(40), labels_N] = right_N
        val = Predictions(logits_NK=logits_NK, labels_N=labels_N, paths=("",) * 40, class_names=("a", "b"))
        return Candidate(
            strategy=strategy,
            head=None,
            val=val,
            temperature=1.0,
            features=None,
            reference=None,
            graph=None,
            weights=None,
        )

    better, why = choose(candidate("probe", 0.0), candidate("finetune", margin), np.arange(40))
    assert better.strategy == kept
    assert ("more than one standard error" in sentences(why)) and ("stays" in sentences(why)) == (kept == "probe")
