"""The training loop on a tiny network: what changes, what must not, and flips that are measured."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from svertka.backbones import load_backbone
from svertka.config import Augment, FineTune
from svertka.data.loader import ImageSource
from svertka.errors import TrainingError
from svertka.schema import Preprocess
from svertka.transfer import augment, loop
from svertka.transfer.head import LinearHead
from svertka.transfer.network import Classifier, parameter_groups, set_mode
from svertka.transfer.views import mean_over_views, measure_flips

SIZE = 32


class Store:
    """Images by name, as a PixelStore gives them."""

    def __init__(self, images):
        self.images = images

    def read(self, files_and_hashes, max_pixels):
        return np.stack([self.images[name] for _, name in files_and_hashes])


def source_of(images, labels):
    names = [str(number) for number in range(len(images))]
    return ImageSource(Store(dict(zip(names, images, strict=True))), names, names, np.asarray(labels, np.int64))


def bright_half(count, seed, *, axis):
    """Class 1 is brighter at the end of an axis, class 0 at its start."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 100, (count, SIZE, SIZE, 3), dtype=np.uint8)
    labels = np.arange(count) % 2
    for image, label in zip(images, labels, strict=True):
        half = slice(SIZE // 2, None) if label else slice(0, SIZE // 2)
        image[(half, slice(None)) if axis == 0 else (slice(None), half)] += 120
    return source_of(images, labels)


@pytest.fixture
def task():
    backbone = load_backbone("timm:test_efficientnet", "none", size_px=SIZE)
    strategy = FineTune(max_epochs=3, batch_size=8, patience=9, stage_rate=2e-3, head_rate=1e-3)
    train, val = bright_half(32, 0, axis=0), bright_half(16, 1, axis=0)
    return loop.Task(backbone=backbone, strategy=strategy, train=train, val=val, seed=0)


def classifier(task):
    d = sum(task.backbone.widths)
    zeros = np.zeros((2, d), np.float32)
    return Classifier(task.backbone.module, LinearHead(zeros[0], zeros[0] + 1, zeros, np.zeros(2, np.float32)))


def test_training_lowers_the_loss_and_leaves_frozen_statistics_alone(task, tmp_path):
    model = classifier(task)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    history = loop.train(model, task, tmp_path)
    assert history[-1].train_loss < history[0].train_loss
    after = model.state_dict()
    for name, value in before.items():
        if "running_" in name or "num_batches" in name:
            assert torch.equal(after[name], value), name
    assert not torch.equal(after["linear.weight"], before["linear.weight"])


def test_a_step_is_measured_on_a_copy(task):
    model = classifier(task)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert loop.measure_step(model, task) > 0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_rates_grow_toward_the_last_stage(task):
    groups = parameter_groups(classifier(task), task.backbone, task.strategy)
    peaks = [group["peak"] for group in groups if group["weight_decay"]]
    assert peaks[:-1] == sorted(peaks[:-1])
    assert all(p.ndim > 1 for group in groups if group["weight_decay"] for p in group["params"])
    learning = sum(p.numel() for group in groups for p in group["params"])
    assert learning == sum(p.numel() for p in classifier(task).parameters())


def test_schedule_warms_up_and_ends_at_zero():
    strategy = FineTune(warmup=0.1)
    assert loop.learning_rate(strategy, 0.0) == 0
    assert loop.learning_rate(strategy, 0.1) == pytest.approx(1)
    assert loop.learning_rate(strategy, 1.0) == pytest.approx(0)


def test_batch_norm_policy(task):
    model = classifier(task)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    set_mode(model, FineTune(batch_norm="frozen"))
    assert norms
    assert not any(module.training for module in norms)
    set_mode(model, FineTune(batch_norm="batch"))
    assert all(module.training for module in norms)


def test_gradients_are_clipped_to_a_norm_where_one_is_asked_for(task, tmp_path):
    def last_norm(clip_norm):
        one = replace(task, strategy=replace(task.strategy, max_epochs=1, clip_norm=clip_norm))
        model = copy.deepcopy(classifier(one))
        loop.train(model, one, tmp_path / f"{clip_norm:g}")
        return float(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).norm())

    untouched = last_norm(0)
    assert untouched > 0.02
    assert last_norm(0.01) == pytest.approx(0.01, rel=1e-3)
    assert last_norm(100) == untouched


def test_nothing_drawn_changes_nothing():
    still = Augment(min_area=1.0, brightness=0.0, contrast=0.0)
    x = torch.rand(4, 3, SIZE, SIZE)
    drawn = augment.draw(still, 4, np.random.default_rng(0))
    torch.testing.assert_close(augment.apply(drawn, x), x, atol=1e-5, rtol=0)


def test_flips_are_flips():
    only = Augment(mirror=True, min_area=1.0, brightness=0.0, contrast=0.0)
    x = torch.rand(16, 3, SIZE, SIZE)
    drawn = augment.draw(only, 16, np.random.default_rng(0))
    y = augment.apply(drawn, x)
    flipped = [torch.allclose(b, a.flip(2), atol=1e-5) for a, b in zip(x, y, strict=True)]
    kept = [torch.allclose(b, a, atol=1e-5) for a, b in zip(x, y, strict=True)]
    assert all(a != b for a, b in zip(flipped, kept, strict=True))
    assert 0 < sum(flipped) < 16


@pytest.mark.parametrize(("axis", "mirror", "upside_down"), [(0, True, False), (1, False, True)])
def test_flips_that_change_the_class_are_refused(axis, mirror, upside_down):
    def logits(images):
        rows = images.mean(axis=(2, 3)) if axis == 0 else images.mean(axis=(1, 3))
        gap = (rows[:, SIZE // 2 :].mean(1) - rows[:, : SIZE // 2].mean(1)) / 20
        return np.stack([-gap, gap], axis=1).astype(np.float32)

    found = measure_flips(logits, bright_half(40, 0, axis=axis), Augment())
    assert (found.mirror, found.upside_down) == (mirror, upside_down)


def test_mean_over_views_is_blind_to_the_flips():
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * SIZE * SIZE, 5))
    mean = mean_over_views(module, Augment(mirror=True, upside_down=True))
    x = torch.rand(2, 3, SIZE, SIZE)
    torch.testing.assert_close(mean(x), mean(x.flip(3)))
    torch.testing.assert_close(mean(x), mean(x.flip(2)))
    assert mean_over_views(module, Augment()) is module


def test_input_is_normalised_channel_by_channel():
    preprocess = Preprocess(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 1.0))
    x = loop.normalise(loop.to_input(np.full((1, 2, 2, 3), 255, np.uint8)), preprocess)
    torch.testing.assert_close(x[0, :, 0, 0], torch.tensor([1.8, 3.2, 0.7]))


def test_training_that_diverges_says_so(task, tmp_path):
    wild = replace(task, strategy=replace(task.strategy, stage_rate=1e18))
    with pytest.raises(TrainingError, match=r"diverged in epoch 1: .* Lower stage_rate \(1e\+18\)"):
        loop.train(classifier(wild), wild, tmp_path)


@pytest.mark.parametrize(
    ("epoch", "best", "finished"), [(7, 1, False), (12, 1, False), (16, 1, True), (16, 15, False), (20, 19, True)]
)
def test_stopping_early_waits_for_half_time(epoch, best, finished):
    strategy = FineTune(max_epochs=20, patience=6)
    assert loop._finished(loop.Progress(epoch=epoch, best_epoch=best), strategy) == finished
