"""What trained when: the phases of training as a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from svertka.messages.translator import Voice
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


def make_phases(voice: Voice, rows: Sequence[PhaseRow]) -> tuple[PhaseView, ...]:
    """Builds the table; nothing where no weights were trained."""
    views, before = [], 0
    for span in spans(rows):
        row = span.row
        first = row.phase != before
        before = row.phase
        views.append(
            PhaseView(
                phase=f"{row.phase}. {voice.known('phase', row.name)}" if first else "",
                epochs=voice.count(row.epochs) if first else "",
                part=voice("phases.head") if row.part == "head" else row.part,
                parameters=voice.count(row.parameters),
                rate=_rate(voice, span),
                batch_norm=voice.known("phases.norm", row.batch_norm),
                computed=voice.known("phases.how", row.computed),
            )
        )
    return tuple(views)


def _rate(voice: Voice, span: Span) -> str:
    if span.row.learning_rate == 0:
        return voice("phases.frozen_rate")
    low, high = voice.rate(span.lowest_rate), voice.rate(span.row.learning_rate)
    return high if low == high else f"{low} … {high}"
