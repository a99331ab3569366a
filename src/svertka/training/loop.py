"""The one training loop: every strategy that changes a network's weights runs through ``train``.

Torch by nature. Every random number is drawn from (seed, epoch) or (seed, epoch, step), never from a stream that runs
on, and the whole state goes to disk about once a minute: after a kill at any moment the same steps are done again and
end in the same bits.
"""

import copy
import itertools
import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from svertka.errors import DataError, TrainingError
from svertka.schema import Advanced, EpochEnded, EpochRow, EventSink, Notice, ignore_events
from svertka.training import checkpoint
from svertka.training.batches import Rows
from svertka.training.budget import Course, Pace
from svertka.training.classifier import Classifier
from svertka.training.phase_state import PhaseState, open_phase
from svertka.training.step import gradients, learning_rate
from svertka.training.strategies import Phase
from svertka.training.task import Progress, Task
from svertka.util.from_dict import from_dict

SAVE_EVERY_S = 60.0
"""Seconds between two saves inside an epoch; a save takes a fraction of a second."""


def train(
    model: Classifier,
    task: Task,
    directory: Path,
    on_event: EventSink = ignore_events,
    save_every_s: float = SAVE_EVERY_S,
) -> tuple[EpochRow, ...]:
    """Trains ``model`` in place, leaves it with its best averaged weights, and returns the learning curve.

    State is kept in ``directory``; if some is there already, training goes on from it.

    Args:
        model: with the head that the strategy starts from.
        task: backbone, strategy, images and seed.
        directory: for ``last.safetensors`` (everything) and ``best.safetensors`` (the weights to keep).
        on_event: hears ``Advanced`` after each step (images done) and ``EpochEnded``.
        save_every_s: seconds between two saves inside an epoch.

    Raises:
        TrainingError: the loss ceased to be finite before any epoch ended well; after one, training ends with what
            is best so far.
    """
    model.to(memory_format=torch.channels_last)
    average = copy.deepcopy(model).eval()
    saved, progress = _read(directory, task)
    pace = Pace(task.allowance, progress.elapsed)
    while progress.phase < len(task.strategy.phases):
        phase = task.strategy.phases[progress.phase]
        progress.course = progress.course or Course(0, 0.0, phase.epochs * task.steps)
        begins = not saved and progress.phase > 0
        if begins and progress.best_epoch:
            for module in (model, average):
                module.load_state_dict(checkpoint.load_state(directory / "best.safetensors")[0])
        state = open_phase(model, average, task, progress.phase, saved)
        if begins:  # kept before this phase finds better weights, which are not those that it began with
            _save(directory, progress, state)
        saved = {}
        while not _finished(progress, task):
            finite = _epoch(state, task, progress, pace, directory, on_event, save_every_s)
            if not finite:
                on_event(
                    Notice("diverged", {"epoch": progress.epoch + 1, "kept": progress.best_epoch}, level="warning")
                )
                return _finish(model, progress, directory, phase)
            if not progress.seen:  # no time for another step
                break
            progress = _end_epoch(progress, state, task, pace, directory, on_event)
            _save(directory, progress, state)
        early = progress.early or not _run_out(progress, task)
        progress = replace(progress, phase=progress.phase + 1, phase_start=progress.epoch, course=None, early=early)
    _tell_pace(task, progress, on_event)
    return _finish(model, progress, directory, phase)


def _tell_pace(task: Task, progress: Progress, on_event: EventSink) -> None:
    """Says what training did otherwise than planned."""
    planned, done = task.strategy.epochs, progress.steps_done / task.steps
    if progress.early:
        on_event(Notice("stopped_early", {"patience": task.strategy.settings.patience, "done": progress.epoch}))
    elif task.allowance is None:  # nobody watched the clock
        return
    elif done < 0.9 * planned:
        on_event(Notice("pace_slower", {"planned": planned, "done": done}))
    elif done > 1.1 * planned:
        on_event(Notice("pace_quicker", {"planned": planned, "done": done}))


def measure_steps(model: Classifier, task: Task, steps: int = 3, within_s: float = math.inf) -> tuple[float, ...]:
    """Seconds that one training image takes in each phase, measured on a copy that is thrown away.

    The median step counts: the first one fetches memory, and the quickest has no share of what delays the others now
    and then. A phase on remembered features takes none worth counting.

    Args:
        model: as training begins.
        task: whose phases are measured.
        steps: of each phase.
        within_s: a phase that takes longer is measured by its second step.
    """
    trial = copy.deepcopy(model).to(memory_format=torch.channels_last)
    average = copy.deepcopy(trial)
    costs = []
    for number, phase in enumerate(task.strategy.phases):
        if phase.cached:
            costs.append(0.0)
            continue
        course = Course(0, 0.0, phase.epochs * task.steps)
        state, progress = open_phase(trial, average, task, number, {}), Progress(phase=number, course=course)
        seconds: list[float] = []
        for rows, raw in itertools.islice(epoch_batches(state, task, 0), steps):
            started = time.perf_counter()
            _step(state, task, progress, rows, raw, ignore_events)
            seconds.append((time.perf_counter() - started) / len(rows))
            if len(seconds) > 1 and sum(seconds) * len(rows) > within_s:
                break
        costs.append(statistics.median(seconds[-3:] if len(seconds) > 2 else seconds[-1:]))
    return tuple(costs)


# --- one epoch ---------------------------------------------------------------------------------------------------


def _epoch(
    state: PhaseState,
    task: Task,
    progress: Progress,
    pace: Pace,
    directory: Path,
    on_event: EventSink,
    save_every_s: float,
) -> bool:
    """The rest of the running epoch, or what there is time for; false if the loss ceased to be finite."""
    started, last_save = time.monotonic() - progress.seconds, time.monotonic()
    pace.begin_steps(progress.phase)
    for rows, raw in epoch_batches(state, task, progress.epoch, progress.step):
        assert progress.course is not None
        done = (progress.epoch - progress.phase_start) * task.steps + progress.step
        course = pace.corrected(progress.course, done, task.steps)
        if course is not progress.course:
            progress.course = course
            _keep_time(progress, pace, started)
            _save(directory, progress, state)
        if done >= course.end and (progress.seen or progress.best_epoch):
            break
        loss = _step(state, task, progress, rows, raw, on_event)
        if not math.isfinite(loss):
            return False
        progress.loss_sum += loss * len(rows)
        progress.seen += len(rows)
        progress.step += 1
        progress.steps_done += 1
        pace.step_taken()
        on_event(Advanced(progress.epoch * task.epoch_images + progress.seen))
        _keep_time(progress, pace, started)
        if time.monotonic() - last_save > save_every_s:
            _save(directory, progress, state)
            last_save = time.monotonic()
    return True


def _keep_time(progress: Progress, pace: Pace, started: float) -> None:
    progress.seconds, progress.elapsed = time.monotonic() - started, pace.elapsed


def epoch_batches(state: PhaseState, task: Task, epoch: int, step: int = 0) -> Iterator[tuple[Rows, Any]]:
    """Batches of an epoch from ``step`` on: (rows of the draw, raw data); a seed draws the same ones every time."""
    settings, labels = task.strategy.settings, task.train.labels
    if settings.balance == "sampling" or task.train.weights is not None:
        rng = np.random.default_rng([task.seed, epoch])
        share_N = np.ones(len(labels)) if task.train.weights is None else task.train.weights
        if settings.balance == "sampling":
            share_N = share_N / np.bincount(labels, share_N)[labels]
        order: NDArray[np.int64] = rng.choice(len(labels), task.epoch_images, p=share_N / share_N.sum())
    else:
        whole, part = divmod(epoch, task.parts)
        order = np.random.default_rng([task.seed, whole]).permutation(len(labels))
        order = order[part * task.epoch_images : (part + 1) * task.epoch_images]
    yield from state.batches.batches(order[step * settings.batch_size :], settings.batch_size)


def _step(state: PhaseState, task: Task, progress: Progress, rows: Rows, raw: Any, on_event: EventSink) -> float:
    """One optimizer step; returns the mean loss of the batch."""
    settings, epoch, step = task.strategy.settings, progress.epoch, progress.step
    seed = np.random.SeedSequence([task.seed, epoch, step]).generate_state(1, np.uint64)[0]
    torch.manual_seed(int(seed))  # what torchvision draws, dropout and stochastic depth, if any
    x, targets = state.batches.inputs(rows, raw, epoch, step)
    loss, progress.micro_batch = gradients(state, settings, x, targets, progress.micro_batch, on_event)
    if settings.clip_norm:
        torch.nn.utils.clip_grad_norm_(state.model.parameters(), settings.clip_norm)
    assert progress.course is not None
    done = (epoch - progress.phase_start) * task.steps + step
    factor = learning_rate(settings.warmup, progress.course.at(done))
    for group in state.optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    state.optimizer.step()
    _update_average(state.average, state.model, settings.average_decay, done)
    return loss


def _update_average(average: Classifier, model: Classifier, most: float, steps_done: int) -> None:
    """Moves the averaged weights toward the model's; early on quickly, so that the start is soon forgotten."""
    decay = min(most, (1 + steps_done) / (10 + steps_done))
    with torch.no_grad():
        for kept, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)


# --- epochs and checkpoints --------------------------------------------------------------------------------------


def _finish(model: Classifier, progress: Progress, directory: Path, phase: Phase) -> tuple[EpochRow, ...]:
    """Leaves the model with its best weights, all of it trainable again, ready to judge."""
    if not progress.best_epoch:
        raise TrainingError(
            f"training diverged in epoch {progress.epoch + 1}: no epoch ended with a finite loss. Lower the rates "
            f"(stages up to {max(phase.stage_rates):g}, head {phase.head_rate:g}) and train anew."
        )
    model.load_state_dict(checkpoint.load_state(directory / "best.safetensors")[0])
    model.requires_grad_(True).eval()
    return progress.history


def _finished(progress: Progress, task: Task) -> bool:
    """Whether all epochs of the running phase are done, or none of the last ``patience`` was the best.

    Waiting begins at half time: while the rates are high, validation often gets worse before it gets better.
    """
    assert progress.course is not None
    epochs = math.ceil(progress.course.end / task.steps)
    waited = progress.epoch - max(progress.best_epoch, progress.phase_start + epochs // 2)
    return _run_out(progress, task) or waited >= task.strategy.settings.patience


def _run_out(progress: Progress, task: Task) -> bool:
    """Whether the course of the running phase has come to its end."""
    assert progress.course is not None
    return (progress.epoch - progress.phase_start) * task.steps >= progress.course.end


def _end_epoch(
    progress: Progress, state: PhaseState, task: Task, pace: Pace, directory: Path, on_event: EventSink
) -> Progress:
    """Judges the averaged weights on validation, keeps them if they are the best so far, and writes the curve on."""
    assert progress.course is not None
    started, phase, settings = time.monotonic(), state.phase, task.strategy.settings
    logits, labels = state.batches.validate(state.average), torch.from_numpy(task.val.labels)
    val_loss = float(cross_entropy(logits, labels))
    pace.validated(time.monotonic() - started)
    epoch = progress.epoch + 1
    last = (progress.epoch - progress.phase_start) * task.steps + progress.step - 1
    judged = fitted_log_loss(logits, labels) if settings.epochs_by == "fitted_log_loss" else val_loss
    row = EpochRow(
        phase=phase.name,
        epoch=epoch,
        train_loss=progress.loss_sum / progress.seen,
        val_loss=val_loss,
        val_accuracy=float((logits.argmax(1) == labels).double().mean()),
        learning_rate=phase.head_rate * learning_rate(settings.warmup, min(1.0, progress.course.at(last))),
        seconds=progress.seconds + time.monotonic() - started,
        selection_loss=judged,
    )
    best = judged < progress.best_loss
    if best:
        checkpoint.save_state(directory / "best.safetensors", state.average.state_dict(), {"epoch": epoch})
    done = (epoch - progress.phase_start) * task.steps
    course = pace.corrected(progress.course, done, task.steps, longer=True) if done < progress.course.end else None
    course = course or progress.course
    later = sum(phase.epochs for phase in task.strategy.phases[progress.phase + 1 :])
    on_event(EpochEnded(row, progress.phase_start + math.ceil(course.end / task.steps) + later, best))
    return replace(
        progress,
        course=course,
        elapsed=pace.elapsed,
        epoch=epoch,
        step=0,
        loss_sum=0.0,
        seen=0,
        seconds=0.0,
        best_epoch=epoch if best else progress.best_epoch,
        best_loss=judged if best else progress.best_loss,
        history=(*progress.history, row),
    )


def fitted_log_loss(logits_NK: Tensor, labels_N: Tensor) -> float:
    """Log loss at the temperature that suits these logits best, to within a fiftieth of it.

    Label smoothing makes a network too modest: its plain loss may grow while its answers, told at a fitted
    temperature as those of a finished classifier are, get better.
    """
    temperatures = torch.logspace(-1.5, 1.5, 181, dtype=torch.float64)
    return min(float(cross_entropy(logits_NK.double() / temperature, labels_N)) for temperature in temperatures)


def _save(directory: Path, progress: Progress, state: PhaseState) -> None:
    tensors = state.tensors() | checkpoint.optimizer_tensors(state.optimizer)
    facts = asdict(progress) | {"history": [asdict(row) for row in progress.history]}
    checkpoint.save_state(directory / "last.safetensors", tensors, facts)


def _read(directory: Path, task: Task) -> tuple[dict[str, Tensor], Progress]:
    """What the last save held, of this version or an older one; nothing and the start where there is none.

    Raises:
        DataError: it is damaged, or of a newer version.
    """
    path = directory / "last.safetensors"
    if not path.exists():
        return {}, Progress()
    tensors, facts = checkpoint.load_state(path)
    try:
        progress = from_dict(Progress, facts)
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"checkpoint {path} cannot be read ({error!s:.200}); delete it and resume: training starts again."
        ) from error
    if "elapsed" not in facts:  # older: epochs were whole
        progress.elapsed = sum(row.seconds for row in progress.history) + progress.seconds
        progress.steps_done = progress.epoch * task.steps + progress.step
    return tensors, progress
