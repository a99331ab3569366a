"""What a time budget allows: the strategy, and the reason as it is told."""

import pytest

from svertka.config import FineTune, RunConfig
from svertka.learn import allowed
from svertka.messages import sentences

CONFIG = RunConfig(data="pets", minutes=2.5, finetune=FineTune(max_epochs=16, min_epochs=4))


@pytest.mark.parametrize(
    ("epochs", "said"),
    [
        (0, "There was no time for fine-tuning: an epoch takes about 42\u00a0s here, fewer than 4 are not worth while"),
        (5, "The time given (2.5\u00a0min) was enough for 5 of 16 epochs: one takes about 42\u00a0s here."),
        (16, "The time was enough for all epochs (16)."),
    ],
)
def test_budget_decides_the_epochs_and_says_so(epochs, said):
    plan = {"epochs": epochs, "forced": False, "epoch_s": 41.6, "left_s": 300.0, "mirror": True, "upside_down": False}
    strategy, why = allowed(plan, CONFIG)
    assert (strategy.max_epochs if strategy else 0) == epochs
    assert sentences(why).startswith(said)
    if strategy:
        assert (strategy.augment.mirror, strategy.augment.upside_down) == (True, False)


def test_epochs_that_were_run_without_time_for_them_are_told():
    plan = {"epochs": 4, "forced": True, "epoch_s": 41.6, "left_s": 3.0, "mirror": False, "upside_down": False}
    strategy, why = allowed(plan, CONFIG)
    assert strategy.max_epochs == 4
    assert sentences(why).startswith("The time given (2.5\u00a0min) was too short: 4 epochs")
