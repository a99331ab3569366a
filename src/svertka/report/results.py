"""What the model can and cannot do: confusion, classes, all metrics."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

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
    """One cell of the matrix: count, share of its row, and full words.

    Attributes:
        kind: ``right``, ``wrong`` or ``zero``.
        tone: of its colour, which decides the colour of its text: empty, ``deep`` or ``deeper``.
    """

    count: str
    share: str
    percent: int
    kind: str
    tone: str
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Confusion:
    """The confusion matrix, or for many classes only its most frequent mistakes (then ``rows`` is empty)."""

    finding: str
    names: tuple[str, ...]
    rows: tuple[tuple[str, int, tuple[Cell, ...]], ...]
    with_shares: bool
    pairs: tuple[tuple[str, str, str, str], ...]


def make_confusion(tr: Translator, evaluation: Evaluation) -> Confusion:
    """Builds the part about confusions."""
    names, matrix = evaluation.class_names, evaluation.confusion_KK
    sums = [sum(row) for row in matrix]
    mistakes = sorted(
        ((count, true, said) for true, row in enumerate(matrix) for said, count in enumerate(row) if true != said),
        key=lambda mistake: (-mistake[0], mistake[1], mistake[2]),
    )
    mistakes = [mistake for mistake in mistakes if mistake[0] > 0]
    with_shares = len(names) <= _SHARES_IN_CELLS
    whole = len(names) <= MATRIX_CLASSES
    return Confusion(
        finding=_confusion_finding(tr, names, sums, mistakes),
        names=names,
        rows=tuple(
            (names[true], sums[true], tuple(_cell(tr, names, sums, true, said, n) for said, n in enumerate(row)))
            for true, row in enumerate(matrix)
        )
        if whole
        else (),
        with_shares=with_shares,
        pairs=()
        if whole
        else tuple(
            (names[true], names[said], tr.count(count), tr.percent(count / sums[true]))
            for count, true, said in mistakes[:_PAIRS_SHOWN]
        ),
    )


def _cell(tr: Translator, names: Sequence[str], sums: Sequence[int], true: int, said: int, count: int) -> Cell:
    share = count / sums[true] if sums[true] else 0.0
    kind = "zero" if not count else "right" if true == said else "wrong"
    return Cell(
        count=tr.count(count),
        share=tr.percent(share, 0),
        percent=round(100 * share),
        kind=kind,
        tone=tone(kind, round(100 * share)),
        title=tr("confusion.cell", n=count, true=names[true], said=names[said], share=tr.percent(share)),
    )


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
        share=tr.percent(count / sums[true]),
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


# --- all metrics ------------------------------------------------------------------------------------------------


def metric_glosses(tr: Translator, evaluation: Evaluation) -> dict[str, str]:
    """What each metric means; of two classes also which one it is of. Empty where the catalogue doesn't know it."""
    glosses = {name: tr.known("metric", f"{name}.gloss", "") for name in evaluation.metrics}
    found = positive_class(evaluation)
    for name in _RANKED & glosses.keys() if found else ():
        glosses[name] = tr("metrics.of_class", gloss=glosses[name], name=tr.quoted(found))
    return glosses
