"""Line charts in panels: titles, axes with units, and each line's name at its end.

Lengths are pixels of the SVG.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from svertka.viz.axes import Axis, Point, Tick, bottom_axis, horizontal_grid, round_ticks, spread, thinned
from svertka.viz.drawing import INK, MUTED, PAPER, Circle, Drawing, Polyline, Shape, Text, text_width

_MARGIN, _LEFT, _ABOVE, _BELOW, _LABEL_PX = 24.0, 62.0, 56.0, 50.0, 13.0
_POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, kw_only=True, slots=True)
class Dot:
    """A marked point, in values of the axes; its title shows under a pointer."""

    x: float
    y: float
    radius: float
    title: str = ""
    edge: bool = False
    """Set off from others by a thin edge of the paper's colour."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """Points from left to right, and the name that stands behind the last one, or above it if others go on.

    Points without a finite y, and on a logarithmic axis those at 0 and below, are left out.
    """

    name: str
    """Empty where no name is to be written."""
    points: Sequence[Point]
    colour: str
    width: float = 2.0
    dash: str = ""
    dots: bool | Sequence[Dot] = False
    """True marks every point, False only the end of a line with a name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """Small words inside a plot, at a place in values of the axes."""

    x: float
    y: float
    text: str
    anchor: Literal["start", "end"] = "start"


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One pair of axes."""

    lines: Sequence[Line]
    title: str = ""
    x_label: str
    """With its unit."""
    y_label: str
    """With its unit; it stands above the axis' numbers."""
    x_ticks: Sequence[Tick] | None = None
    """None chooses round values; an empty list leaves the axis out, which then spans the points."""
    y_ticks: Sequence[Tick] | None = None
    """As ``x_ticks``; the first and the last are the axis' ends."""
    log_y: bool = False
    """Powers of ten at equal distances."""
    y_span: tuple[float, float] | None = None
    """Lowest and highest value on the axis; None means those of the lines."""
    y_target: Tick | None = None
    """A height that a thin line marks, with its name."""
    guides: Sequence[Tick] = ()
    """Places on the x axis that a dashed line marks, with words at its top."""
    notes: Sequence[Note] = ()


def chart(
    title: str, subtitle: Sequence[str], panels: Sequence[Panel], *, columns: int, panel_px: tuple[float, float]
) -> Drawing:
    """Lays panels out in rows below a title.

    Args:
        title: large.
        subtitle: lines of small text: what was measured, and how.
        panels: in reading order.
        columns: panels a row.
        panel_px: width and height of the space between a panel's axes; names stand to the right of it.
    """
    names = max((text_width(line.name, 12) for panel in panels for line in panel.lines), default=0.0)
    step_x, step_y = _LEFT + panel_px[0] + names + 22, _ABOVE + panel_px[1] + _BELOW
    top = _MARGIN + 30 + 18 * len(subtitle)
    shapes: list[Shape] = [Text(x=_MARGIN, y=_MARGIN + 14, text=title, size=19, bold=True)]
    shapes += [Text(x=_MARGIN, y=_MARGIN + 36 + 18 * n, text=line, fill=MUTED) for n, line in enumerate(subtitle)]
    for number, panel in enumerate(panels):
        left, head = _MARGIN + number % columns * step_x, top + number // columns * step_y
        corner = left + _LEFT, head + _ABOVE
        shapes += _panel(panel, corner, (corner[0] + panel_px[0], corner[1] + panel_px[1]), left)
    rows = -(-len(panels) // columns)
    wide = max(_MARGIN + min(columns, len(panels)) * step_x, *(40 + text_width(line, 12.5) for line in subtitle), 400.0)
    return Drawing(width=wide, height=top + rows * step_y + 8, title=title, shapes=shapes)


def single(panel: Panel, title: str, size: tuple[float, float], corner: Point, end: Point) -> Drawing:
    """One panel alone, for a page that writes the title itself.

    Args:
        panel: without a title.
        title: for those who cannot see the figure.
        size: width and height of the whole.
        corner: upper left end of the space between the axes.
        end: its lower right end.
    """
    return Drawing(width=size[0], height=size[1], title=title, shapes=_panel(panel, corner, end, 2, text_px=12))


def write_power(exponent: int) -> str:
    """``10⁻⁷``; 1 and 10 as they are."""
    return {0: "1", 1: "10"}.get(exponent, f"10{str(exponent).translate(_POWERS)}")


def _panel(panel: Panel, corner: Point, end: Point, left: float, text_px: float = 11) -> list[Shape]:
    lines = [(line, _usable(line, panel.log_y)) for line in panel.lines]
    x_axis, y_axis, x_ticks, y_ticks = _axes(panel, [points for _, points in lines], corner, end)
    shapes: list[Shape] = []
    if panel.title:
        shapes.append(Text(x=left, y=corner[1] - 36, text=panel.title, size=14, bold=True))
    if y_ticks:
        shapes.append(Text(x=left, y=corner[1] - 20, text=panel.y_label, size=text_px, fill=MUTED))
        shapes += horizontal_grid(y_axis, y_ticks, corner[0], end[0], text_px)
    if x_ticks:
        shapes += bottom_axis(x_axis, x_ticks, end[1], text_px)
        middle = (corner[0] + end[0]) / 2
        shapes.append(Text(x=middle, y=end[1] + 35, text=panel.x_label, size=text_px, anchor="middle", fill=MUTED))
    named: list[Shape] = []
    for value, words in panel.guides:
        x = x_axis.at(value)
        shapes.append(Polyline(points=((x, corner[1]), (x, end[1])), stroke=MUTED, width=1, dash="2 3"))
        named.append(Text(x=x + 4, y=corner[1] + 10, text=words, size=11, fill=MUTED, halo=True))
    if panel.y_target:
        y = y_axis.at(panel.y_target[0])
        shapes.append(Polyline(points=((corner[0], y), (end[0], y)), stroke=INK, width=1))
        named.append(_beside_line(panel.y_target[1], y, (corner, end), [_places(p, x_axis, y_axis) for _, p in lines]))
    for note in panel.notes:
        x, y = x_axis.at(note.x), y_axis.at(note.y)
        named.append(Text(x=x, y=y, text=note.text, size=11, anchor=note.anchor, fill=MUTED, halo=True))
    return shapes + _draw_lines(lines, x_axis, y_axis) + named


def _axes(
    panel: Panel, lines: Sequence[Sequence[Point]], corner: Point, end: Point
) -> tuple[Axis, Axis, Sequence[Tick], Sequence[Tick]]:
    """Both axes with their ticks, chosen where the panel names none."""
    xs = [x for points in lines for x, _ in points] or [0.0, 1.0]
    ys = [y for points in lines for _, y in points] or [0.0, 1.0]
    if panel.y_span:
        ys = [math.log10(value) if panel.log_y else value for value in panel.y_span]
    x_ticks, y_ticks = panel.x_ticks, panel.y_ticks
    if x_ticks is None:
        x_ticks = [(tick, f"{tick:g}") for tick in _ticks(min(xs), max(xs), whole=True)]
    if y_ticks is None:
        y_ticks = [
            (tick, write_power(round(tick)) if panel.log_y else f"{tick:g}")
            for tick in _ticks(min(ys), max(ys), whole=panel.log_y)
        ]
    x_low = x_ticks[0][0] if x_ticks else min(xs)
    x_high = max(*xs, x_low + 1) if x_ticks else max(*xs, x_low + 1e-6)
    y_low, y_high = (y_ticks[0][0], y_ticks[-1][0]) if y_ticks else (min(ys), max(*ys, min(ys) + 1e-6))
    return (
        Axis(low=x_low, high=x_high, start_px=corner[0], end_px=end[0]),
        Axis(low=y_low, high=y_high, start_px=end[1], end_px=corner[1]),
        [tick for tick in x_ticks if tick[0] <= x_high],
        y_ticks,
    )


def _places(points: Sequence[Point], x_axis: Axis, y_axis: Axis) -> tuple[Point, ...]:
    return tuple((x_axis.at(x), y_axis.at(y)) for x, y in points)


def _beside_line(text: str, y: float, room: tuple[Point, Point], lines: Sequence[Sequence[Point]]) -> Text:
    """The words of a horizontal line: below or above it, left or right, where they cover least of the other lines."""
    (left, _), (right, bottom) = room
    width = text_width(text, 11)
    sides: tuple[tuple[float, Literal["start", "end"]], ...] = ((right - 4, "end"), (left + 4, "start"))
    places = [
        (x, y + down, anchor)
        for x, anchor in sides
        for down in ((13, -5) if y + 20 < bottom else (-5,))  # below the line they would cover the axis
    ]

    def covered(place: tuple[float, float, str]) -> int:  # points of lines in its box
        start = place[0] - (width if place[2] == "end" else 0)
        return sum(
            start - 4 <= a + (c - a) * t / 20 <= start + width + 4
            and place[1] - 14 <= b + (d - b) * t / 20 <= place[1] + 6
            for points in lines
            for (a, b), (c, d) in itertools.pairwise(points)
            for t in range(21)
        )

    x, baseline, anchor = min(places, key=covered)
    return Text(x=x, y=baseline, text=text, size=11, anchor=anchor, halo=True)


def _draw_lines(lines: Sequence[tuple[Line, list[Point]]], x_axis: Axis, y_axis: Axis) -> list[Shape]:
    """Lines and dots, then the names at the lines' ends; names on the right that would touch stand apart."""
    shapes: list[Shape] = []
    ends = []
    for line, points in lines:
        places = thinned(_places(points, x_axis, y_axis), 1.0)
        if places and line.width:
            shapes.append(Polyline(points=places, stroke=line.colour, width=line.width, dash=line.dash))
        shapes += _dots(line, points, x_axis, y_axis)
        if places and line.name:
            ends.append((line, places[-1]))
    furthest = max((x for _, (x, _) in ends), default=0.0)
    for line, (x, y) in ends:
        if x == furthest:
            continue
        fits = x - text_width(line.name) / 2 > x_axis.start_px  # else it would cover the axis' numbers
        place = (x, y - 7) if fits else (x + 7, y + 4)
        anchor: Literal["start", "middle"] = "middle" if fits else "start"
        shapes.append(
            Text(x=place[0], y=place[1], text=line.name, anchor=anchor, fill=line.colour, bold=True, halo=True)
        )
    behind = [(line, y) for line, (x, y) in ends if x == furthest]
    heights = spread([y for _, y in behind], _LABEL_PX, y_axis.end_px + 4, y_axis.start_px - 2)
    for (line, _), y in zip(behind, heights, strict=True):
        shapes.append(Text(x=furthest + 7, y=y + 4, text=line.name, fill=line.colour, bold=True, halo=True))
    return shapes


def _dots(line: Line, points: Sequence[Point], x_axis: Axis, y_axis: Axis) -> list[Circle]:
    dots = line.dots
    if isinstance(dots, bool):
        marked = points if dots else points[-1:] if line.name else ()
        dots = [Dot(x=x, y=y, radius=line.width + 0.8) for x, y in marked]
    return [
        Circle(x=x_axis.at(dot.x), y=y_axis.at(dot.y), radius=dot.radius, fill=line.colour,
             stroke=PAPER if dot.edge else "none", title=dot.title)
        for dot in dots
    ]  # fmt: skip


def _usable(line: Line, log_y: bool) -> list[Point]:
    if not log_y:
        return [(x, y) for x, y in line.points if math.isfinite(y)]
    return [(x, math.log10(y)) for x, y in line.points if math.isfinite(y) and y > 0]


def _ticks(low: float, high: float, *, whole: bool) -> list[float]:
    """Round values over a span; only whole ones where there is nothing between (epochs, layers, powers of ten)."""
    if whole and low == high == round(low):  # one epoch: it stands at the end of the axis, as the last one does
        return [low - 1, low]
    if not whole:
        return list(round_ticks(low, high, 5))
    low, high = math.floor(low), max(math.ceil(high), math.floor(low) + 1)
    return [tick for tick in round_ticks(low, high, 5) if tick == round(tick)]
