"""The phases of training as rows; neighbouring stages that train alike are one row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from svertka.schema import PhaseRow


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Neighbouring stages of a phase that are all frozen or all train, as one row; its rate is the highest of them."""

    row: PhaseRow
    lowest_rate: float


def spans(rows: Sequence[PhaseRow]) -> tuple[Span, ...]:
    """The table with neighbouring stages joined, so that it is short enough to read."""
    joined: list[Span] = []
    for row in rows:
        last = joined[-1] if joined else None
        if last and _alike(last.row, row):
            part = f"{last.row.part.partition('–')[0]}–{row.part}"
            rates = last.lowest_rate, last.row.learning_rate, row.learning_rate
            whole = replace(last.row, part=part, parameters=last.row.parameters + row.parameters)
            joined[-1] = Span(row=replace(whole, learning_rate=max(rates)), lowest_rate=min(rates))
        else:
            joined.append(Span(row=row, lowest_rate=row.learning_rate))
    return tuple(joined)


def _alike(one: PhaseRow, other: PhaseRow) -> bool:
    same_fate = (one.learning_rate > 0) == (other.learning_rate > 0)
    same = replace(one, part="", parameters=0, learning_rate=0) == replace(
        other, part="", parameters=0, learning_rate=0
    )
    return same and same_fate and "head" not in (one.part, other.part)


def as_text(rows: Sequence[PhaseRow]) -> str:
    """The table for a terminal."""
    header = ("phase", "epochs", "part", "parameters", "rate", "BatchNorm", "computed")
    lines = [header]
    for span in spans(rows):
        row = span.row
        low, high = f"{span.lowest_rate:.2g}", f"{row.learning_rate:.2g}"
        rate = "frozen" if row.learning_rate == 0 else high if low == high else f"{low}–{high}"
        what = f"{row.phase} {row.name}", str(row.epochs), row.part, f"{row.parameters:,}", rate
        lines.append((*what, "–" if row.batch_norm == "none" else row.batch_norm, row.computed))
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    right = {1, 3, 4}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
