"""Axes: scales, round ticks, grid."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from svertka.viz.drawing import GRID, LINE, MUTED, Polyline, Shape, Text

Point = tuple[float, float]
Tick = tuple[float, str]
"""A value on an axis, and what is written there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """Maps values in ``low``..``high`` to pixels in ``start_px``..``end_px`` (which may run downward)."""

    low: float
    high: float
    start_px: float
    end_px: float

    def at(self, value: float) -> float:
        """Pixel of a value, kept inside the axis."""
        share = (value - self.low) / (self.high - self.low)
        return self.start_px + (self.end_px - self.start_px) * min(1.0, max(0.0, share))


def horizontal_grid(y_axis: Axis, ticks: Sequence[Tick], left: float, right: float, text_px: float) -> Iterator[Shape]:
    """A line across the plot at each tick, and its label to the left."""
    for value, label in ticks:
        y = y_axis.at(value)
        yield Polyline(points=((left, y), (right, y)), stroke=GRID, width=1)
        yield Text(x=left - 8, y=y + 4, text=label, size=text_px, anchor="end", fill=MUTED)


def vertical_grid(x_axis: Axis, ticks: Sequence[Tick], top: float, bottom: float) -> Iterator[Shape]:
    """A line down the plot at each tick, and its label below."""
    for value, label in ticks:
        x = x_axis.at(value)
        yield Polyline(points=((x, top), (x, bottom)), stroke=GRID, width=1)
        yield Text(x=x, y=bottom + 18, text=label, size=11, anchor="middle", fill=MUTED)


def bottom_axis(x_axis: Axis, ticks: Sequence[Tick], bottom: float, text_px: float) -> Iterator[Shape]:
    """A line below the plot, with a short mark and a label at each tick."""
    for value, label in ticks:
        x = x_axis.at(value)
        yield Polyline(points=((x, bottom), (x, bottom + 5)), stroke=LINE, width=1)
        yield Text(x=x, y=bottom + 18, text=label, size=text_px, anchor="middle", fill=MUTED)
    yield Polyline(points=((x_axis.start_px, bottom), (x_axis.end_px, bottom)), stroke=LINE, width=1)


def round_ticks(low: float, high: float, about: int = 5) -> tuple[float, ...]:
    """Round values (steps of 1, 2 or 5 times a power of ten) that cover ``low``..``high``.

    The first is at most ``low`` and the last at least ``high``, so that they can be an axis' ends.
    """
    if high - low <= 1e-6 * max(abs(low), abs(high)):  # a flat line: give it room
        half = max(0.5, 0.05 * abs(low))
        low, high = low - half, low + half
    raw = (high - low) / max(1, about)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    decimals = max(0, 2 - math.floor(math.log10(step)))
    return tuple(round(index * step, decimals) for index in range(first, last + 1))


def spread(wanted: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """Moves labels apart: in their order, at least ``distance`` between two, inside ``low``..``high`` if they fit."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed = list(wanted)
    floor = low
    for index in order:
        placed[index] = max(wanted[index], floor)
        floor = placed[index] + distance
    ceiling = high
    for index in reversed(order):
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - distance
    return placed


def thinned(points: Sequence[Point], tolerance_px: float) -> tuple[Point, ...]:
    """Points of a line without those that lie closer than the tolerance to the last kept one; both ends stay."""
    kept: list[Point] = []
    for index, (x, y) in enumerate(points):
        near = kept and abs(x - kept[-1][0]) + abs(y - kept[-1][1]) < tolerance_px
        if not near or index == len(points) - 1:
            kept.append((x, y))
    return tuple(kept)
