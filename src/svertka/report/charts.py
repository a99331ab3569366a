"""The charts of the report: learning curves, ROC, precision-recall and reliability, each with a reading in words."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from svertka.messages.translator import Translator
from svertka.schema import Curve, EpochRow, Estimate, Evaluation, ReliabilityBin
from svertka.viz.axes import Tick, round_ticks
from svertka.viz.drawing import AMBER, BLUE, GREEN, LINE, MUTED, ORANGE, PINK, Drawing, Polyline, inline_svg
from svertka.viz.line_chart import Dot, Line, Note, Panel, single

# Drawn about as wide as a phone, so that letters keep their size there; a desktop shows two charts side by side.
_WIDTH, _HEIGHT, _SQUARE = 360.0, 282.0, 348.0
_LEFT, _TOP, _BELOW = 44.0, 32.0, 42.0
_END, _END_BEFORE_NAMES = 340.0, 282.0  # of the plot; the names of lines stand to the right of it
_LEAST_SPAN = 0.001  # of the y axis: below that, differences are noise and labels get long
# Lines of several classes differ by their dashes too, for those who don't tell colours apart.
_STYLES = ((BLUE, ""), (ORANGE, "7 3"), (GREEN, "2.5 3.5"), (PINK, "9 3 2.5 3"), (AMBER, ""))
_MAX_GREY = 40
_WEAKEST_SHOWN = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class LegendEntry:
    """A name and a figure below a chart, beside a piece of the line that they belong to."""

    name: str
    value: str
    line: Line

    @property
    def swatch(self) -> str:
        """The piece of line, as SVG."""
        width = self.line.width or 7
        stroke = Polyline(points=((1, 5), (21, 5)), stroke=self.line.colour, width=width, dash=self.line.dash)
        return inline_svg(Drawing(width=22, height=10, title="", shapes=[stroke]), "swatch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A chart with all that its figure says."""

    id: str
    """Unique on the page."""
    title: str
    """What is drawn."""
    finding: str
    """What this one says, computed from its numbers."""
    reading: str
    """What the axes are, how to read it, what good looks like."""
    panel: Panel
    legend: Sequence[LegendEntry] = ()

    @property
    def svg(self) -> str:
        """The drawing as an element of the page."""
        named = any(line.name for line in self.panel.lines)
        height = _HEIGHT if named else _SQUARE
        corner = (_LEFT, _TOP) if self.panel.y_ticks else (12.0, 12.0)
        end = (_END_BEFORE_NAMES if named else _END, height - (_BELOW if self.panel.x_ticks != () else 8))
        title = f"{self.title}. {self.finding}"
        return inline_svg(single(self.panel, title, (_WIDTH, height), corner, end), self.id)


# --- learning curves --------------------------------------------------------------------------------------------


def learning_charts(tr: Translator, history: Sequence[EpochRow]) -> tuple[Chart, ...]:
    """Loss and validation accuracy over epochs; nothing where there is no history."""
    if not history:
        return ()
    kept = _lowest([row.val_loss if math.isnan(row.selection_loss) else row.selection_loss for row in history])
    loss = {
        tr("learning.train"): [row.train_loss for row in history],
        tr("learning.val"): [row.val_loss for row in history],
    }
    accuracy = {tr("learning.val"): [row.val_accuracy for row in history]}
    guides = [
        (index + 0.5, tr.known("phase", row.phase))
        for index, row in enumerate(history)
        if index and row.phase != history[index - 1].phase
    ]
    return (
        _epoch_chart(tr, "loss", loss, guides, kept, _loss_finding(tr, history, kept)),
        _epoch_chart(tr, "accuracy", accuracy, guides, kept, _accuracy_finding(tr, history, kept)),
    )


def _epoch_chart(
    tr: Translator,
    name: str,
    series: Mapping[str, Sequence[float]],
    guides: Sequence[Tick],
    kept: int,
    finding: str,
) -> Chart:
    validation = tr("learning.val")
    write = tr.percent if name == "accuracy" else tr.decimal

    def line(label: str, values: Sequence[float]) -> Line:
        dots = [
            Dot(
                x=index + 1,
                y=value,
                radius=4.5 if label == validation and index == kept else 2.2,
                title=f"{label}, {index + 1}: {write(value)}",
                edge=label == validation and index == kept,
            )
            for index, value in enumerate(values)
            if math.isfinite(value)
        ]
        colour, dash = _STYLES[label != validation]
        return Line(name=label, points=[(dot.x, dot.y) for dot in dots], colour=colour, width=2.2, dash=dash, dots=dots)

    lines = [line(label, values) for label, values in series.items()]
    return Chart(
        id=f"learning-{name}",
        title=tr(f"learning.{name}.title"),
        finding=finding,
        reading=tr(f"learning.{name}.reading"),
        panel=Panel(
            lines=lines,
            x_label=tr("learning.epoch"),
            y_label=tr(f"learning.{name}.axis"),
            y_ticks=_epoch_ticks(tr, name, [y for line in lines for _, y in line.points]),
            guides=guides,
        ),
    )


def _epoch_ticks(tr: Translator, name: str, values: Sequence[float]) -> list[Tick]:
    """Round values of a loss or an accuracy, with as many decimals as tell them apart."""
    lowest, highest = min(values, default=0.0), max(values, default=1.0)
    if name == "loss":
        ticks = round_ticks(lowest, max(highest, lowest + _LEAST_SPAN), 5)
        return [(tick, tr.decimal(tick, _digits(ticks[1] - ticks[0]))) for tick in ticks]
    lowest = max(0.0, min(lowest, highest - 20 * _LEAST_SPAN))  # downward: nothing lies above 100 %
    ticks = round_ticks(lowest, max(highest, lowest + _LEAST_SPAN), 5)
    return [(tick, tr.percent(tick, _digits(100 * (ticks[1] - ticks[0])))) for tick in ticks]


def _digits(step: float) -> int:
    return max(0, math.ceil(-math.log10(step) - 1e-9))


def _lowest(losses: Sequence[float]) -> int:
    """Place of the lowest; a loss that is no number (training diverged) counts as the worst."""
    return min(range(len(losses)), key=lambda index: losses[index] if math.isfinite(losses[index]) else math.inf)


def _loss_finding(tr: Translator, history: Sequence[EpochRow], kept: int) -> str:
    best = _lowest([row.val_loss for row in history])
    value = history[best].val_loss
    if len(history) == 1:
        return tr("learning.loss.only", value=value)
    if best != kept:
        corrected = history[kept].selection_loss
        return tr("learning.loss.kept", epoch=kept + 1, corrected=corrected, other=best + 1, value=value)
    lowest = tr("learning.loss.best", epoch=best + 1, value=value)
    last = len(history) - 1
    if best == last:
        return f"{lowest} {tr('learning.loss.falling')}"
    climbed = history[last].val_loss > 1.03 * history[best].val_loss
    if climbed and history[last].train_loss < history[best].train_loss:
        return f"{lowest} {tr('learning.loss.memorising')}"
    return f"{lowest} {tr('learning.loss.flat')}"


def _accuracy_finding(tr: Translator, history: Sequence[EpochRow], kept: int) -> str:
    first, chosen = history[0].val_accuracy, history[kept].val_accuracy
    if len(history) == 1:
        return tr("learning.accuracy.only", chosen=chosen)
    if kept == 0:
        return tr(
            "learning.accuracy.first",
            chosen=chosen,
            last=history[-1].val_accuracy,
        )
    return tr("learning.accuracy.finding", epoch=kept + 1, first=first, chosen=chosen)


# --- ROC and precision-recall -----------------------------------------------------------------------------------


def roc_chart(tr: Translator, evaluation: Evaluation) -> Chart | None:
    """ROC curves with the diagonal of a guesser; None where there are none."""
    return _curve_chart(tr, "roc", evaluation.roc, evaluation, guesser=(0.0, 1.0))


def precision_recall_chart(tr: Translator, evaluation: Evaluation) -> Chart | None:
    """Precision-recall curves with the class' share as a guesser's line (two classes); None where there are none."""
    guesser = None
    if len(evaluation.precision_recall) == 1 and evaluation.n:
        support = {scores.name: scores.support for scores in evaluation.per_class}
        share = support.get(evaluation.precision_recall[0].name, 0) / evaluation.n
        guesser = (share, share)
    return _curve_chart(tr, "pr", evaluation.precision_recall, evaluation, guesser)


def _curve_chart(
    tr: Translator, name: str, curves: Sequence[Curve], evaluation: Evaluation, guesser: tuple[float, float] | None
) -> Chart | None:
    """The weakest curves coloured, the others grey; ``guesser`` has the heights of a guesser's line at both ends."""
    ranked = sorted((c for c in curves if c.x and math.isfinite(c.summary)), key=lambda curve: curve.summary)
    if not ranked:
        return None
    coloured = ranked if len(ranked) <= len(_STYLES) else ranked[:_WEAKEST_SHOWN]
    grey = ranked[len(coloured) :]
    lines, legend = [], []
    for curve, (colour, dash) in zip(coloured, _STYLES, strict=False):
        lines.append(_line(curve, colour, 2.2, dash))
        legend.append(LegendEntry(line=lines[-1], name=curve.name, value=tr.decimal(curve.summary)))
    if grey:
        others = [_line(curve, LINE, 1) for curve in _thinned(grey)]
        lines = others + lines
        span = f"{tr.decimal(grey[0].summary)}–{tr.decimal(grey[-1].summary)}"
        legend.append(LegendEntry(line=others[0], name=tr("curves.others", n=len(grey)), value=span))
    if guesser:
        lines.insert(0, _ideal(guesser))
        legend.append(LegendEntry(line=lines[0], name=tr("curves.guesser"), value=""))
    return Chart(
        id=name,
        title=_curve_title(tr, name, curves, evaluation),
        finding=_curve_finding(tr, name, ranked, evaluation),
        reading=tr(f"{name}.reading"),
        panel=_unit_panel(tr, name, lines),
        legend=legend,
    )


def _curve_title(tr: Translator, name: str, curves: Sequence[Curve], evaluation: Evaluation) -> str:
    """Of two classes it names the one that the curve is of."""
    title = tr(f"{name}.title")
    return f"{title}: {tr.quoted(curves[0].name)}" if len(evaluation.class_names) == 2 else title


def _curve_finding(tr: Translator, name: str, ranked: Sequence[Curve], evaluation: Evaluation) -> str:
    if len(ranked) == 1:
        curve = ranked[0]
        estimate = evaluation.metrics.get("roc_auc" if name == "roc" else "average_precision")
        interval = "" if estimate is None else f" ({tr.evidence('roc_auc', estimate)})"
        area, class_name = curve.summary, tr.quoted(curve.name)
        return tr(f"{name}.one", value=area, interval=interval, name=class_name, pairs=100 * area)
    weak, strong = ranked[0], ranked[-1]
    weak_value, strong_value = tr.decimal(weak.summary), tr.decimal(strong.summary)
    if weak_value == strong_value:
        return tr(f"{name}.alike", value=weak_value, n=evaluation.n)
    return tr(
        f"{name}.many",
        weak=tr.quoted(weak.name),
        weak_value=weak_value,
        strong=tr.quoted(strong.name),
        strong_value=strong_value,
        n=evaluation.n,
    )


def _thinned(curves: Sequence[Curve]) -> Iterable[Curve]:
    """At most ``_MAX_GREY`` curves, evenly chosen over their rank: more are one grey band anyway."""
    step = max(1, math.ceil(len(curves) / _MAX_GREY))
    return curves[::step]


def _line(curve: Curve, colour: str, width: float, dash: str = "") -> Line:
    return Line(name="", points=list(zip(curve.x, curve.y, strict=True)), colour=colour, width=width, dash=dash)


def _ideal(heights: tuple[float, float]) -> Line:
    """A dashed line from left to right that others are compared with."""
    return Line(name="", points=list(enumerate(heights)), colour=MUTED, width=1.2, dash="4 4")


def _unit_panel(tr: Translator, name: str, lines: Sequence[Line], notes: Sequence[Note] = ()) -> Panel:
    """Both axes from 0 to 100 %."""
    ticks = [(share, tr.percent(share, 0)) for share in (0, 0.25, 0.5, 0.75, 1)]
    return Panel(
        lines=lines, x_label=tr(f"{name}.x"), y_label=tr(f"{name}.y"), x_ticks=ticks, y_ticks=ticks, notes=notes
    )


# --- reliability ------------------------------------------------------------------------------------------------


def reliability_charts(tr: Translator, evaluation: Evaluation) -> tuple[Chart, ...]:
    """Confidence against truth, before and after temperature scaling."""
    before = _reliability_chart(tr, evaluation, "before", evaluation.reliability_uncalibrated)
    after = _reliability_chart(tr, evaluation, "after", evaluation.reliability)
    return tuple(chart for chart in (before, after) if chart is not None)


def _reliability_chart(
    tr: Translator, evaluation: Evaluation, when: str, bins: Sequence[ReliabilityBin]
) -> Chart | None:
    used = [b for b in bins if b.count > 0 and math.isfinite(b.confidence) and math.isfinite(b.accuracy)]
    if not used:
        return None
    largest = max(b.count for b in used)
    dots = [
        Dot(
            x=b.confidence,
            y=b.accuracy,
            radius=2.5 + 7.5 * math.sqrt(b.count / largest),
            title=tr("reliability.dot", n=b.count, said=b.confidence, right=b.accuracy),
            edge=True,
        )
        for b in used
    ]
    colour, dash = _STYLES[when == "before"]
    measured = Line(name="", points=[(dot.x, dot.y) for dot in dots], colour=colour, width=2.2, dash=dash, dots=dots)
    notes = (
        Note(x=0.03, y=0.94, text=tr("reliability.modest")),
        Note(x=0.98, y=0.04, text=tr("reliability.bold"), anchor="end"),
    )
    name = "calibration_error" if when == "after" else "calibration_error_uncalibrated"
    error = evaluation.metrics.get(name)
    return Chart(
        id=f"reliability-{when}",
        title=tr(f"reliability.{when}", temperature=evaluation.temperature),
        finding=" ".join((_error_sentence(tr, error), _lean(tr, used, evaluation.metrics.get("accuracy")))).strip(),
        reading="",
        panel=_unit_panel(tr, "reliability", [_ideal((0.0, 1.0)), measured], notes),
    )


def _error_sentence(tr: Translator, error: Estimate | None) -> str:
    if error is None:
        return ""
    evidence = tr.evidence("calibration_error", error)
    return tr("reliability.error", value=error.value, evidence=evidence)


def _lean(tr: Translator, bins: Sequence[ReliabilityBin], accuracy: Estimate | None) -> str:
    """Whether the mean confidence lies outside the interval of the accuracy, and on which side."""
    if accuracy is None:
        return ""
    said = sum(b.count * b.confidence for b in bins) / sum(b.count for b in bins)
    kind = "bold" if said > accuracy.high else "modest" if said < accuracy.low else "honest"
    return tr(
        f"reliability.lean.{kind}",
        said=said,
        right=accuracy.value,
        evidence=tr.evidence("accuracy", accuracy),
    )
