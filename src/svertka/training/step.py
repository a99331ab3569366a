"""The gradients of one step, in as many parts as memory needs. Torch by nature."""

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from svertka.config import FineTune
from svertka.schema import EventSink, Notice
from svertka.training.classifier import set_mode
from svertka.training.phase_state import PhaseState


def learning_rate(warmup: float, position: float) -> float:
    """Factor on every peak rate at ``position`` in 0..1: linear warm-up, then half a cosine down to zero."""
    if position < warmup:
        return position / warmup
    return 0.5 * (1 + math.cos(math.pi * (position - warmup) / (1 - warmup)))


def gradients(
    state: PhaseState, settings: FineTune, x: Tensor, targets: Tensor, micro_batch: int, on_event: EventSink
) -> tuple[float, int]:
    """Fills the gradients of a whole batch, part by part.

    Where memory runs out, the parts are halved and the batch begins again: the step stays the same but for rounding
    (statistics of a training BatchNorm are those of a part, and may have seen one part twice).

    Args:
        state: what is trained.
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
            return _accumulate(state, settings, x, targets, size), micro_batch and size
        except (RuntimeError, MemoryError) as error:
            if size == 1 or not out_of_memory(error):
                raise
        size = micro_batch = max(1, min(size, len(x)) // 2)
        on_event(Notice("memory_ran_out", {"n": size, "batch_size": settings.batch_size}, level="warning"))


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out; torch tells it on processors by its text alone."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or any(text in str(error).lower() for text in ("can't allocate memory", "out of memory"))


def _accumulate(state: PhaseState, settings: FineTune, x: Tensor, targets: Tensor, size: int) -> float:
    set_mode(state.model, state.still)
    state.optimizer.zero_grad(set_to_none=True)
    weights = state.class_weights
    total = float(len(x)) if weights is None or targets.ndim > 1 else float(weights[targets].sum())
    loss_sum = 0.0
    for part, wanted in zip(torch.split(x, size), torch.split(targets, size), strict=True):
        with state.folded:
            logits = state.batches.forward(state.model, part)
        smoothing = settings.label_smoothing
        loss = cross_entropy(logits, wanted, weights, reduction="sum", label_smoothing=smoothing) / total
        loss.backward()  # type: ignore[no-untyped-call]
        loss_sum += float(loss.detach())
    return loss_sum
