"""Charts that judge: ROC, precision-recall and reliability, all on axes from 0 to 100 %."""

import math
from collections.abc import Iterable, Sequence

from svertka.messages.translator import Translator
from svertka.report.charts import LEFT, RIGHT, SQUARE_BOTTOM, TOP, Chart, Dot, Key, Label, Line
from svertka.schema import Curve, Estimate, Evaluation, ReliabilityBin
from svertka.viz.scales import Axis, Tick, path

_MAX_COLOURED = 5
_MAX_GREY = 40
_WEAKEST_SHOWN = 3

# --- ROC and precision-recall -----------------------------------------------------------------------------------


def roc_chart(tr: Translator, evaluation: Evaluation) -> Chart | None:
    """ROC curves with the diagonal of a guesser; None where there are none."""
    return _curve_chart(tr, "roc", evaluation.roc, evaluation, ideal=((0.0, 1.0), (0.0, 1.0)))


def precision_recall_chart(tr: Translator, evaluation: Evaluation) -> Chart | None:
    """Precision-recall curves with the class' share as a guesser's line (two classes); None where there are none."""
    ideal = None
    if len(evaluation.precision_recall) == 1 and evaluation.n:
        support = {scores.name: scores.support for scores in evaluation.per_class}
        share = support.get(evaluation.precision_recall[0].name, 0) / evaluation.n
        ideal = ((0.0, 1.0), (share, share))
    return _curve_chart(tr, "pr", evaluation.precision_recall, evaluation, ideal=ideal)


def _curve_chart(
    tr: Translator,
    name: str,
    curves: Sequence[Curve],
    evaluation: Evaluation,
    ideal: tuple[tuple[float, float], tuple[float, float]] | None,
) -> Chart | None:
    ranked = sorted((c for c in curves if c.x and math.isfinite(c.summary)), key=lambda curve: curve.summary)
    if not ranked:
        return None
    coloured = ranked if len(ranked) <= _MAX_COLOURED else ranked[:_WEAKEST_SHOWN]
    grey = ranked[len(coloured) :]
    x_axis, y_axis = _unit_axes()
    lines = [] if ideal is None else [_line(Curve(name="", x=ideal[0], y=ideal[1], summary=0), "ideal", 0)]
    lines += [_line(curve, "grey", 2.5) for curve in _thinned(grey)]
    lines += [_line(curve, f"s{index + 1}", 1.0) for index, curve in enumerate(coloured)]
    legend = [
        Key(style=f"s{index + 1}", name=curve.name, value=tr.decimal(curve.summary))
        for index, curve in enumerate(coloured)
    ]
    if grey:
        span = f"{tr.decimal(grey[0].summary)}–{tr.decimal(grey[-1].summary)}"
        legend.append(Key(style="grey", name=tr("curves.others", n=len(grey)), value=span))
    if ideal is not None:
        legend.append(Key(style="ideal", name=tr("curves.guesser"), value=""))
    return Chart(
        id=name,
        title=_curve_title(tr, name, curves, evaluation),
        finding=_curve_finding(tr, name, ranked, evaluation),
        reading=tr(f"{name}.reading"),
        x_label=tr(f"{name}.x"),
        y_label=tr(f"{name}.y"),
        x_ticks=_percent_ticks(tr, x_axis),
        y_ticks=_percent_ticks(tr, y_axis),
        lines=tuple(lines),
        legend=tuple(legend),
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
        value = tr.decimal(curve.summary)
        if name == "roc":
            pairs = tr.decimal(100 * curve.summary, 0)
            return tr("roc.one", value=value, interval=interval, name=tr.quoted(curve.name), pairs=pairs)
        return tr("pr.one", value=value, interval=interval, name=tr.quoted(curve.name))
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


def _line(curve: Curve, style: str, tolerance_px: float) -> Line:
    x_axis, y_axis = _unit_axes()
    return Line(path=path([x_axis.at(x) for x in curve.x], [y_axis.at(y) for y in curve.y], tolerance_px), style=style)


def _unit_axes() -> tuple[Axis, Axis]:
    return (
        Axis(low=0, high=1, start_px=LEFT, end_px=RIGHT - 8),
        Axis(low=0, high=1, start_px=SQUARE_BOTTOM, end_px=TOP),
    )


def _percent_ticks(tr: Translator, axis: Axis) -> tuple[Tick, ...]:
    return tuple(Tick(px=axis.at(share), label=tr.percent(share, 0)) for share in (0, 0.25, 0.5, 0.75, 1))


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
    x_axis, y_axis = _unit_axes()
    largest = max(b.count for b in used)
    style = "s2" if when == "before" else "s1"
    dots = tuple(
        Dot(
            x=x_axis.at(b.confidence),
            y=y_axis.at(b.accuracy),
            r=2.5 + 7.5 * math.sqrt(b.count / largest),
            title=tr("reliability.dot", n=b.count, said=tr.percent(b.confidence), right=tr.percent(b.accuracy)),
        )
        for b in used
    )
    ideal = Line(path=path([x_axis.start_px, x_axis.end_px], [y_axis.start_px, y_axis.end_px]), style="ideal")
    line = Line(path=path([dot.x for dot in dots], [dot.y for dot in dots]), style=style, dots=dots)
    name = "calibration_error" if when == "after" else "calibration_error_uncalibrated"
    error = evaluation.metrics.get(name)
    return Chart(
        id=f"reliability-{when}",
        title=tr(f"reliability.{when}", temperature=tr.decimal(evaluation.temperature, 2)),
        finding=" ".join((_error_sentence(tr, error), _lean(tr, used, evaluation.metrics.get("accuracy")))).strip(),
        reading="",
        x_label=tr("reliability.x"),
        y_label=tr("reliability.y"),
        x_ticks=_percent_ticks(tr, x_axis),
        y_ticks=_percent_ticks(tr, y_axis),
        lines=(ideal, line),
        labels=(
            Label(x=x_axis.at(0.03), y=y_axis.at(0.94), text=tr("reliability.modest"), style="hint"),
            Label(x=x_axis.at(0.98), y=y_axis.at(0.04), text=tr("reliability.bold"), style="hint", anchor="end"),
        ),
    )


def _error_sentence(tr: Translator, error: Estimate | None) -> str:
    if error is None:
        return ""
    evidence = tr.evidence("calibration_error", error)
    return tr("reliability.error", value=tr.percent(error.value), evidence=evidence)


def _lean(tr: Translator, bins: Sequence[ReliabilityBin], accuracy: Estimate | None) -> str:
    """Whether the mean confidence lies outside the interval of the accuracy, and on which side."""
    if accuracy is None:
        return ""
    said = sum(b.count * b.confidence for b in bins) / sum(b.count for b in bins)
    kind = "bold" if said > accuracy.high else "modest" if said < accuracy.low else "honest"
    return tr(
        f"reliability.lean.{kind}",
        said=tr.percent(said),
        right=tr.percent(accuracy.value),
        evidence=tr.evidence("accuracy", accuracy),
    )
