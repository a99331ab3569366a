"""Progress on the terminal: a live line with time passed and left where there is a terminal, plain lines elsewhere.

Every step shows that it is alive: one that doesn't count says now and then how long it has taken so far.
"""

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from svertka.cli.output import as_it_is, phrase
from svertka.messages import shown
from svertka.runs.log import describe
from svertka.schema import Advanced, Event, RunStarted, StepEnded, StepStarted

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

PLAIN_EVERY_S = 15.0
"""Seconds between two plain progress lines."""
SHORT = 50
"""Images that are predicted before anyone would look for progress."""

_Item = TypeVar("_Item")


class TerminalProgress:
    """An event sink that draws; standard error takes it all, so standard output stays clean."""

    def __init__(self) -> None:
        self.folder = ""
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._step, self._total, self._started, self._told = "", None, 0.0, 0.0  # type: str, int | None, float, float
        self._first = 0
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            columns = (
                progress.TextColumn("{task.description:<10}"),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TimeElapsedColumn(),
                progress.TimeRemainingColumn(),
            )
            self._bar = progress.Progress(*columns, console=Console(file=as_it_is(sys.stderr)), transient=True)
            self._bar.start()
        else:
            threading.Thread(target=self._tick, name="progress", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
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
                if isinstance(event, StepEnded):
                    self._step = ""
                    if self._bar and self._task is not None:
                        self._bar.remove_task(self._task)
                        self._task = None
                if line := describe(event):
                    self._told = time.monotonic()
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
            passed_s = now - self._started
            left_s = (self._total - done) * passed_s / (done - self._first)
            times = {"passed": duration(passed_s), "time": duration(left_s)}
            self.say(phrase("left", step=self._step, done=done, total=self._total, **times))

    def _tick(self) -> None:
        """Says how long a step has taken so far, where nothing else has been said for a while."""
        while not self._ended.wait(PLAIN_EVERY_S / 3):
            now = time.monotonic()
            quiet_s = PLAIN_EVERY_S * (2 if self._total else 1)  # one that counts speaks for itself, if it can
            if self._step and now - self._told >= quiet_s:
                self._told = now
                self.say(phrase("elapsed", step=self._step, time=duration(now - self._started)))


def counted(step: str, total: int, items: Iterable[_Item]) -> Iterator[_Item]:
    """The items, with progress for a person who waits; a few need none."""
    if total < SHORT:
        yield from items
        return
    with TerminalProgress() as progress:
        progress(StepStarted(step, total))
        for done, item in enumerate(items, start=1):
            yield item
            progress(Advanced(done))


def duration(seconds: float) -> str:
    """A time passed or to come, roughly."""
    if seconds < 90:
        return phrase("seconds", value=f"{seconds:.0f}")
    if seconds < 5400:
        return phrase("minutes", value=f"{seconds / 60:.0f}")
    return phrase("hours", value=f"{seconds / 3600:.1f}")
