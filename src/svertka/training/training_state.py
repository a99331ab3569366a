"""The training state and how it is saved: a kill at any moment loses a minute at most. Imports torch."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from svertka.errors import DataError
from svertka.schema import EpochRow
from svertka.training import checkpoint
from svertka.training.budget import Course
from svertka.training.phase_state import PhaseState
from svertka.training.task import Task
from svertka.util.from_dict import from_dict

LAST, BEST = "last.safetensors", "best.safetensors"
"""Everything that training needs to go on, and the weights to keep."""


@dataclass(slots=True)
class TrainingState:
    """Where training stands: all that a checkpoint holds besides tensors."""

    phase: int = 0
    """The running one."""

    phase_start: int = 0
    """Epochs that were done when the running phase began."""

    epoch: int = 0
    """Epochs that are done, through all phases."""

    step: int = 0
    """Steps of the running epoch."""

    loss_sum: float = 0.0
    """Of the images of the running epoch."""

    seen: int = 0
    """These images."""

    seconds: float = 0.0
    """That the running epoch took."""

    micro_batch: int = 0
    """Images at once, where memory ran out; 0: as the settings say."""

    best_epoch: int = 0
    """The best on validation; 0: none yet."""

    best_loss: float = math.inf
    """Its loss."""

    history: tuple[EpochRow, ...] = ()
    """A row for each epoch that is done."""

    elapsed: float = 0.0
    """Seconds that all sessions took."""

    steps_done: int = 0
    """Through all phases."""

    course: Course | None = None
    """How the running phase's learning rate is spread over its steps."""

    early: bool = False
    """Whether a phase ended because validation got no better."""

    def phase_steps(self, steps_an_epoch: int) -> int:
        """Steps of the running phase that are done."""
        return (self.epoch - self.phase_start) * steps_an_epoch + self.step


def save_state(directory: Path, state: TrainingState, phase: PhaseState) -> None:
    """Writes the state, the weights of both networks and the optimizer's moments: whole or not at all."""
    tensors = phase.tensors() | checkpoint.optimizer_tensors(phase.optimizer)
    facts = asdict(state) | {"history": [asdict(row) for row in state.history]}
    checkpoint.save_state(directory / LAST, tensors, facts)


def read_state(directory: Path, task: Task) -> tuple[dict[str, Tensor], TrainingState]:
    """What the last save held, of this version or an older one; nothing and the start where there is none.

    Raises:
        DataError: it is damaged, or of a newer version.
    """
    path = directory / LAST
    if not path.exists():
        return {}, TrainingState()
    tensors, facts = checkpoint.load_state(path)
    try:
        state = from_dict(TrainingState, facts)
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"checkpoint {path} cannot be read ({error!s:.200}); delete it and resume: training starts again."
        ) from error
    if "elapsed" not in facts:  # older: epochs were whole
        state.elapsed = sum(row.seconds for row in state.history) + state.seconds
        state.steps_done = state.epoch * task.steps + state.step
    return tensors, state
