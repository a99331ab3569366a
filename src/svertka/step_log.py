"""Times the steps of a run and writes down what happened: the events go to a log file and to whoever listens."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from svertka import runtime
from svertka.messages import sentences, shown
from svertka.schema import (
    Advanced,
    EpochEnded,
    Event,
    EventSink,
    Notice,
    RunStarted,
    StepCost,
    StepEnded,
    StepStarted,
    TrainingPlanned,
)
from svertka.transfer.strategies import as_text


@dataclass
class Step:
    """A running step; what it came to is said in ``summary``."""

    summary: str = ""


class StepLog:
    """An event sink that passes events on, keeps ``costs``, and writes lines to a file."""

    def __init__(self, path: Path, on_event: EventSink) -> None:
        self.costs: list[StepCost] = []
        self._path = path
        self._on_event = on_event

    def __call__(self, event: Event) -> None:
        """Hears an event."""
        self._on_event(event)
        line = describe(event)
        if line:
            stamp = datetime.now().astimezone().isoformat(timespec="seconds")
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{stamp} {shown(line)}\n")

    @contextmanager
    def step(self, name: str, total: int | None = None) -> Iterator[Step]:
        """Times what happens inside."""
        self(StepStarted(name, total))
        started, step = time.perf_counter(), Step()
        yield step
        cost = StepCost(step=name, seconds=time.perf_counter() - started, peak_memory_mb=runtime.peak_memory_mb())
        self.costs.append(cost)
        self(StepEnded(cost, step.summary))

    def after(self, done: int) -> EventSink:
        """A sink for the second part of a step: its counts go on from ``done``."""
        return lambda event: self(Advanced(done + event.done) if isinstance(event, Advanced) else event)


def describe(event: Event) -> str:
    """An event as a line of plain text; empty for mere progress."""
    match event:
        case RunStarted(folder):
            return f"run folder {folder}"
        case StepStarted(step):
            return f"{step} …"
        case StepEnded(cost, summary):
            return f"{cost.step}: {summary} [{cost.seconds:.1f} s]"
        case Notice():
            return f"{event.level}: {sentences(event)}"
        case TrainingPlanned(strategy, phases):
            return f"strategy {strategy}\n{as_text(phases)}"
        case EpochEnded(row, of, best):
            mark = ", best so far" if best else ""
            return (
                f"epoch {row.epoch} of {of}: train loss {row.train_loss:.4f}, validation loss {row.val_loss:.4f}, "
                f"accuracy {row.val_accuracy:.3f}{mark} [{row.seconds:.0f} s]"
            )
        case _:
            return ""
