"""Strategies: what trains, what must not change by a single bit, and what is computed only once."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_data import bright_half, classifier

from svertka.backbones.load import load_backbone
from svertka.config import STRATEGY_NAMES, Augment, FineTune, Scratch
from svertka.errors import ConfigError
from svertka.features.linear_head import LinearHead
from svertka.runs.phase_table import as_text, spans
from svertka.training import loop
from svertka.training.classifier import fresh_head, starting_head
from svertka.training.strategies import describe, make_strategy, stage_rates
from svertka.training.task import Task

SIZE = 32
TRAINING = [name for name in STRATEGY_NAMES if name not in ("auto", "probe")]
BACKBONES = ("svertka:mobilenet_v2", "torchvision:mobilenet_v3_small", "timm:test_efficientnet", "timm:test_vit")
SHORT = FineTune(
    max_epochs=1, head_epochs=1, second_epochs=1, batch_size=8, stage_rate=2e-3, batch_norm="batch", patience=9
)


@pytest.fixture(scope="module")
def backbones():
    return {name: load_backbone(name, "none", size_px=160 if name == "timm:test_vit" else SIZE) for name in BACKBONES}


def task_for(backbone, name, settings=SHORT):
    size = backbone.preprocess.size_px
    strategy = make_strategy(name, settings, len(backbone.stages))
    return Task(
        backbone=replace(backbone, module=copy.deepcopy(backbone.module)),
        strategy=strategy,
        train=bright_half(16, 0, axis=0, size=size),
        val=bright_half(8, 1, axis=0, size=size),
        seed=0,
    )


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("name", TRAINING)
def test_a_frozen_stage_keeps_every_bit(name, backbone, backbones, tmp_path):
    """Phase by phase, with BatchNorm on batch statistics wherever a stage trains."""
    whole = task_for(backbones[backbone], name)
    model = classifier(whole)
    for number, phase in enumerate(whole.strategy.phases):
        task = replace(whole, strategy=replace(whole.strategy, phases=(phase,)))
        before = {key: value.clone() for key, value in model.features.body.state_dict().items()}
        loop.train(model, task, tmp_path / str(number))
        after = model.features.body.state_dict()
        frozen = {key for stage in phase.frozen for key in task.backbone.stages[stage].parameters}
        owners = {key.rpartition(".")[0] for key in frozen}
        kept = [key for key in before if key in frozen or key.rpartition(".")[0] in owners]
        assert frozen <= set(kept)
        for key in kept:
            assert torch.equal(before[key], after[key]), (phase.name, key)
        learnt = {key for key in before if not torch.equal(before[key], after[key])}
        assert bool(learnt) == (len(phase.frozen) < len(phase.stage_rates))


def test_what_is_remembered_gives_what_is_computed_anew(backbones, tmp_path):
    settings = replace(SHORT, head_epochs=3, augment=Augment.named("none"))
    cached = task_for(backbones["timm:test_efficientnet"], "two-stage", settings)
    head = cached.strategy.phases[0]
    assert head.cached
    results = []
    for phase in (head, replace(head, augmented=True)):  # the changes that nothing is drawn for
        assert phase.cached == (phase is head)
        task = replace(cached, strategy=replace(cached.strategy, phases=(phase,)))
        model = classifier(task)
        history = loop.train(model, task, tmp_path / str(phase.augmented))
        results.append((model.linear.weight.detach(), [row.val_loss for row in history]))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-4)


def test_gradual_unfreezing_goes_from_the_head_to_the_input_with_falling_rates():
    strategy = make_strategy("gradual-unfreezing", FineTune(), 4)
    assert [sorted(phase.frozen) for phase in strategy.phases] == [[0, 1, 2, 3], [0, 1, 2], [0, 1], [0], []]
    top = [phase.stage_rates[-1] for phase in strategy.phases[1:]]
    assert top == sorted(top, reverse=True)
    assert len(set(top)) == 4


def test_two_stages_are_the_head_and_then_everything_at_a_tenth():
    head, whole = make_strategy("two-stage", FineTune(), 3).phases
    assert (head.epochs, whole.epochs) == (10, 10)
    assert head.stage_rates == (0, 0, 0)
    assert (*whole.stage_rates, whole.head_rate) == pytest.approx((head.head_rate / 10,) * 4)


def test_rates_a_stage():
    rates, head = stage_rates(FineTune(rates="ladder"), 3, 0.5)
    assert (*rates, head) == pytest.approx((1e-5, 1e-4, 1e-3, 1e-2))
    rates, head = stage_rates(FineTune(stage_rate=1.0, stage_decay=0.5), 3, 0.5)
    assert (*rates, head) == (0.25, 0.5, 1.0, 0.5)
    listed = FineTune(rates="listed", listed_rates=(0.0, 0.1, 0.2, 0.3))
    assert stage_rates(listed, 3, 0.5) == ((0.0, 0.1, 0.2), 0.3)
    with pytest.raises(ConfigError, match="listed_rates are 4 numbers; expected 6: one for each of the network's 5"):
        stage_rates(listed, 5, 0.5)


def test_a_name_that_trains_nothing_is_refused():
    with pytest.raises(ConfigError, match=r"'ful' trains no weights; expected lp-ft, .* Did you mean full"):
        make_strategy("ful", FineTune(), 3)


def test_a_smaller_budget_takes_epochs_where_they_cost_time():
    strategy = make_strategy("gradual-unfreezing", FineTune(max_epochs=24, head_epochs=10), 4).scaled(0.4)
    assert [phase.epochs for phase in strategy.phases] == [10, 2, 2, 2, 2]
    assert [phase.epochs for phase in strategy.scaled(0.01).phases] == [10, 1, 1, 1, 1]


def test_the_table_says_what_trains():
    rows = describe(make_strategy("two-stage", FineTune(), 3), [("stage0", 10), ("stage1", 1000), ("stage2", 5)], 7)
    assert len(rows) == 8
    assert [(span.row.part, span.row.parameters) for span in spans(rows)] == [
        ("stage0–stage2", 1015),
        ("head", 7),
        ("stage0–stage2", 1015),
        ("head", 7),
    ]
    text = as_text(rows)
    assert "1 head           10  stage0–stage2       1,015  frozen  frozen     once" in text
    assert "2 fine-tune      10  head                    7  0.0001  –          each step" in text


def test_a_fresh_head_holds_all_classes_for_equally_likely(backbones):
    task = task_for(backbones["timm:test_efficientnet"], "full")
    head = fresh_head(classifier(task).head(), standardised=True)
    assert not head.logits(np.ones((2, len(head.mean_D)), np.float32)).any()


def test_lp_ft_starts_from_a_weakened_probe_and_others_from_nothing():
    rng = np.random.default_rng(0)
    probe = LinearHead(np.zeros(4, np.float32), np.ones(4, np.float32), *(rng.normal(size=s) for s in ((3, 4), 3)))
    x_ND = rng.normal(size=(5, 4)).astype(np.float32)
    settings = FineTune(head_scale=0.25)
    weakened = starting_head(probe, make_strategy("lp-ft", settings, 3), random=False)
    np.testing.assert_allclose(weakened.logits(x_ND), 0.25 * probe.logits(x_ND), rtol=1e-6)
    nothing = starting_head(probe, make_strategy("full", settings, 3), random=False)
    assert not nothing.logits(x_ND).any()


def test_from_scratch_learns_every_stage_alike_with_batch_statistics():
    (phase,) = make_strategy("scratch", Scratch(), 5).phases
    assert phase.batch_norm == "batch"
    assert len(set(phase.stage_rates)) == 1
    assert not phase.frozen


def test_stages_that_train_share_a_line_with_the_range_of_their_rates():
    rows = describe(make_strategy("gradual-unfreezing", FineTune(), 3), [(f"stage{n}", 10) for n in range(3)], 7)
    text = as_text(rows)
    assert text.count("\n") == 10
    assert "4 fine-tune       8  stage0–stage2          30  0.00033–0.00051  frozen     each step" in text


@pytest.mark.parametrize(("epochs", "factor"), [(24, 1.0), (12, 0.5), (4, 0.375)])
def test_fine_tuning_in_fewer_epochs_learns_at_lower_rates(epochs, factor):
    asked = make_strategy("lp-ft", FineTune(max_epochs=24), 3)
    (whole,), (cut,) = asked.phases, asked.within([epochs]).phases
    assert cut.epochs == epochs
    assert cut.stage_rates == pytest.approx([factor * rate for rate in whole.stage_rates])
    assert cut.head_rate == whole.head_rate


def test_rates_that_were_named_stay_whatever_the_epochs():
    ladder = make_strategy("lp-ft", FineTune(max_epochs=24, rates="ladder"), 3)
    plain = make_strategy("full", FineTune(max_epochs=24), 3)
    for asked in (ladder, plain):
        assert asked.within([3]).phases[0].stage_rates == asked.phases[0].stage_rates
