"""A training job: an experiment with the features of its images, a folder, and the start of its time budget.

``TrainingJob`` is what a strategy starts from; ``Task`` is what the loop then trains, with torch.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from svertka.features.experiment import Experiment
from svertka.features.feature_table import FeatureTable
from svertka.schema import Split, SplitName

LEARNT: tuple[SplitName, ...] = ("train", "val")
"""Parts of a split that learning looks at."""


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """One experiment, ready to be learnt from."""

    experiment: Experiment
    """Network, images, and which of them train and which choose."""

    tables: dict[SplitName, FeatureTable]
    """Features of the untouched backbone, of the parts that are learnt from."""

    folder: Path
    """For the plan and the training state; one strategy a folder."""

    started: float
    """Monotonic time at which the budget began."""

    explaining_passes: int = 0
    """Images that the network will be shown to explain it; the budget pays for that too."""

    @property
    def judging(self) -> tuple[int, ...]:
        """Records that choices are made on: the validation images, with folds all that is learnt from."""
        split = self.experiment.split
        return (*split.train, *split.val) if self.experiment.config.folds else split.val


def cut_table(table: FeatureTable, records: Iterable[int], split: Split) -> dict[SplitName, FeatureTable]:
    """A table as the parts of a split that learning looks at.

    Args:
        table: one row for each of ``records``, in their order.
        records: numbers in the catalogue.
        split: of some of these records, such as a fold.
    """
    row = {int(record): number for number, record in enumerate(records)}
    return {part: table.rows([row[record] for record in split.of(part)]) for part in LEARNT}
