"""The training loop on a tiny network: what changes, what must not, and flips that are measured."""

import copy
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_data import SIZE, bright_half, classifier

from svertka.backbones.load import load_backbone
from svertka.backbones.tensors import normalise, to_input
from svertka.config import Augment, FineTune
from svertka.config.fine_tuning import AUGMENTS
from svertka.errors import ConfigError, DataError, TrainingError
from svertka.messages import sentences
from svertka.schema import Advanced, EpochEnded, Notice, Preprocess
from svertka.training import augmentation, checkpoint, loop, step
from svertka.training.bf16_gradients import check_precision
from svertka.training.budget import Allowance, Course
from svertka.training.classifier import eval_modules, parameter_groups, set_mode
from svertka.training.measure import measure_steps
from svertka.training.phase_state import open_phase
from svertka.training.strategies import make_strategy
from svertka.training.task import Task
from svertka.training.training_state import TrainingState, read_state
from svertka.training.tta import mean_over_views, measure_flips


@pytest.fixture
def task():
    backbone = load_backbone("timm:test_efficientnet", "none", size_px=SIZE)
    settings = FineTune(max_epochs=3, batch_size=8, patience=9, stage_rate=2e-3, head_rate=1e-3)
    strategy = make_strategy("lp-ft", settings, len(backbone.stages))
    train, val = bright_half(32, 0, axis=0), bright_half(16, 1, axis=0)
    return Task(backbone=backbone, strategy=strategy, train=train, val=val, seed=0)


def with_settings(task, name="lp-ft", **changes):
    settings = replace(task.strategy.settings, **changes)
    return replace(task, strategy=make_strategy(name, settings, len(task.backbone.stages)))


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
    (seconds,) = measure_steps(model, task)
    assert seconds > 0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_rates_grow_toward_the_last_stage(task):
    groups = parameter_groups(classifier(task), task.backbone, task.strategy, task.strategy.phases[0])
    peaks = [group["peak"] for group in groups if group["weight_decay"]]
    assert peaks[:-1] == sorted(peaks[:-1])
    assert all(p.ndim > 1 for group in groups if group["weight_decay"] for p in group["params"])
    learning = sum(p.numel() for group in groups for p in group["params"])
    assert learning == sum(p.numel() for p in classifier(task).parameters())


def test_schedule_warms_up_and_ends_at_zero():
    assert loop.learning_rate(0.1, 0.0) == 0
    assert loop.learning_rate(0.1, 0.1) == pytest.approx(1)
    assert loop.learning_rate(0.1, 1.0) == pytest.approx(0)


def test_batch_norm_policy(task):
    model = classifier(task)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert norms
    for policy in ("frozen", "batch"):
        (phase,) = with_settings(task, batch_norm=policy).strategy.phases
        set_mode(model, eval_modules(model, task.backbone, phase))
        assert {module.training for module in norms} == {policy == "batch"}


def test_gradients_are_clipped_to_a_norm_where_one_is_asked_for(task, tmp_path):
    def last_norm(clip_norm):
        one = with_settings(task, max_epochs=1, clip_norm=clip_norm)
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
    drawn = augmentation.draw(still, 4, np.random.default_rng(0))
    torch.testing.assert_close(augmentation.apply(drawn, x), x, atol=1e-5, rtol=0)


def test_flips_are_flips():
    only = Augment(mirror=True, min_area=1.0, brightness=0.0, contrast=0.0)
    x = torch.rand(16, 3, SIZE, SIZE)
    drawn = augmentation.draw(only, 16, np.random.default_rng(0))
    y = augmentation.apply(drawn, x)
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
    mean = mean_over_views(module, FineTune(augment=Augment(mirror=True, upside_down=True)))
    x = torch.rand(2, 3, SIZE, SIZE)
    torch.testing.assert_close(mean(x), mean(x.flip(3)))
    torch.testing.assert_close(mean(x), mean(x.flip(2)))
    assert mean_over_views(module, FineTune()) is module


def test_mean_over_shifts_counts_the_unmoved_image_as_much_as_both_moved_ones():
    x = torch.rand(2, 3, SIZE, SIZE)
    mean = mean_over_views(torch.nn.Flatten(), FineTune(average_shifts=True))(x).reshape(x.shape)
    inner = x[..., 1:-1, 1:-1] / 2 + x[..., :-2, :-2] / 4 + x[..., 2:, 2:] / 4
    torch.testing.assert_close(mean[..., 1:-1, 1:-1], inner)


def test_input_is_normalised_channel_by_channel():
    preprocess = Preprocess(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 1.0))
    x = normalise(to_input(np.full((1, 2, 2, 3), 255, np.uint8)), preprocess)
    torch.testing.assert_close(x[0, :, 0, 0], torch.tensor([1.8, 3.2, 0.7]))


def test_training_that_diverges_says_so(task, tmp_path):
    wild = with_settings(task, stage_rate=1e18)
    with pytest.raises(TrainingError, match=r"diverged in epoch 1: .* Lower the rates \(stages up to 1e\+18, head"):
        loop.train(classifier(wild), wild, tmp_path)


def test_training_that_diverges_later_keeps_what_was_good_and_says_so(task, tmp_path, monkeypatch):
    longer = with_settings(task, max_epochs=3)
    steps = math.ceil(len(task.train) / longer.strategy.settings.batch_size)
    real, calls, heard = step.gradients, [], []

    def gradients(*arguments):
        calls.append(1)
        loss, size = real(*arguments)
        return (math.nan if len(calls) > steps + 1 else loss), size

    monkeypatch.setattr(step, "gradients", gradients)
    history = loop.train(classifier(longer), longer, tmp_path, heard.append)
    assert len(history) == 1
    (notice,) = [event for event in heard if isinstance(event, Notice)]
    assert notice == Notice("diverged", {"epoch": 2, "kept": 1}, level="warning")
    assert "ceased to be a finite number" in sentences(notice)


@pytest.mark.parametrize(
    ("epoch", "best", "finished"), [(7, 1, False), (12, 1, False), (16, 1, True), (16, 15, False), (20, 19, True)]
)
def test_stopping_early_waits_for_half_time(task, epoch, best, finished):
    longer = with_settings(task, max_epochs=20, patience=6)
    progress = TrainingState(epoch=epoch, best_epoch=best, course=Course(0, 0.0, 20 * longer.steps))
    assert loop.phase_is_over(progress, longer) == finished


def test_the_fitted_loss_is_blind_to_how_sure_a_network_says_it_is():
    logits, labels = 3 * torch.randn(200, 4, generator=torch.Generator().manual_seed(0)), torch.arange(200) % 4
    logits[torch.arange(200), labels] += 4
    plain = float(torch.nn.functional.cross_entropy(logits, labels))
    fitted = loop.fitted_log_loss(logits, labels)
    assert fitted <= plain
    for modesty in (0.2, 5.0):
        assert loop.fitted_log_loss(logits * modesty, labels) == pytest.approx(fitted, rel=1e-3)


def test_the_best_epoch_may_be_the_one_of_least_fitted_loss(task, tmp_path):
    by = {}
    for epochs_by in ("log_loss", "fitted_log_loss"):
        one = with_settings(task, max_epochs=2, epochs_by=epochs_by)
        model = copy.deepcopy(classifier(one))
        loop.train(model, one, tmp_path / epochs_by)
        by[epochs_by] = read_state(tmp_path / epochs_by, task)[1]
    assert by["log_loss"].best_loss == min(row.val_loss for row in by["log_loss"].history)
    assert by["fitted_log_loss"].best_loss < by["log_loss"].best_loss


def test_gradients_add_up_over_parts_of_a_batch(task, tmp_path):
    weights = []
    for micro_batch in (0, 3):
        one = with_settings(task, max_epochs=1, micro_batch=micro_batch, balance="weights")
        model = copy.deepcopy(classifier(one))
        loop.train(model, one, tmp_path / str(micro_batch))
        weights.append(model.linear.weight.detach())
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-5)


def test_a_step_is_made_in_smaller_parts_where_memory_runs_out(task, tmp_path):
    """The same weights as with parts that were small from the start, and a word about it."""
    finished = {}
    for limit, micro_batch in ((None, 2), (3, 0)):
        one = with_settings(task, max_epochs=1, micro_batch=micro_batch)
        model, heard = copy.deepcopy(classifier(one)), []

        def scarce(module, args, limit=limit):
            if module.training and limit is not None and len(args[0]) > limit:
                raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")

        model.register_forward_pre_hook(scarce)
        loop.train(model, one, tmp_path / str(limit), heard.append)
        finished[limit] = model.linear.weight.detach(), [each for each in heard if isinstance(each, Notice)]
    assert torch.equal(finished[None][0], finished[3][0])
    assert not finished[None][1]
    assert [notice.values["n"] for notice in finished[3][1]] == [4, 2]
    assert "images go through the network 2 at a time; a step still learns from 8" in sentences(finished[3][1][-1])


def test_an_error_that_is_not_about_memory_is_not_swallowed(task, tmp_path):
    model = classifier(task)
    model.register_forward_pre_hook(lambda module, args: 1 / 0 if module.training else None)
    with pytest.raises(ZeroDivisionError):
        loop.train(model, task, tmp_path)


def test_balanced_sampling_draws_rare_classes_as_often(task):
    source = task.train.rows(np.array([0] + [1, 3, 5, 7, 9, 11, 13] * 4))
    balanced = replace(with_settings(task, balance="sampling"), train=source)
    session = open_phase(classifier(task), classifier(task), balanced, 0, {})
    drawn = [rows for epoch in range(20) for rows, _ in step.epoch_batches(session, balanced, epoch)]
    assert 0.4 < (source.labels[np.concatenate(drawn)] == 0).mean() < 0.6


def test_class_weights_count_every_class_alike(task):
    source = task.train.rows(np.array([0, 2, 1, 3, 5, 7, 9, 11]))
    weighted = replace(with_settings(task, balance="weights"), train=source)
    session = open_phase(classifier(task), classifier(task), weighted, 0, {})
    totals = torch.zeros(2).index_add(0, torch.from_numpy(source.labels), session.class_weights[source.labels])
    torch.testing.assert_close(totals, torch.tensor([4.0, 4.0]))


@pytest.mark.parametrize("name", AUGMENTS)
def test_a_step_draws_the_same_changes_again(name, task):
    one = with_settings(task, augment=replace(AUGMENTS[name], alternate=name == "strong", mirror=True))
    batches = open_phase(classifier(one), classifier(one), one, 0, {}).batches
    rows = np.arange(8)

    def inputs(epoch, step):
        torch.manual_seed(epoch * 100 + step)  # as the loop does
        return batches.inputs(rows, one.train.read(rows), epoch, step)

    x, targets = inputs(1, 2)
    again, targets_again = inputs(1, 2)
    assert x.shape == (8, 3, SIZE, SIZE)
    assert torch.equal(x, again)
    assert torch.equal(targets, targets_again)
    if name != "none":
        assert not torch.equal(x, inputs(1, 3)[0])


def test_strong_changes_mix_two_images_and_their_classes(task):
    one = with_settings(task, augment=replace(AUGMENTS["strong"], mix=1.0))
    batches = open_phase(classifier(one), classifier(one), one, 0, {}).batches
    torch.manual_seed(0)
    _, shares = batches.inputs(np.arange(8), one.train.read(np.arange(8)), 0, 0)
    assert shares.shape == (8, 2)
    torch.testing.assert_close(shares.sum(1), torch.ones(8))


def test_alternating_flips_show_every_view_in_turn():
    signs = np.stack([augmentation.alternating(np.arange(6), 6, 0, epoch) for epoch in range(4)])
    assert (signs[1::2, :, 0] == -signs[::2, :, 0]).all()
    for image in range(6):
        assert len({tuple(view) for view in signs[:, image]}) == 4
    np.testing.assert_array_equal(augmentation.alternating(np.array([4, 2]), 6, 0, 3), signs[3, [4, 2]])


def test_bfloat16_learns_about_the_same(task, tmp_path):
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        with pytest.raises(ConfigError, match="no bfloat16 instructions; expected 'float32' or 'auto'"):
            check_precision(replace(FineTune(), precision="bf16"))
        return
    losses = []
    for precision in ("float32", "bf16"):
        one = with_settings(task, max_epochs=2, precision=precision)
        losses.append(loop.train(copy.deepcopy(classifier(one)), one, tmp_path / precision)[-1].val_loss)
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], abs=0.05)


class Clock:
    """Time passes by steps alone."""

    def __init__(self, step_s, stop_at=0):
        self.now, self.step_s, self.stop_at, self.heard = 0.0, step_s, stop_at, []

    def __call__(self):
        return self.now

    def hear(self, event):
        self.heard.append(event)
        if isinstance(event, Advanced):
            self.now += self.step_s
        if isinstance(event, EpochEnded) and event.row.epoch == self.stop_at:
            raise KeyboardInterrupt


def test_training_that_becomes_slow_ends_in_time_and_goes_on_as_it_was_cut(task, tmp_path, monkeypatch):
    longer = with_settings(task, max_epochs=30)
    allowance = Allowance(seconds=130.0, afterwards_s=10.0, step_s=(1.0,), validation_s=0.0, over=(1.0,), most=(30,))
    longer = replace(longer, allowance=allowance)
    clock = Clock(2.0)
    monkeypatch.setattr("svertka.training.budget.monotonic", clock)
    whole = copy.deepcopy(classifier(longer))
    history = loop.train(whole, longer, tmp_path / "whole", clock.hear)
    assert 80 <= clock.now <= 114  # what follows takes twice its time, too
    assert history[-1].learning_rate < 5e-5  # of 1e-3: the rate has gone its whole way
    (notice,) = [event for event in clock.heard if isinstance(event, Notice)]
    assert notice.code == "pace_slower" and notice.values["planned"] == 30
    assert notice.values["done"] == pytest.approx(clock.now / 2 / 4)

    stopped = Clock(2.0, stop_at=6)
    monkeypatch.setattr("svertka.training.budget.monotonic", stopped)
    with pytest.raises(KeyboardInterrupt):
        loop.train(copy.deepcopy(classifier(longer)), longer, tmp_path / "stopped", stopped.hear)
    kept = read_state(tmp_path / "stopped", task)[1]
    assert kept.course.end < 30 * 4
    steady = Clock(0.0)
    monkeypatch.setattr("svertka.training.budget.monotonic", steady)
    resumed = replace(longer, allowance=replace(allowance, most=(1,)))  # so that it isn't made longer again
    loop.train(copy.deepcopy(classifier(longer)), resumed, tmp_path / "stopped", steady.hear)
    steps = sum(isinstance(event, Advanced) for event in steady.heard)
    assert kept.epoch * 4 + kept.step + steps == kept.course.end


def test_a_step_that_takes_all_time_that_is_left_is_the_last(task, tmp_path, monkeypatch):
    longer = with_settings(task, max_epochs=30)
    allowance = Allowance(seconds=130.0, afterwards_s=10.0, step_s=(1.0,), validation_s=0.0, over=(1.0,), most=(30,))
    longer = replace(longer, allowance=allowance)
    clock = Clock(1.0)

    def hear(event):
        clock.hear(event)
        if sum(isinstance(each, Advanced) for each in clock.heard) == 6:  # in the middle of the second epoch
            clock.step_s = 1000.0

    monkeypatch.setattr("svertka.training.budget.monotonic", clock)
    history = loop.train(copy.deepcopy(classifier(longer)), longer, tmp_path / "held-up", hear)
    assert sum(isinstance(each, Advanced) for each in clock.heard) == 7
    assert len(history) == 2
    assert 0 < history[-1].learning_rate <= 1e-3
    assert read_state(tmp_path / "held-up", task)[1].course.end == 7


def test_short_epochs_take_the_images_in_turn(task):
    short = with_settings(task, epoch_images=12)
    session = open_phase(classifier(short), classifier(short), short, 0, {})
    assert (short.parts, short.steps) == (3, 2)
    drawn = [np.concatenate([rows for rows, _ in step.epoch_batches(session, short, epoch)]) for epoch in range(6)]
    assert [len(rows) for rows in drawn] == [12, 12, 8] * 2
    for start in (0, 3):
        assert sorted(np.concatenate(drawn[start : start + 3])) == list(range(32))
    assert not np.array_equal(drawn[0], drawn[3])


def test_goes_on_in_the_second_phase_with_the_same_bits(task, tmp_path):
    two = with_settings(task, "two-stage", head_epochs=2, second_epochs=2)
    whole = copy.deepcopy(classifier(two))
    loop.train(whole, two, tmp_path / "whole")

    class Stop(Exception):
        pass

    for stop_at in (2, 3):  # behind the first phase, and inside the second

        def stop(event, stop_at=stop_at):
            if isinstance(event, EpochEnded) and event.row.epoch == stop_at:
                raise Stop

        folder = tmp_path / str(stop_at)
        with pytest.raises(Stop):
            loop.train(copy.deepcopy(classifier(two)), two, folder, stop)
        resumed = copy.deepcopy(classifier(two))
        history = loop.train(resumed, two, folder)
        assert [row.phase for row in history] == ["head", "head", "fine-tune", "fine-tune"]
        for name, value in whole.state_dict().items():
            assert torch.equal(value, resumed.state_dict()[name]), name


OLD_FACTS = json.loads((Path(__file__).with_name("older_runs") / "training_facts.json").read_text())


def write_old_state(path, tensors, facts):
    """As older versions did: without a digest."""
    from safetensors.torch import save_file

    save_file(tensors, path, {"facts": json.dumps(facts)})


def test_what_an_older_version_knew_of_its_training_reads_back(task, tmp_path):
    write_old_state(tmp_path / "last.safetensors", {"x": torch.zeros(2)}, OLD_FACTS)
    tensors, progress = read_state(tmp_path, task)
    assert torch.equal(tensors["x"], torch.zeros(2))
    assert (progress.epoch, progress.step, progress.best_epoch, len(progress.history)) == (7, 0, 6, 7)
    assert progress.best_loss == min(row.selection_loss for row in progress.history) == OLD_FACTS["best_loss"]
    assert progress.steps_done == 7 * 4  # of 32 images in batches of 8
    assert progress.elapsed == pytest.approx(sum(row["seconds"] for row in OLD_FACTS["history"]))
    assert progress.course is None and not progress.early


def test_training_that_an_older_version_began_ends_in_the_same_bits(task, tmp_path):
    whole = classifier(task)
    killed, resumed = copy.deepcopy(whole), copy.deepcopy(whole)
    loop.train(whole, task, tmp_path / "whole")

    class Killed(Exception):
        pass

    def kill(event):
        if isinstance(event, EpochEnded) and event.row.epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        loop.train(killed, task, tmp_path / "old", kill)
    path = tmp_path / "old/last.safetensors"
    tensors, facts = checkpoint.load_state(path)
    assert facts["epoch"] == 2
    path.unlink()
    write_old_state(path, tensors, {name: value for name, value in facts.items() if name in OLD_FACTS})
    told = []
    loop.train(resumed, task, tmp_path / "old", told.append)
    assert not [event for event in told if isinstance(event, Notice)]
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


@pytest.mark.parametrize("changes", [{"epoch": "many"}, {"history": 3}, {"history": [3]}, {"of_tomorrow": 1}])
def test_training_state_that_is_not_understood_is_told_in_one_line(task, tmp_path, changes):
    checkpoint.save_state(tmp_path / "last.safetensors", {"x": torch.zeros(2)}, OLD_FACTS | changes)
    with pytest.raises(DataError, match=r"^checkpoint .*last\.safetensors cannot be read \(.*training starts again\.$"):
        read_state(tmp_path, task)
