"""From data to pixels: axes, round ticks and SVG paths. Pure arithmetic, no drawing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """A mark of an axis: where, and what is written there."""

    px: float
    label: str


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


def path(xs: Sequence[float], ys: Sequence[float], tolerance_px: float = 0.0) -> str:
    """SVG path through pixel points; points closer than the tolerance to the last kept one are left out."""
    kept: list[tuple[float, float]] = []
    for index, (x, y) in enumerate(zip(xs, ys, strict=True)):
        near = kept and abs(x - kept[-1][0]) + abs(y - kept[-1][1]) < tolerance_px
        if near and index < len(xs) - 1:
            continue
        kept.append((x, y))
    return "".join(f"{'L' if index else 'M'}{x:.1f},{y:.1f}" for index, (x, y) in enumerate(kept))
