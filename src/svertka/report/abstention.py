"""When the model should say "unsure", and whether the promise behind it holds on the test images."""

from dataclasses import dataclass

from svertka.report.results import CLASS_ROWS_SHOWN, ScoreView, make_score
from svertka.report.voice import Voice
from svertka.schema import Evaluation


@dataclass(frozen=True, kw_only=True, slots=True)
class AbstentionView:
    """The part about "unsure": rows are name, validation images, test images and the coverage measured on these."""

    finding: str
    target: str
    rows: tuple[tuple[str, int, int, ScoreView], ...]
    left_out: int


def make_abstention(voice: Voice, evaluation: Evaluation) -> AbstentionView | None:
    """Builds the part about "unsure"; None where the model has no thresholds."""
    found = evaluation.abstention
    if found is None:
        return None
    finding = (
        voice(
            "abstention.finding",
            answered=voice.percent(found.answered.value),
            answered_evidence=voice.evidence("accuracy", found.answered),
            accuracy=voice.percent(found.accuracy.value),
            accuracy_evidence=voice.evidence("accuracy", found.accuracy),
        )
        if found.accuracy.n
        else voice("abstention.silent")
    )
    classes = list(zip(evaluation.class_names, found.counts, found.per_class, strict=True))
    most = voice.shown_of(len(classes), CLASS_ROWS_SHOWN)
    shown = [(voice("abstention.all"), sum(found.counts), found.coverage), *classes[:most]]
    return AbstentionView(
        finding=finding,
        target=voice.percent(found.target, 0),
        rows=tuple((name, chosen, estimate.n, make_score(voice, estimate)) for name, chosen, estimate in shown),
        left_out=len(classes) - most,
    )
