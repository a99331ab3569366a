"""Line charts as records, which a Jinja macro draws; and the first of them, the learning curves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from svertka.messages.translator import Translator
from svertka.schema import EpochRow
from svertka.viz.scales import Axis, Tick, path, round_ticks, spread

# Drawn about as wide as a phone, so that letters keep their size there; a desktop shows two charts side by side.
WIDTH = 360
LEFT, RIGHT, TOP = 44, 348, 26
BOTTOM, SQUARE_BOTTOM = 236, 300
_LEAST_SPAN = 0.001  # of the y axis: below that, differences are noise and labels get long
_BELOW = 42  # room under the plot for ticks and the axis' name


@dataclass(frozen=True, kw_only=True, slots=True)
class Dot:
    """A point that is marked: pixels, radius, and the words that a pointer shows."""

    x: float
    y: float
    r: float
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line: its path, its style class (``s1`` to ``s5``, ``grey``, ``ideal``) and its marked points."""

    path: str
    style: str
    dots: tuple[Dot, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """Words inside the plot, coloured like the line that they name."""

    x: float
    y: float
    text: str
    style: str
    anchor: str = "start"


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """One entry of the legend under a chart."""

    style: str
    name: str
    value: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A chart with all that its figure says.

    Attributes:
        id: unique on the page.
        title: what is drawn.
        finding: what this one says, computed from its numbers.
        reading: what the axes are, how to read it, what good looks like.
        right_px: where the plot ends; labels of line ends stand to the right of it.
        guides: pixels of vertical lines, with their words.
    """

    id: str
    title: str
    finding: str
    reading: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    labels: tuple[Label, ...] = ()
    legend: tuple[Key, ...] = ()
    guides: tuple[Tick, ...] = ()
    right_px: float = RIGHT
    left_px: float = LEFT
    top_px: float = TOP
    bottom_px: float = SQUARE_BOTTOM
    width: int = WIDTH

    @property
    def height(self) -> float:
        """Of the whole drawing."""
        return self.bottom_px + _BELOW


# --- learning curves --------------------------------------------------------------------------------------------


def learning_charts(tr: Translator, history: Sequence[EpochRow]) -> tuple[Chart, ...]:
    """Loss and validation accuracy over epochs; nothing where there is no history."""
    if not history:
        return ()
    right = 282.0  # leaves room for the names at the ends of the lines
    epochs = Axis(low=1, high=max(2, len(history)), start_px=LEFT + 6, end_px=right)
    kept = _lowest([row.val_loss if math.isnan(row.selection_loss) else row.selection_loss for row in history])
    x_ticks = tuple(
        Tick(px=epochs.at(value), label=tr.decimal(value, 0))
        for value in round_ticks(1, max(2, len(history)), 8)
        if value == int(value) and 1 <= value <= max(2, len(history))
    )
    guides = tuple(
        Tick(px=epochs.at(index + 0.5), label=tr.known("phase", row.phase))
        for index, row in enumerate(history)
        if index and row.phase != history[index - 1].phase
    )
    loss = (
        ("s2", tr("learning.train"), [row.train_loss for row in history]),
        ("s1", tr("learning.val"), [row.val_loss for row in history]),
    )
    accuracy = (("s1", tr("learning.val"), [row.val_accuracy for row in history]),)
    common = {
        "x_ticks": x_ticks,
        "guides": guides,
        "right_px": right,
        "bottom_px": BOTTOM,
        "x_label": tr("learning.epoch"),
    }
    return (
        _epoch_chart(tr, "loss", loss, epochs, kept, _loss_finding(tr, history, kept), common),
        _epoch_chart(tr, "accuracy", accuracy, epochs, kept, _accuracy_finding(tr, history, kept), common),
    )


def _epoch_chart(
    tr: Translator,
    name: str,
    series: Sequence[tuple[str, str, list[float]]],
    epochs: Axis,
    best: int,
    finding: str,
    common: dict[str, object],
) -> Chart:
    values = [value for _, _, points in series for value in points if math.isfinite(value)]
    lowest, highest = min(values, default=0.0), max(values, default=1.0)
    if name == "accuracy":
        lowest = max(0.0, min(lowest, highest - 20 * _LEAST_SPAN))  # downward: nothing lies above 100 %
    ticks = round_ticks(lowest, max(highest, lowest + _LEAST_SPAN), 5)
    axis = Axis(low=ticks[0], high=ticks[-1], start_px=BOTTOM, end_px=TOP)
    write = tr.percent if name == "accuracy" else tr.decimal
    digits = 0 if name == "accuracy" and ticks[1] - ticks[0] >= 0.0099 else _digits(ticks, name)
    lines, ends = [], []
    for style, label, points in series:
        at = [(epochs.at(i + 1), axis.at(v), v, i) for i, v in enumerate(points) if math.isfinite(v)]
        dots = tuple(
            Dot(x=x, y=y, r=4.5 if i == best and style == "s1" else 2.2, title=f"{label}, {i + 1}: {write(v)}")
            for x, y, v, i in at
        )
        lines.append(Line(path=path([p[0] for p in at], [p[1] for p in at]), style=style, dots=dots))
        if at:
            ends.append((at[-1][1] + 4, label, style))
    heights = spread([end[0] for end in ends], 14, TOP + 8, BOTTOM)
    return Chart(
        id=f"learning-{name}",
        title=tr(f"learning.{name}.title"),
        finding=finding,
        reading=tr(f"learning.{name}.reading"),
        y_label=tr(f"learning.{name}.axis"),
        y_ticks=tuple(Tick(px=axis.at(value), label=write(value, digits)) for value in ticks),
        lines=tuple(lines),
        labels=tuple(
            Label(x=float(epochs.end_px) + 9, y=y, text=end[1], style=end[2])
            for y, end in zip(heights, ends, strict=True)
        ),
        **common,  # type: ignore[arg-type]
    )


def _or_infinity(loss: float) -> float:
    """A loss that is no number (training diverged) counts as the worst."""
    return loss if math.isfinite(loss) else math.inf


def _digits(ticks: Sequence[float], name: str) -> int:
    step = ticks[1] - ticks[0]
    return max(0, math.ceil(-math.log10(step * (100 if name == "accuracy" else 1)) - 1e-9))


def _lowest(losses: Sequence[float]) -> int:
    return min(range(len(losses)), key=lambda index: _or_infinity(losses[index]))


def _loss_finding(tr: Translator, history: Sequence[EpochRow], kept: int) -> str:
    best = _lowest([row.val_loss for row in history])
    value = tr.decimal(history[best].val_loss)
    if len(history) == 1:
        return tr("learning.loss.only", value=value)
    if best != kept:
        corrected = tr.decimal(history[kept].selection_loss)
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
        return tr("learning.accuracy.only", chosen=tr.percent(chosen))
    if kept == 0:
        return tr(
            "learning.accuracy.first",
            chosen=tr.percent(chosen),
            last=tr.percent(history[-1].val_accuracy),
        )
    return tr("learning.accuracy.finding", epoch=kept + 1, first=tr.percent(first), chosen=tr.percent(chosen))
