"""A learning rate is looked for by raising it from step to step until the loss explodes. Torch by nature.

Smith 2017, "Cyclical Learning Rates for Training Neural Networks" (arXiv 1506.01186, section 3.3). Everything happens
on a copy: weights, buffers, gradients and torch's generator are afterwards what they were.
"""

import copy
import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch

from svertka.errors import TrainingError
from svertka.schema import ignore_events
from svertka.training.classifier import Classifier
from svertka.training.loop import epoch_batches
from svertka.training.phase_state import open_session
from svertka.training.step import gradients
from svertka.training.task import Task

SMOOTHING, EXPLODED = 0.9, 4.0
"""Weight of the past in the smoothed loss; how many times its lowest value ends the search."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RateCurve:
    """What was found.

    Attributes:
        rates: of the fastest part of the network, rising.
        losses: smoothed, one a rate, in nats.
        suggestion: the rate at which the loss fell most steeply over the logarithm of the rate.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float

    def factor(self, highest: float) -> float:
        """What to multiply a strategy's rates with, if ``highest`` is the highest of them."""
        return self.suggestion / highest


def find_rate(
    model: Classifier, task: Task, *, low: float = 1e-6, high: float = 1.0, steps: int = 80, phase: int = -1
) -> RateCurve:
    """Tries rates from ``low`` to ``high``, by equal factors, one a step.

    The rates of the strategy's stages keep their ratios; frozen stages stay frozen. Batches are those that training
    with the task's seed would begin with, again and again if they are fewer.

    Args:
        model: stays as it is.
        task: whose strategy says what trains.
        low: first rate.
        high: last rate.
        steps: at most.
        phase: of the strategy; the last by default.

    Raises:
        TrainingError: the loss is not finite at the lowest rates already.
    """
    number = range(len(task.strategy.phases))[phase]
    trial = copy.deepcopy(model).to(memory_format=torch.channels_last)
    factor, smoothed = (high / low) ** (1 / (steps - 1)), 0.0
    rates: list[float] = []
    losses: list[float] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        session, settings = open_session(trial, trial, task, number, {}), task.strategy.settings
        top = max(group["peak"] for group in session.optimizer.param_groups)
        stream = ((epoch, *batch) for epoch in itertools.count() for batch in epoch_batches(session, task, epoch))
        for step, (epoch, rows, raw) in enumerate(itertools.islice(stream, steps)):
            rate = low * factor**step
            x, targets = session.feed.inputs(rows, raw, epoch, step)
            loss, _ = gradients(session, settings, x, targets, 0, ignore_events)
            smoothed = SMOOTHING * smoothed + (1 - SMOOTHING) * loss
            average = smoothed / (1 - SMOOTHING ** (step + 1))
            if not math.isfinite(loss) or (losses and average > EXPLODED * min(losses)):
                break
            rates.append(rate)
            losses.append(average)
            for group in session.optimizer.param_groups:
                group["lr"] = rate * group["peak"] / top
            session.optimizer.step()
    if len(losses) < 3:
        raise TrainingError(
            f"the loss is not finite at a rate of {low * factor ** len(losses):.2g}; "
            "look at the images, or begin lower."
        )
    lowest = max(2, int(np.argmin(losses)))
    steepest = int(np.argmin(np.gradient(losses[: lowest + 1])))
    return RateCurve(rates=tuple(rates), losses=tuple(losses), suggestion=rates[steepest])
