"""One optimizer step: batches, gradients in micro-batches, the update. Imports torch.

Every random number is drawn from (seed, epoch) or (seed, epoch, step), never from a stream that runs on.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from svertka.config import FineTune
from svertka.schema import EventSink, Notice
from svertka.training.batches import Rows
from svertka.training.classifier import Classifier, set_mode
from svertka.training.phase_state import PhaseState
from svertka.training.task import Task
from svertka.training.training_state import TrainingState


def epoch_batches(phase: PhaseState, task: Task, epoch: int, step: int = 0) -> Iterator[tuple[Rows, Any]]:
    """Batches of an epoch from ``step`` on: (row numbers, raw data); a seed draws the same ones every time."""
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
    yield from phase.batches.batches(order[step * settings.batch_size :], settings.batch_size)


def optimizer_step(
    phase: PhaseState, task: Task, state: TrainingState, rows: Rows, raw: Any, on_event: EventSink
) -> float:
    """Changes the network by one batch, and its average with it; returns the mean loss of the batch."""
    settings, epoch, step = task.strategy.settings, state.epoch, state.step
    seed = np.random.SeedSequence([task.seed, epoch, step]).generate_state(1, np.uint64)[0]
    torch.manual_seed(int(seed))  # what torchvision draws, dropout and stochastic depth, if any
    x, targets = phase.batches.inputs(rows, raw, epoch, step)
    loss, state.micro_batch = gradients(phase, settings, x, targets, state.micro_batch, on_event)
    if settings.clip_norm:
        torch.nn.utils.clip_grad_norm_(phase.model.parameters(), settings.clip_norm)
    assert state.course is not None
    done = state.phase_steps(task.steps)
    factor = learning_rate(settings.warmup, state.course.at(done))
    for group in phase.optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    phase.optimizer.step()
    _update_average(phase.average, phase.model, settings.average_decay, done)
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


def learning_rate(warmup: float, position: float) -> float:
    """Factor on every peak rate at ``position`` in 0..1: linear warm-up, then half a cosine down to zero."""
    if position < warmup:
        return position / warmup
    return 0.5 * (1 + math.cos(math.pi * (position - warmup) / (1 - warmup)))


def gradients(
    phase: PhaseState, settings: FineTune, x: Tensor, targets: Tensor, micro_batch: int, on_event: EventSink
) -> tuple[float, int]:
    """Fills the gradients of a whole batch, part by part.

    Where memory runs out, the parts are halved and the batch begins again: the step stays the same but for rounding
    (statistics of a training BatchNorm are those of a part, and may have seen one part twice).

    Args:
        phase: what is trained.
        settings: of loss and precision.
        x: inputs of the batch.
        targets: labels [N] or shares of classes [N, K].
        micro_batch: images at once; 0: as the settings say.
        on_event: hears that parts were made smaller.

    Returns:
        Mean loss, and the size of the parts to go on with.
    """
    size = micro_batch or settings.micro_batch or settings.batch_size
    while True:
        try:
            return _accumulate(phase, settings, x, targets, size), micro_batch and size
        except (RuntimeError, MemoryError) as error:
            if size == 1 or not out_of_memory(error):
                raise
        size = micro_batch = max(1, min(size, len(x)) // 2)
        on_event(Notice("memory_ran_out", {"n": size, "batch_size": settings.batch_size}, level="warning"))


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out; torch tells it on processors by its text alone."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or any(text in str(error).lower() for text in ("can't allocate memory", "out of memory"))


def _accumulate(phase: PhaseState, settings: FineTune, x: Tensor, targets: Tensor, size: int) -> float:
    set_mode(phase.model, phase.in_eval_mode)
    phase.optimizer.zero_grad(set_to_none=True)
    weights = phase.class_weights
    total = float(len(x)) if weights is None or targets.ndim > 1 else float(weights[targets].sum())
    loss_sum = 0.0
    for part, wanted in zip(torch.split(x, size), torch.split(targets, size), strict=True):
        with phase.folded:
            logits = phase.batches.forward(phase.model, part)
        smoothing = settings.label_smoothing
        loss = cross_entropy(logits, wanted, weights, reduction="sum", label_smoothing=smoothing) / total
        loss.backward()  # type: ignore[no-untyped-call]
        loss_sum += float(loss.detach())
    return loss_sum
