"""Line charts in panels: titles, axes with units, and each line's name at its end. Drawn as the networks' pictures are.

Lengths are pixels of the SVG.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from svertka.viz.drawing import INK, LINE, MUTED, Disc, Drawing, Path_, Shape, Words, text_width
from svertka.viz.scales import Axis, round_ticks, spread

# Okabe and Ito's colours (Color Universal Design, 2008), which people with any kind of colour vision tell apart.
BLUE, ORANGE, GREEN, PINK, SKY, AMBER = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, AMBER)
Point = tuple[float, float]
_MARGIN, _LEFT, _ABOVE, _BELOW, _LABEL_PX = 24.0, 62.0, 56.0, 50.0, 13.0
_GRID = "#e5e7eb"
_POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """Points from left to right, and the name that stands behind the last one, or above it if others go on.

    Points without a finite y, and on a logarithmic axis those at 0 and below, are left out.
    """

    name: str
    points: Sequence[tuple[float, float]]
    colour: str
    width: float = 2.0
    dots: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: above it.
        x_label: with its unit.
        y_label: with its unit, above the axis' numbers.
        lines: in any order.
        log_y: powers of ten at equal distances.
        y_span: lowest and highest value on the axis; None means those of the lines.
        y_target: a height that a thin line marks, with its name.
    """

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    log_y: bool = False
    y_span: tuple[float, float] | None = None
    y_target: tuple[float, str] | None = None


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
    shapes: list[Shape] = [Words(x=_MARGIN, y=_MARGIN + 14, text=title, size=19, bold=True)]
    shapes += [Words(x=_MARGIN, y=_MARGIN + 36 + 18 * n, text=line, fill=MUTED) for n, line in enumerate(subtitle)]
    for number, panel in enumerate(panels):
        left, head = _MARGIN + number % columns * step_x, top + number // columns * step_y
        corner = left + _LEFT, head + _ABOVE
        shapes += _panel(panel, corner, (corner[0] + panel_px[0], corner[1] + panel_px[1]))
    rows = -(-len(panels) // columns)
    wide = max(_MARGIN + min(columns, len(panels)) * step_x, *(40 + text_width(line, 12.5) for line in subtitle), 400.0)
    return Drawing(width=wide, height=top + rows * step_y + 8, title=title, shapes=shapes)


def write_power(exponent: int) -> str:
    """``10⁻⁷``; 1 and 10 as they are."""
    return {0: "1", 1: "10"}.get(exponent, f"10{str(exponent).translate(_POWERS)}")


def _panel(panel: Panel, corner: tuple[float, float], end: tuple[float, float]) -> list[Shape]:
    lines = [(line, _usable(line, panel.log_y)) for line in panel.lines]
    xs = [x for _, points in lines for x, _ in points] or [0.0, 1.0]
    ys = [y for _, points in lines for _, y in points] or [0.0, 1.0]
    if panel.y_span:
        ys = [math.log10(value) if panel.log_y else value for value in panel.y_span]
    x_ticks = _ticks(min(xs), max(xs), whole=True)
    furthest = max(max(xs), x_ticks[0] + 1)
    y_ticks = _ticks(min(ys), max(ys), whole=panel.log_y)
    x_axis = Axis(low=x_ticks[0], high=furthest, start_px=corner[0], end_px=end[0])
    y_axis = Axis(low=y_ticks[0], high=y_ticks[-1], start_px=end[1], end_px=corner[1])
    shapes: list[Shape] = [
        Words(x=corner[0] - _LEFT, y=corner[1] - 36, text=panel.title, size=14, bold=True),
        Words(x=corner[0] - _LEFT, y=corner[1] - 20, text=panel.y_label, size=11, fill=MUTED),
    ]
    for tick in y_ticks:
        y = y_axis.at(tick)
        text = write_power(round(tick)) if panel.log_y else f"{tick:g}"
        shapes.append(Path_(points=((corner[0], y), (end[0], y)), stroke=_GRID, width=1))
        shapes.append(Words(x=corner[0] - 8, y=y + 4, text=text, size=11, anchor="end", fill=MUTED))
    for tick in (tick for tick in x_ticks if tick <= furthest):
        x = x_axis.at(tick)
        shapes.append(Path_(points=((x, end[1]), (x, end[1] + 5)), stroke=LINE, width=1))
        shapes.append(Words(x=x, y=end[1] + 18, text=f"{tick:g}", size=11, anchor="middle", fill=MUTED))
    shapes.append(Path_(points=((corner[0], end[1]), end), stroke=LINE, width=1))
    middle = (corner[0] + end[0]) / 2
    shapes.append(Words(x=middle, y=end[1] + 35, text=panel.x_label, size=11, anchor="middle", fill=MUTED))
    named: list[Shape] = []
    if panel.y_target:
        y = y_axis.at(panel.y_target[0])
        shapes.append(Path_(points=((corner[0], y), (end[0], y)), stroke=INK, width=1))
        named.append(_beside_line(panel.y_target[1], y, (corner, end), [_places(p, x_axis, y_axis) for _, p in lines]))
    return shapes + _draw_lines(lines, x_axis, y_axis, corner[1], end[1]) + named


def _places(points: Sequence[tuple[float, float]], x_axis: Axis, y_axis: Axis) -> tuple[Point, ...]:
    return tuple((x_axis.at(x), y_axis.at(y)) for x, y in points)


def _beside_line(text: str, y: float, room: tuple[Point, Point], lines: Sequence[Sequence[Point]]) -> Words:
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
    return Words(x=x, y=baseline, text=text, size=11, anchor=anchor, halo=True)


def _draw_lines(
    lines: Sequence[tuple[Line, list[tuple[float, float]]]], x_axis: Axis, y_axis: Axis, top: float, bottom: float
) -> list[Shape]:
    """Lines and dots, then the names at the lines' ends; names on the right that would touch stand apart."""
    shapes: list[Shape] = []
    ends = []
    for line, points in lines:
        places = _places(points, x_axis, y_axis)
        if not places:
            continue
        shapes.append(Path_(points=places, stroke=line.colour, width=line.width))
        shown = places if line.dots else places[-1:]
        shapes += [Disc(x=x, y=y, radius=line.width + 0.8, fill=line.colour) for x, y in shown]
        ends.append((line, places[-1]))
    furthest = max((x for _, (x, _) in ends), default=0.0)
    for line, (x, y) in ends:
        if x == furthest:
            continue
        fits = x - text_width(line.name) / 2 > x_axis.start_px  # else it would cover the axis' numbers
        place = (x, y - 7) if fits else (x + 7, y + 4)
        anchor: Literal["start", "middle"] = "middle" if fits else "start"
        shapes.append(
            Words(x=place[0], y=place[1], text=line.name, anchor=anchor, fill=line.colour, bold=True, halo=True)
        )
    behind = [(line, y) for line, (x, y) in ends if x == furthest]
    heights = spread([y for _, y in behind], _LABEL_PX, top + 4, bottom - 2)
    for (line, _), y in zip(behind, heights, strict=True):
        shapes.append(Words(x=furthest + 7, y=y + 4, text=line.name, fill=line.colour, bold=True, halo=True))
    return shapes


def _usable(line: Line, log_y: bool) -> list[tuple[float, float]]:
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
