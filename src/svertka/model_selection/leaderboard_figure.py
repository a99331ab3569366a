"""The leaderboard as a figure: accuracy, paired difference from the cheapest contender, time."""

from collections.abc import Iterator, Sequence

from svertka.evaluate.intervals import share
from svertka.messages.translator import Translator, has_width
from svertka.schema import Comparison, Estimate, LeaderboardRow, Versus
from svertka.viz.axes import Axis, round_ticks, vertical_grid
from svertka.viz.drawing import INK, LINE, MUTED, Circle, Drawing, Polyline, Shape, Text, text_width

_ROW, _TOP, _PANEL, _GAP = 46.0, 112.0, 250.0, 72.0
_COLOURS = {"better": "#047857", "worse": "#be123c", "no difference shown": "#6b7280"}
_LEADER = "#1d4ed8"


def picture(comparison: Comparison, title: str) -> Drawing:
    """Draws a comparison, best contender on top; what was not run is named, without a mark."""
    rows = comparison.standings
    names = max(text_width(row.name, 14) for row in rows) + 12
    left = 28 + max(names, 110.0)
    second = left + _PANEL + _GAP
    differences = [row.versus_cheapest.difference for row in rows if row.versus_cheapest]
    width = (second + _PANEL if differences else left + _PANEL) + 150
    bottom = _TOP + _ROW * len(rows)
    figures = [row.accuracy for row in rows if row.accuracy] or [share(0, 0)]
    accuracy = _axis([(e.low, e.high) for e in figures], left, 0.0, 1.0)
    difference = _axis([(0.0, 0.0), *((e.low, e.high) for e in differences)], second, -1.0, 1.0)
    shapes: list[Shape] = [
        Text(x=28, y=34, text=title, size=18, bold=True),
        Text(x=28, y=56, text=_subtitle(comparison), size=12, fill=MUTED),
        Text(x=left, y=_TOP - 24, text="Accuracy", size=13, bold=True),
        Text(x=width - 28, y=_TOP - 24, text="Time a fold", size=13, bold=True, anchor="end"),
        *_grid(accuracy, bottom, signed=False),
    ]
    if differences:
        heading = f"Difference from {_cheapest(rows)}, in points"
        shapes += [Text(x=second, y=_TOP - 24, text=heading, size=13, bold=True)]
        shapes += _grid(difference, bottom, signed=True)
    for number, row in enumerate(rows):
        y = _TOP + _ROW * (number + 0.5)
        shapes.append(Text(x=28, y=y - 1, text=row.name, size=14, bold=number == 0, fill=INK if row.folds else MUTED))
        shapes.append(Text(x=28, y=y + 14, text=_note(row, comparison), size=11, fill=MUTED))
        if row.accuracy:
            colour = _LEADER if number == 0 else INK
            shapes += _mark(accuracy, row.accuracy, y, colour, f"{100 * row.accuracy.value:.1f} %")
            shapes.append(Text(x=width - 28, y=y + 4, text=_seconds(row.seconds), size=12, anchor="end"))
        if row.versus_cheapest:
            shapes += _versus(difference, row.versus_cheapest, y)
    foot = "Dots with 95 % intervals."
    if differences:
        foot += " Differences are in pairs, on the folds that both were judged on."
    shapes.append(Text(x=28, y=bottom + 56, text=foot, size=11, fill=MUTED))
    return Drawing(width=width, height=bottom + 76, title=title, shapes=shapes)


def _subtitle(comparison: Comparison) -> str:
    aside = f", {comparison.set_aside:,} test images untouched" if comparison.set_aside else ""
    return f"{comparison.images:,} images in {comparison.folds} folds{aside}; {comparison.seconds / 60:.1f} min"


def _cheapest(rows: Sequence[LeaderboardRow]) -> str:
    return next((row.versus_cheapest.other for row in rows if row.versus_cheapest), "the cheapest")


def _note(row: LeaderboardRow, comparison: Comparison) -> str:
    if row.error:
        return "failed"
    if not row.folds:
        return "not run"
    return "all folds" if len(row.folds) == comparison.folds else f"{len(row.folds)} of {comparison.folds} folds"


def _axis(spans: Sequence[tuple[float, float]], start: float, least: float, most: float) -> Axis:
    """An axis that holds all spans, with round ends inside ``least`` to ``most``."""
    ticks = round_ticks(min(low for low, _ in spans), max(high for _, high in spans), 4)
    return Axis(low=max(ticks[0], least), high=min(ticks[-1], most), start_px=start, end_px=start + _PANEL)


def _grid(axis: Axis, bottom: float, *, signed: bool) -> Iterator[Shape]:
    def label(value: float) -> str:
        digits = 0 if abs(100 * value - round(100 * value)) < 1e-6 else 1
        if signed:
            return "0" if abs(value) < 1e-9 else _signed(value, digits)
        return f"{100 * value:.{digits}f} %"

    ticks = round_ticks(axis.low, axis.high, 4)
    inside = [value for value in ticks if axis.low - 1e-9 <= value <= axis.high + 1e-9]
    yield from vertical_grid(axis, [(value, label(value)) for value in inside], _TOP - 6, bottom)
    if signed:
        yield Polyline(points=((axis.at(0), _TOP - 6), (axis.at(0), bottom)), stroke=LINE)


def _mark(axis: Axis, estimate: Estimate, y: float, colour: str, text: str) -> Iterator[Shape]:
    x, low, high = (axis.at(value) for value in (estimate.value, estimate.low, estimate.high))
    yield Polyline(points=((low, y), (high, y)), stroke=colour, width=2.5)
    known = f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f}"
    interval = known if has_width(estimate) else Translator("en").sameness("difference", estimate)
    tip = f"{100 * estimate.value:.1f} ({interval}), n = {estimate.n}"
    yield Circle(x=x, y=y, radius=5, fill=colour, title=tip)
    yield Text(x=x, y=y - 10, text=text, size=11, anchor="middle", fill=colour, bold=True, halo=True)


def _versus(axis: Axis, versus: Versus, y: float) -> Iterator[Shape]:
    colour = _COLOURS[versus.verdict]
    yield from _mark(axis, versus.difference, y, colour, _signed(versus.difference.value, 1))
    yield Text(x=axis.at(versus.difference.value), y=y + 18, text=versus.verdict, size=10.5, anchor="middle",
                fill=colour, halo=True)  # fmt: skip


def _signed(value: float, digits: int) -> str:
    return f"{100 * value:+.{digits}f}".replace("-", "−")


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"
