"""What trained when: the phases of training as a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from svertka.messages.translator import Translator
from svertka.runs.phase_table import Span, spans
from svertka.schema import PhaseRow


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseView:
    """One line: phase and epochs (empty where they repeat), part, parameters, rate, BatchNorm, how often computed."""

    phase: str
    epochs: str
    part: str
    parameters: str
    rate: str
    batch_norm: str
    computed: str


def make_phases(tr: Translator, rows: Sequence[PhaseRow]) -> tuple[PhaseView, ...]:
    """Builds the table; nothing where no weights were trained."""
    views, before = [], 0
    for span in spans(rows):
        row = span.row
        first = row.phase != before
        before = row.phase
        views.append(
            PhaseView(
                phase=f"{row.phase}. {tr.known('phase', row.name)}" if first else "",
                epochs=tr.count(row.epochs) if first else "",
                part=tr("phases.head") if row.part == "head" else row.part,
                parameters=tr.count(row.parameters),
                rate=_rate(tr, span),
                batch_norm=tr.known("phases.norm", row.batch_norm),
                computed=tr.known("phases.how", row.computed),
            )
        )
    return tuple(views)


def _rate(tr: Translator, span: Span) -> str:
    if span.row.learning_rate == 0:
        return tr("phases.frozen_rate")
    low, high = tr.rate(span.lowest_rate), tr.rate(span.row.learning_rate)
    return high if low == high else f"{low} … {high}"
