"""How long a training step takes on this machine. Imports torch."""

import copy
import itertools
import math
import statistics
import time

import torch

from svertka.schema import ignore_events
from svertka.training.budget import Course
from svertka.training.classifier import Classifier
from svertka.training.phase_state import open_phase
from svertka.training.step import epoch_batches, optimizer_step
from svertka.training.task import Task
from svertka.training.training_state import TrainingState


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
    for number, planned in enumerate(task.strategy.phases):
        if planned.cached:
            costs.append(0.0)
            continue
        course = Course(0, 0.0, planned.epochs * task.steps)
        phase, state = open_phase(trial, average, task, number, {}), TrainingState(phase=number, course=course)
        seconds: list[float] = []
        for rows, raw in itertools.islice(epoch_batches(phase, task, 0), steps):
            started = time.perf_counter()
            optimizer_step(phase, task, state, rows, raw, ignore_events)
            seconds.append((time.perf_counter() - started) / len(rows))
            if len(seconds) > 1 and sum(seconds) * len(rows) > within_s:
                break
        costs.append(statistics.median(seconds[-3:] if len(seconds) > 2 else seconds[-1:]))
    return tuple(costs)
