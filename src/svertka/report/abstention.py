"""When the model should say "unsure", and whether the promise behind it holds on the test images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from svertka.messages.translator import Translator
from svertka.report.results import CLASS_ROWS_SHOWN, Score, make_score
from svertka.schema import Evaluation


@dataclass(frozen=True, kw_only=True, slots=True)
class AbstentionView:
    """The part about "unsure"."""

    finding: str
    """What came of it."""
    target: str
    """The coverage that is promised."""
    rows: Sequence[tuple[str, int, str, int, Score]]
    """Name, validation images, the least probability with which the class is possible (a dash where that isn't known),
    test images, the coverage measured on these.
    """
    left_out: int
    """Classes that are not shown."""


def make_abstention(tr: Translator, evaluation: Evaluation) -> AbstentionView | None:
    """Builds the part about "unsure"; None where the model has no thresholds."""
    found = evaluation.abstention
    if found is None:
        return None
    finding = (
        tr(
            "abstention.finding",
            answered=tr.percent(found.answered.value),
            answered_evidence=tr.evidence("accuracy", found.answered),
            accuracy=tr.percent(found.accuracy.value),
            accuracy_evidence=tr.evidence("accuracy", found.accuracy),
        )
        if found.accuracy.n
        else tr("abstention.silent")
    )
    if found.empty:
        finding += " " + tr("abstention.empty", n=found.empty, target=tr.percent(found.target, 0))
    levels = [_level(tr, threshold) for threshold in found.thresholds] or ["–"] * len(found.counts)
    classes = list(zip(evaluation.class_names, found.counts, levels, found.per_class, strict=True))
    most = tr.shown_of(len(classes), CLASS_ROWS_SHOWN)
    shown = [(tr("abstention.all"), sum(found.counts), "", found.coverage), *classes[:most]]
    return AbstentionView(
        finding=finding,
        target=tr.percent(found.target, 0),
        rows=[(name, chosen, level, estimate.n, make_score(tr, estimate)) for name, chosen, level, estimate in shown],
        left_out=len(classes) - most,
    )


def _level(tr: Translator, threshold: float) -> str:
    """The least probability with which a class is possible, with as many decimals as tell it from 100 %."""
    digits = 1 if threshold <= 0 else min(6, max(1, math.ceil(-math.log10(100 * threshold))))
    return tr.percent(1 - threshold, digits)
