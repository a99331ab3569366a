"""Events that the library emits while it works; it never prints."""

from collections.abc import Callable
from dataclasses import dataclass

from svertka.config import StrategyName
from svertka.schema.images import Notice
from svertka.schema.run import StepCost
from svertka.schema.training import EpochRow, PhaseRow


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins, or goes on, in this folder."""

    folder: str


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step begins. ``total`` items will be done, None where it isn't known."""

    step: str
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Advanced:
    """``done`` items of the running step are done."""

    done: int


@dataclass(frozen=True, slots=True)
class TrainingPlanned:
    """Before training: what will train when, as ``training.strategies.describe`` gives it."""

    strategy: StrategyName
    phases: tuple[PhaseRow, ...]


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """A training epoch ended; ``of`` is how many the phase may have."""

    row: EpochRow
    of: int
    best: bool


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A step ended; ``summary`` says in a few words what came of it."""

    cost: StepCost
    summary: str = ""


Event = RunStarted | StepStarted | Advanced | TrainingPlanned | EpochEnded | StepEnded | Notice
EventSink = Callable[[Event], None]


def ignore_events(event: Event) -> None:
    """The sink of those who don't listen."""
