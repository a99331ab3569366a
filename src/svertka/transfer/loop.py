"""The one training loop: every strategy that changes a network's weights runs through ``train``.

Torch by nature. Every random number is drawn from (seed, epoch) or (seed, epoch, step), never from a stream that runs
on, and the whole state goes to disk about once a minute: after a kill at any moment the same steps are done again and
end in the same bits.
"""

import copy
import itertools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from svertka.backbones import Backbone
from svertka.config import FineTune
from svertka.data.loader import ImageSource, batches
from svertka.errors import TrainingError
from svertka.schema import Advanced, EpochEnded, EpochRow, EventSink, Preprocess, ignore_events
from svertka.transfer import augment, checkpoint
from svertka.transfer.frozen_norm import FoldedNorms
from svertka.transfer.network import Classifier, parameter_groups, set_mode

SAVE_EVERY_S = 60.0
"""Seconds between two saves inside an epoch; a save takes a fraction of a second."""


@dataclass(slots=True)
class Progress:
    """Where training stands: all that a checkpoint holds besides tensors."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seen: int = 0
    seconds: float = 0.0
    best_epoch: int = 0
    best_loss: float = math.inf
    history: tuple[EpochRow, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What is trained on what: images by source, all in memory-light form."""

    backbone: Backbone
    strategy: FineTune
    train: ImageSource
    val: ImageSource
    seed: int


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
        model: starts from the probe's head.
        task: backbone, strategy, images and seed.
        directory: for ``last.safetensors`` (everything) and ``best.safetensors`` (the weights to keep).
        on_event: hears ``Advanced`` after each step (images done) and ``EpochEnded``.
        save_every_s: seconds between two saves inside an epoch.

    Raises:
        TrainingError: the loss ceased to be finite before any epoch ended well; after one, training ends with what
            is best so far.
    """
    strategy = task.strategy
    model.to(memory_format=torch.channels_last)
    average = copy.deepcopy(model).eval()
    optimizer = torch.optim.AdamW(parameter_groups(model, task.backbone, strategy))
    progress = _restore(directory, model, average, optimizer)
    forward = _forward_mode(model, task)
    last_save = time.monotonic()
    while not _finished(progress, strategy):
        started = time.monotonic() - progress.seconds
        for rows, images in _steps(task, progress):
            loss = _step(model, average, optimizer, task, progress, rows, images, forward)
            if not math.isfinite(loss):
                return _finish(model, progress, directory, strategy)
            progress.loss_sum += loss * len(rows)
            progress.seen += len(rows)
            progress.step += 1
            on_event(Advanced(progress.epoch * len(task.train) + progress.seen))
            progress.seconds = time.monotonic() - started
            if time.monotonic() - last_save > save_every_s:
                _save(directory, progress, model, average, optimizer)
                last_save = time.monotonic()
        progress = _end_epoch(progress, average, task, directory, on_event)
        _save(directory, progress, model, average, optimizer)
        last_save = time.monotonic()
    return _finish(model, progress, directory, strategy)


def measure_step(model: Classifier, task: Task, steps: int = 3) -> float:
    """Seconds that one training image takes, measured on a copy that is thrown away.

    The quickest step counts: the first one fetches memory, and other work on the machine only ever adds.
    """
    trial = copy.deepcopy(model).to(memory_format=torch.channels_last)
    average = copy.deepcopy(trial)
    optimizer = torch.optim.AdamW(parameter_groups(trial, task.backbone, task.strategy))
    forward = _forward_mode(trial, task)
    seconds = []
    for rows, images in itertools.islice(_steps(task, Progress()), steps):
        started = time.perf_counter()
        _step(trial, average, optimizer, task, Progress(), rows, images, forward)
        seconds.append((time.perf_counter() - started) / len(rows))
    return min(seconds)


def learning_rate(strategy: FineTune, position: float) -> float:
    """Factor on every peak rate at ``position`` in 0..1: linear warm-up, then half a cosine down to zero."""
    if position < strategy.warmup:
        return position / strategy.warmup
    return 0.5 * (1 + math.cos(math.pi * (position - strategy.warmup) / (1 - strategy.warmup)))


def to_input(images_NHWC: NDArray[np.uint8]) -> Tensor:
    """Uint8 images to floats in 0..1, [N, 3, S, S] in channels-last memory, without moving a pixel."""
    return torch.from_numpy(images_NHWC).permute(0, 3, 1, 2).float().div_(255)


def normalise(x: Tensor, preprocess: Preprocess) -> Tensor:
    """``(x - mean) / std`` a channel."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocess.mean, preprocess.std))
    return (x - mean) / std


def predict(model: Callable[[Tensor], Tensor], source: ImageSource, preprocess: Preprocess) -> NDArray[np.float32]:
    """Outputs of ``model`` [N, …] for every image of a source, in its order."""
    outputs = []
    with torch.inference_mode():
        for _, images in batches(source, np.arange(len(source)), 32):
            outputs.append(model(normalise(to_input(images), preprocess)).float().numpy())
    return np.concatenate(outputs)


# --- one step ----------------------------------------------------------------------------------------------------


def _steps(task: Task, progress: Progress) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Batches of the running epoch from the next step on: (rows of the draw, uint8 images)."""
    order = np.random.default_rng([task.seed, progress.epoch]).permutation(len(task.train))
    size = task.strategy.batch_size
    yield from batches(task.train, order[progress.step * size :], size)


def _forward_mode(model: Classifier, task: Task) -> AbstractContextManager[object]:
    """How the network runs forward in training: with frozen BatchNorm, folded into the convolutions."""
    if task.strategy.batch_norm == "frozen":
        return FoldedNorms(model, task.backbone.preprocess.size_px)
    return nullcontext()


def _step(
    model: Classifier,
    average: Classifier,
    optimizer: torch.optim.Optimizer,
    task: Task,
    progress: Progress,
    rows: NDArray[np.int64],
    images: NDArray[np.uint8],
    forward: AbstractContextManager[object],
) -> float:
    """One optimizer step; returns the mean loss of the batch."""
    strategy, epoch, step = task.strategy, progress.epoch, progress.step
    seed = np.random.SeedSequence([task.seed, epoch, step]).generate_state(1, np.uint64)[0]
    torch.manual_seed(int(seed))  # dropout and stochastic depth, if any
    drawn = augment.draw(strategy.augment, len(rows), np.random.default_rng([task.seed, epoch, step, 1]))
    x = normalise(augment.apply(drawn, to_input(images)), task.backbone.preprocess)
    labels = torch.from_numpy(task.train.labels[rows])
    set_mode(model, strategy)
    with forward:
        logits = model(x)
    loss = cross_entropy(logits, labels, label_smoothing=strategy.label_smoothing)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if strategy.clip_norm:
        torch.nn.utils.clip_grad_norm_(model.parameters(), strategy.clip_norm)
    steps = math.ceil(len(task.train) / strategy.batch_size)
    factor = learning_rate(strategy, (epoch * steps + step + 0.5) / (strategy.max_epochs * steps))
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    optimizer.step()
    _update_average(average, model, strategy, epoch * steps + step)
    return float(loss.detach())


def _update_average(average: Classifier, model: Classifier, strategy: FineTune, steps_done: int) -> None:
    """Moves the averaged weights toward the model's; early on quickly, so that the start is soon forgotten."""
    decay = min(strategy.average_decay, (1 + steps_done) / (10 + steps_done))
    with torch.no_grad():
        for kept, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)


# --- epochs and checkpoints --------------------------------------------------------------------------------------


def _finish(model: Classifier, progress: Progress, directory: Path, strategy: FineTune) -> tuple[EpochRow, ...]:
    """Leaves the model with its best weights, ready to judge."""
    if not progress.best_epoch:
        raise TrainingError(
            f"fine-tuning diverged in epoch {progress.epoch + 1}: no epoch ended with a finite loss. Lower stage_rate "
            f"({strategy.stage_rate:g}) and head_rate ({strategy.head_rate:g}) and train anew."
        )
    model.load_state_dict(checkpoint.load_state(directory / "best.safetensors")[0])
    model.eval()
    return progress.history


def _finished(progress: Progress, strategy: FineTune) -> bool:
    """Whether all epochs are done, or none of the last ``patience`` was the best.

    Waiting begins at half time: while the rates are high, validation often gets worse before it gets better.
    """
    waited = progress.epoch - max(progress.best_epoch, strategy.max_epochs // 2)
    return progress.epoch >= strategy.max_epochs or waited >= strategy.patience


def _end_epoch(progress: Progress, average: Classifier, task: Task, directory: Path, on_event: EventSink) -> Progress:
    """Judges the averaged weights on validation, keeps them if they are the best so far, and writes the curve on."""
    started = time.monotonic()
    logits = torch.from_numpy(predict(average, task.val, task.backbone.preprocess))
    labels = torch.from_numpy(task.val.labels)
    val_loss = float(cross_entropy(logits, labels))
    epoch = progress.epoch + 1
    steps = math.ceil(len(task.train) / task.strategy.batch_size)
    row = EpochRow(
        phase="fine-tune",
        epoch=epoch,
        train_loss=progress.loss_sum / progress.seen,
        val_loss=val_loss,
        val_accuracy=float((logits.argmax(1) == labels).double().mean()),
        learning_rate=task.strategy.head_rate
        * learning_rate(task.strategy, (epoch * steps - 0.5) / (task.strategy.max_epochs * steps)),
        seconds=progress.seconds + time.monotonic() - started,
    )
    best = val_loss < progress.best_loss
    if best:
        checkpoint.save_state(directory / "best.safetensors", average.state_dict(), {"epoch": epoch})
    on_event(EpochEnded(row, task.strategy.max_epochs, best))
    return Progress(
        epoch=epoch,
        best_epoch=epoch if best else progress.best_epoch,
        best_loss=val_loss if best else progress.best_loss,
        history=(*progress.history, row),
    )


def _save(
    directory: Path, progress: Progress, model: Classifier, average: Classifier, optimizer: torch.optim.Optimizer
) -> None:
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
    tensors |= checkpoint.optimizer_tensors(optimizer)
    facts = asdict(progress) | {"history": [asdict(row) for row in progress.history]}
    checkpoint.save_state(directory / "last.safetensors", tensors, facts)


def _restore(directory: Path, model: Classifier, average: Classifier, optimizer: torch.optim.Optimizer) -> Progress:
    path = directory / "last.safetensors"
    if not path.exists():
        return Progress()
    tensors, facts = checkpoint.load_state(path)
    for module, prefix in ((model, "model."), (average, "average.")):
        module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    checkpoint.restore_optimizer(optimizer, tensors)
    return replace(Progress(**_known(facts)), history=tuple(EpochRow(**row) for row in facts["history"]))


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if name != "history"}
