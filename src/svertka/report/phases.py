"""The phases of training as a table."""

from collections.abc import Sequence

from svertka.messages.translator import Translator
from svertka.runs.phase_table import Span, spans
from svertka.schema import PhaseRow


def make_phases(tr: Translator, rows: Sequence[PhaseRow]) -> list[dict[str, str]]:
    """The table's rows, by column; phase and epochs are empty where they repeat. Empty if no weights were trained."""
    table, before = [], 0
    for span in spans(rows):
        row = span.row
        first = row.phase != before
        before = row.phase
        table.append(
            {
                "phase": f"{row.phase}. {tr.known('phase', row.name)}" if first else "",
                "epochs": tr.count(row.epochs) if first else "",
                "part": tr("phases.head") if row.part == "head" else row.part,
                "parameters": tr.count(row.parameters),
                "rate": _rate(tr, span),
                "batch_norm": tr.known("phases.norm", row.batch_norm),
                "computed": tr.known("phases.how", row.computed),
            }
        )
    return table


def _rate(tr: Translator, span: Span) -> str:
    if span.row.learning_rate == 0:
        return tr("phases.frozen_rate")
    low, high = tr.rate(span.lowest_rate), tr.rate(span.row.learning_rate)
    return high if low == high else f"{low} … {high}"
