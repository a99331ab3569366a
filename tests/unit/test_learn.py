"""What a time budget allows: the strategy, and the reason as it is told."""

import time
from dataclasses import replace

import numpy as np
import pytest

from svertka.config import FineTune, RunConfig
from svertka.features.experiment import Experiment
from svertka.messages import sentences
from svertka.model_selection.select import choose, learn
from svertka.schema import Notice, Predictions, Split, ignore_events
from svertka.training.budget_plan import BudgetDecision, BudgetPlan, allowed
from svertka.training.job import TrainingJob
from svertka.training.strategies import make_strategy
from svertka.training.trained_classifier import TrainedClassifier

ASKED = make_strategy("lp-ft", FineTune(max_epochs=16, min_epochs=4), 3)
PLAN = BudgetPlan(
    strategy="lp-ft",
    epochs=(16,),
    epoch_images=0,
    late=False,
    views=True,
    forced=False,
    networks=1,
    least=512,
    least_s=21.3,
    epoch_s=41.6,
    step_s=(1.3,),
    validation_s=2.0,
    over=(1.0,),
    left_s=110.2,
    after_s=20.0,
    mirror=True,
    upside_down=False,
)


@pytest.mark.parametrize(
    ("changes", "epochs", "said"),
    [
        (
            {"epochs": ()},
            0,
            "There was no time for fine-tuning: to show the network 512 images (repetitions counted), about the "
            "least that changes anything, takes about 21\u00a0s here, and reading the images and judging with "
            "such a network 40\u00a0s, more than the "
            "2.5\u00a0min given. Give at least 2 with `--minutes`.",
        ),
        (
            {"epochs": (5,)},
            5,
            "Of the time given (2.5\u00a0min) 110\u00a0s were left to train in, enough for 5 of 16 epochs: one takes "
            "about 42\u00a0s here.",
        ),
        (
            {"epochs": (4,), "epoch_images": 250},
            4,
            "Of the time given (2.5\u00a0min) 110\u00a0s were left to train in, too short for whole epochs (about "
            "42\u00a0s each here): 4 short ones of 250 images show the 1,000 training images 1.0 times. More "
            "time would help.",
        ),
        (
            {"epochs": (1,), "epoch_images": 512, "forced": True, "left_s": -3.0},
            1,
            "Of the time given (2.5\u00a0min) 0\u00a0s were left to train in, which is too short; as the strategy was "
            "asked for, it was shown 512 images all the same (repetitions counted), about the least that changes "
            "anything, which takes about 21\u00a0s here.",
        ),
        ({}, 16, "The time was enough for all epochs (16): more of it would add none."),
    ],
)
def test_budget_decides_the_epochs_and_says_so(changes, epochs, said):
    planned = allowed(replace(PLAN, **changes), ASKED, 2.5, 1000)
    strategy = planned.strategy
    assert (strategy.epochs if strategy else 0) == epochs
    assert sentences(planned.why) == said
    if strategy:
        assert (strategy.settings.augment.mirror, strategy.settings.augment.upside_down) == (True, False)
        assert strategy.settings.epoch_images == changes.get("epoch_images", 0)


class Answers(TrainedClassifier):
    """Validation predictions and nothing behind them."""

    features = reference = graph = weights = None


Answers.__abstractmethods__ = frozenset()


@pytest.mark.parametrize(("sure", "kept"), [(2.0, "lp-ft"), (0.5, "probe")])
def test_auto_keeps_the_better_of_probe_and_fine_tuned_network(sure, kept, tmp_path, monkeypatch):
    split = Split(train=(0, 1), val=(2, 3), test=(), seed=0, units=(0, 1, 2, 3))
    config = RunConfig(data="photos", minutes=10)
    experiment = Experiment(config=config, extractor=None, catalog=None, split=split, store=None, cache=tmp_path)
    job = TrainingJob(experiment=experiment, tables={}, folder=tmp_path, started=time.monotonic())

    def classifier(strategy, sure):
        logits_NK = np.array([[sure, 0], [0, sure]], np.float32)
        val = Predictions(logits_NK=logits_NK, labels_N=np.array([0, 1]), paths=("", ""), class_names=("a", "b"))
        return Answers(strategy=strategy, val=val, temperature=1.0, head=None)

    planned = []

    def plan(job, probe, name, insist):
        planned.append((name, insist))
        return BudgetDecision(strategy=name, why=Notice("epochs_all", {"n": 1}))

    monkeypatch.setattr("svertka.model_selection.select.train_probe", lambda job: classifier("probe", 1.0))
    monkeypatch.setattr("svertka.training.finetune.plan", plan)
    monkeypatch.setattr(
        "svertka.training.finetune.train", lambda job, probe, planned, on_event: classifier(planned.strategy, sure)
    )
    selection = learn(job, ignore_events)
    assert planned == [("lp-ft", False)]
    assert selection.decision.strategy == selection.chosen.strategy == kept
    assert set(selection.decision.val_scores) == {"probe", "lp-ft"}


def pair(margin):
    """A cheap and a costly classifier, whose answers are surer by so much."""
    rng = np.random.default_rng(0)
    labels_N = rng.integers(0, 2, 40)

    def classifier(strategy, gain):
        right_N = rng.normal(1 + gain, 1.0, 40)
        logits_NK = np.zeros((40, 2), np.float32)
        logits_NK[np.arange(40), labels_N] = right_N
        val = Predictions(logits_NK=logits_NK, labels_N=labels_N, paths=("",) * 40, class_names=("a", "b"))
        return Answers(strategy=strategy, head=None, val=val, temperature=1.0)

    return classifier("probe", 0.0), classifier("lp-ft", margin)


@pytest.mark.parametrize(("margin", "kept"), [(0.0, "probe"), (0.05, "probe"), (3.0, "lp-ft")])
def test_the_costlier_one_needs_more_than_one_standard_error(margin, kept):
    better, why = choose(*pair(margin), np.arange(40))
    assert better.strategy == kept
    assert ("more than one standard error" in sentences(why)) and ("stays" in sentences(why)) == (kept == "probe")


def test_folds_that_learn_from_the_same_images_need_a_larger_gain():
    _, alone = choose(*pair(0.5), np.arange(40))
    _, folded = choose(*pair(0.5), np.arange(40), learnt_from=20)
    assert folded.values["error"] == pytest.approx(alone.values["error"] * 3**0.5)
