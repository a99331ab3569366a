"""Results: confusion matrix, classes, when the answer is "unsure", all metrics."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from svertka.messages.translator import Translator
from svertka.schema import ClassScores, Estimate, Evaluation
from svertka.viz.axes import Axis

MATRIX_CLASSES = 30
_SHARES_IN_CELLS = 12
_PAIRS_SHOWN = 25
_DEEP, _DEEPER = 57, 86  # percent of a row in a cell
CLASS_ROWS_SHOWN = 200
_SORT_CLASSES_FROM = 13


# Of two classes, the figures that are of one of them.
_RANKED = frozenset({"roc_auc", "average_precision"})


def positive_class(evaluation: Evaluation) -> str:
    """Of two classes the one that curves and average precision are of; empty with more."""
    if len(evaluation.class_names) != 2:
        return ""
    return evaluation.positive or next((curve.name for curve in evaluation.roc), "")  # that of older files


# --- confusion --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One cell of the matrix."""

    n: int
    share: float
    """Of its row."""
    kind: Literal["right", "wrong", "zero"]

    @property
    def percent(self) -> int:
        """The share, as a whole number."""
        return round(100 * self.share)

    @property
    def tone(self) -> str:
        """Of its colour, which decides the colour of its text: empty, ``deep`` or ``deeper``."""
        return tone(self.kind, self.percent)


@dataclass(frozen=True, kw_only=True, slots=True)
class Confusion:
    """The confusion matrix, or for many classes only its most frequent mistakes (then ``rows`` is empty)."""

    finding: str
    rows: Sequence[tuple[str, int, Sequence[Cell]]] = ()
    """True class, its images, a cell for each answer."""
    with_shares: bool = False
    pairs: Sequence[tuple[str, str, int, float]] = ()
    """True class, answer, images, share of the true class."""


def make_confusion(tr: Translator, evaluation: Evaluation) -> Confusion:
    """Builds the part about confusions."""
    names, matrix = evaluation.class_names, evaluation.confusion_KK
    sums = [sum(row) for row in matrix]
    mistakes = sorted(
        ((n, true, said) for true, row in enumerate(matrix) for said, n in enumerate(row) if n and true != said),
        key=lambda mistake: (-mistake[0], mistake[1], mistake[2]),
    )
    finding = _confusion_finding(tr, names, sums, mistakes)
    if len(names) > MATRIX_CLASSES:
        pairs = [(names[true], names[said], n, n / sums[true]) for n, true, said in mistakes[:_PAIRS_SHOWN]]
        return Confusion(finding=finding, pairs=pairs)

    def cell(true: int, said: int, n: int) -> Cell:
        kind: Literal["right", "wrong", "zero"] = "zero" if not n else "right" if true == said else "wrong"
        return Cell(n=n, share=n / sums[true] if sums[true] else 0.0, kind=kind)

    rows = [
        (names[true], sums[true], [cell(true, said, n) for said, n in enumerate(row)])
        for true, row in enumerate(matrix)
    ]
    return Confusion(finding=finding, rows=rows, with_shares=len(names) <= _SHARES_IN_CELLS)


def tone(kind: str, percent: int) -> str:
    """Where black text begins to be read better than white in the dark theme, and white than black in the light one."""
    if kind == "right" and percent > _DEEPER:
        return "deeper"
    return "deep" if percent > _DEEP else ""


def _confusion_finding(
    tr: Translator, names: Sequence[str], sums: Sequence[int], mistakes: Sequence[tuple[int, int, int]]
) -> str:
    if not mistakes:
        return tr("confusion.perfect")
    count, true, said = mistakes[0]
    return tr(
        "confusion.finding",
        n=count,
        total=sums[true],
        share=count / sums[true],
        true=tr.quoted(names[true]),
        said=tr.quoted(names[said]),
    )


# --- classes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """One figure in words, and its whisker in percent of the width of its scale."""

    value: str
    interval: str
    low: float
    at: float
    high: float
    measured: bool
    """Some image stands behind it; else there is no whisker, and the value is a dash."""

    @property
    def words(self) -> str:
        """The figure with its interval in brackets."""
        return f"{self.value} ({self.interval})" if self.measured else self.value


def make_score(tr: Translator, estimate: Estimate, name: str = "accuracy", left: float = 0.0) -> Score:
    """A metric with its confidence interval, on a scale that runs from ``left`` to 1."""
    scale = Axis(low=left, high=1, start_px=0, end_px=100)

    def at(value: float) -> float:
        known = value if math.isfinite(value) else estimate.value
        return round(scale.at(known), 2) if math.isfinite(known) else 0.0

    measured = estimate.n > 0
    return Score(
        value=tr.metric(name, estimate.value) if measured else "–",
        interval=tr.interval(name, estimate) if measured else "",
        low=at(estimate.low),
        at=at(estimate.value),
        high=at(estimate.high),
        measured=measured,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassTable:
    """The table of classes; with many classes the weakest come first and the strongest may be left out."""

    finding: str
    rows: tuple[tuple[str, int, tuple[Score, ...]], ...]
    left_out: int
    weakest_first: bool


def make_class_table(tr: Translator, evaluation: Evaluation) -> ClassTable:
    """Builds the table of precision, recall and F1."""
    scores = list(evaluation.per_class)
    weakest_first = len(scores) >= _SORT_CLASSES_FROM
    if weakest_first:
        scores.sort(key=lambda entry: entry.f1.value if math.isfinite(entry.f1.value) else -1.0)
    most = tr.shown_of(len(scores), CLASS_ROWS_SHOWN)
    return ClassTable(
        finding=_class_finding(tr, evaluation.per_class),
        rows=tuple(
            (s.name, s.support, tuple(make_score(tr, e) for e in (s.precision, s.recall, s.f1))) for s in scores[:most]
        ),
        left_out=len(scores) - most,
        weakest_first=weakest_first,
    )


def _class_finding(tr: Translator, scores: Sequence[ClassScores]) -> str:
    judged = [entry for entry in scores if entry.support and math.isfinite(entry.recall.value)]
    if not judged:
        return ""
    weak = min(judged, key=lambda entry: entry.recall.value)
    strong = max(judged, key=lambda entry: entry.recall.value)
    weak_value, strong_value = tr.percent(weak.recall.value), tr.percent(strong.recall.value)
    if weak_value == strong_value:
        return tr("classes.alike", value=weak_value, n=sum(entry.support for entry in judged))
    return tr(
        "classes.finding",
        weak=tr.quoted(weak.name),
        weak_value=weak_value,
        weak_n=weak.support,
        strong=tr.quoted(strong.name),
        strong_value=strong_value,
        strong_n=strong.support,
    )


# --- unsure -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class AbstentionTable:
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


def make_abstention(tr: Translator, evaluation: Evaluation) -> AbstentionTable | None:
    """Builds the part about "unsure"; None where the model has no thresholds."""
    found = evaluation.abstention
    if found is None:
        return None
    finding = (
        tr(
            "abstention.finding",
            answered=found.answered.value,
            answered_evidence=tr.evidence("accuracy", found.answered),
            accuracy=found.accuracy.value,
            accuracy_evidence=tr.evidence("accuracy", found.accuracy),
        )
        if found.accuracy.n
        else tr("abstention.silent")
    )
    if found.empty:
        finding += " " + tr("abstention.empty", n=found.empty, target=found.target)
    levels = [_level(tr, threshold) for threshold in found.thresholds] or ["–"] * len(found.counts)
    classes = list(zip(evaluation.class_names, found.counts, levels, found.per_class, strict=True))
    most = tr.shown_of(len(classes), CLASS_ROWS_SHOWN)
    shown = [(tr("abstention.all"), sum(found.counts), "", found.coverage), *classes[:most]]
    return AbstentionTable(
        finding=finding,
        target=tr.percent(found.target, 0),
        rows=[(name, chosen, level, estimate.n, make_score(tr, estimate)) for name, chosen, level, estimate in shown],
        left_out=len(classes) - most,
    )


def _level(tr: Translator, threshold: float) -> str:
    """The least probability with which a class is possible, with as many decimals as tell it from 100 %."""
    digits = 1 if threshold <= 0 else min(6, max(1, math.ceil(-math.log10(100 * threshold))))
    return tr.percent(1 - threshold, digits)


# --- all metrics ------------------------------------------------------------------------------------------------


def metric_glosses(tr: Translator, evaluation: Evaluation) -> dict[str, str]:
    """What each metric means; of two classes also which one it is of. Empty where the catalogue doesn't know it."""
    glosses = {name: tr.known("metric", f"{name}.gloss", "") for name in evaluation.metrics}
    found = positive_class(evaluation)
    for name in _RANKED & glosses.keys() if found else ():
        glosses[name] = tr("metrics.of_class", gloss=glosses[name], name=tr.quoted(found))
    return glosses
