"""The run: everything that a report is made from."""

from dataclasses import dataclass

from svertka.config import RunConfig
from svertka.schema.bundle import Parity, Source
from svertka.schema.evaluation import Evaluation, LabelDoubt, OrderCheck, Predictions
from svertka.schema.explanation import Insight
from svertka.schema.images import Catalog, Notice, Split
from svertka.schema.training import Decision, EpochRow, PhaseRow


@dataclass(frozen=True, kw_only=True, slots=True)
class StepCost:
    """Time and memory of one step: wall seconds, and the process's peak resident memory at its end."""

    step: str
    seconds: float
    peak_memory_mb: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """All that a report shows: records only, no live objects.

    Attributes:
        command: the exact command line.
        started: ISO 8601 with time zone.
        history: learning curve, empty for a probe alone.
        phases: what trained when, empty likewise.
        order: of files against labels; None where it cannot be measured (too few images).
        parity: of the bundle; None where it could not be written.
        sources: weights and data with licences.
        versions: package to version, and the machine.
        notices: what the user should know, loudest first.
        doubts: labels of training and validation images that look wrong, the likeliest first.
        insight: what was seen of the classifier; None in a run that couldn't, or of an older svertka.
    """

    name: str
    command: str
    started: str
    config: RunConfig
    catalog: Catalog
    split: Split
    history: tuple[EpochRow, ...]
    decision: Decision
    evaluation: Evaluation
    test: Predictions
    order: OrderCheck | None
    parity: Parity | None
    costs: tuple[StepCost, ...]
    sources: tuple[Source, ...]
    versions: dict[str, str]
    notices: tuple[Notice, ...]
    phases: tuple[PhaseRow, ...] = ()
    insight: Insight | None = None
    doubts: tuple[LabelDoubt, ...] = ()
