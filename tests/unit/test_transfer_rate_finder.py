"""The search for a learning rate finds one that learns, and leaves no trace."""

from dataclasses import replace

import pytest
import torch
from training_data import SIZE, bright_half, classifier

from svertka.backbones.load import load_backbone
from svertka.config import FineTune
from svertka.errors import TrainingError
from svertka.training.rate_finder import find_rate
from svertka.training.strategies import make_strategy
from svertka.training.task import Task


@pytest.fixture(scope="module")
def task():
    backbone = load_backbone("timm:test_efficientnet", "none", size_px=SIZE)
    settings = FineTune(batch_size=8, batch_norm="batch")
    strategy = make_strategy("plain", settings, len(backbone.stages))
    train, val = bright_half(32, 0, axis=0), bright_half(8, 1, axis=0)
    return Task(backbone=backbone, strategy=strategy, train=train, val=val, seed=0)


def test_a_rate_is_found_without_a_trace(task):
    model = classifier(task)
    model.linear.weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    generator = torch.get_rng_state()
    curve = find_rate(model, task, steps=60)
    assert torch.equal(torch.get_rng_state(), generator)
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.linear.weight.requires_grad
    assert model.features.body.conv_stem.weight.requires_grad
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert list(curve.rates) == sorted(curve.rates)
    assert len(curve.rates) == len(curve.losses)
    assert 1e-5 < curve.suggestion < 0.5
    assert curve.losses[curve.rates.index(curve.suggestion)] < curve.losses[0]
    assert curve == find_rate(model, task, steps=60)


def test_a_loss_that_is_never_finite_is_told(task):
    model = classifier(task)
    model.scale.zero_()
    with pytest.raises(TrainingError, match="not finite at a rate of 1e-06; look at the images, or begin lower"):
        find_rate(model, task, steps=5)
    model.scale.fill_(1)


def test_a_rate_for_one_phase(task):
    strategy = make_strategy("two-stage", task.strategy.settings, len(task.backbone.stages))
    curve = find_rate(classifier(task), replace(task, strategy=strategy), steps=20, high=1e-1, phase=0)
    assert curve.factor(curve.suggestion) == 1
