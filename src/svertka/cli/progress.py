"""Progress on the terminal: a live line with time left where there is a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from svertka.cli.output import as_it_is
from svertka.messages import shown
from svertka.schema import Advanced, Event, RunStarted, StepEnded, StepStarted
from svertka.step_log import describe

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

PLAIN_EVERY_S = 15.0
"""Seconds between two plain progress lines."""


class Progress:
    """An event sink that draws; standard error takes it all, so standard output stays clean."""

    def __init__(self) -> None:
        self.folder = ""
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._step, self._total, self._started, self._told = "", None, 0.0, 0.0  # type: str, int | None, float, float
        self._first = 0

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(file=as_it_is(sys.stderr)), transient=True)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def say(self, line: str) -> None:
        """Prints one line above whatever is drawn."""
        if self._bar:
            self._bar.console.print(shown(line, keep="\n\t"), markup=False, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def __call__(self, event: Event) -> None:
        """Hears an event."""
        match event:
            case RunStarted(folder):
                self.folder = folder
            case StepStarted(step, total):
                self._begin(step, total)
            case Advanced(done):
                self._advance(done)
            case _:
                if isinstance(event, StepEnded) and self._bar and self._task is not None:
                    self._bar.remove_task(self._task)
                    self._task = None
                if line := describe(event):
                    self.say(line)

    def _begin(self, step: str, total: int | None) -> None:
        self._step, self._total, self._first = step, total, -1
        self._started = self._told = time.monotonic()
        if self._bar:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(step, total=total)

    def _advance(self, done: int) -> None:
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done)
            return
        if self._first < 0:
            self._first = done  # what a cache or an earlier run had done says nothing about speed
        now = time.monotonic()
        if self._total and done > self._first and now - self._told >= PLAIN_EVERY_S:
            self._told = now
            left_s = (self._total - done) * (now - self._started) / (done - self._first)
            self.say(f"{self._step}: {done} of {self._total}, about {duration(left_s)} left")


def duration(seconds: float) -> str:
    """A time to come, as roughly as it is known."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
