"""Times the steps of a run and logs events to a file and to a listener."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from svertka.errors import SvertkaError, UnfinishedError, one_line
from svertka.messages import sentences, shown
from svertka.runs.phase_table import as_text
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
from svertka.util import runtime


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


# --- steps that fail after judging -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Failure:
    """Of a step after judging: what the report says of it, what is missing for it in plain English, and why."""

    notice: Notice
    missing: str
    error: Exception


@contextmanager
def going_on(failures: list[Failure], step: Step, notice: Callable[[str], Notice], missing: str = "") -> Iterator[None]:
    """Whatever fails inside is noted, and the run goes on: what was learnt and judged is not lost for it."""
    try:
        yield
    except Exception as error:
        reason = _in_one_line(error)
        failures.append(Failure(notice(reason), missing, error))
        step.summary = f"failed: {reason}"


def _in_one_line(error: Exception) -> str:
    """What an error says; its kind too where it is none that we raise on purpose."""
    text = one_line(error, 10_000)
    return text if isinstance(error, SvertkaError) else f"{type(error).__name__}: {text}"


def tell_unfinished(failures: Sequence[Failure], folder: Path, files: Sequence[str]) -> None:
    """A run without pictures is a run; one without a bundle or a report isn't whole.

    Args:
        failures: in the order in which they came.
        folder: of the run.
        files: names that may be there.

    Raises:
        UnfinishedError: with what failed first, and what there is.
    """
    for failure in failures:
        if failure.missing:
            there = ", ".join(name for name in files if (folder / name).exists())
            raise UnfinishedError(
                f"the classifier has learnt and was judged, but {failure.missing} failed: "
                f"{_in_one_line(failure.error)}. What is known is in {folder}: {there}. When the cause is "
                f"mended: svertka train --resume {folder}"
            ) from failure.error
