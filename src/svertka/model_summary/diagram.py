"""Draws a network: a column for each resolution, boxes for layers, shapes on the edges."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from svertka.model_summary.blocks import LayerBox, Sketch, runs_of_blocks, sketch
from svertka.model_summary.summary import by_times, card
from svertka.viz.drawing import INK, MUTED, PAPER, Drawing, Polyline, Rectangle, Shape, Text, text_width

if TYPE_CHECKING:
    from torch import nn

_COLOURS = {
    "conv": ("#dbeafe", "#3b82f6"), "depthwise": ("#ede9fe", "#8b5cf6"), "pool": ("#dcfce7", "#22c55e"),
    "linear": ("#ffedd5", "#f97316"), "join": (PAPER, "#374151"), "other": ("#f3f4f6", "#9ca3af"),
}  # fmt: skip
_WIDTH, _LANE, _LINE, _GAP = 148.0, 176.0, 15.0, 30.0  # of a box, from lane to lane, a line of text, between boxes
_PAD, _HEAD, _TOP, _MARGIN, _GUTTER = 14.0, 24.0, 96.0, 28.0, 58.0
_SHORTCUT = "#6b7280"


@dataclass(slots=True)
class _Place:
    """Where a box is: its centre line, its top and its height, its column, and how far right of it is free."""

    x: float
    y: float
    height: float
    column: int
    lane: int

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class _Panel:
    """The frame around a block."""

    name: str
    members: tuple[int, ...]
    left: float
    top: float
    right: float
    bottom: float


def draw(network: "nn.Module", title: str, input_CHW: tuple[int, int, int]) -> Drawing:
    """Draws a network that lies on torch's device ``meta``, for one image of a shape.

    Raises:
        ShapeError: the network cannot take such an image.
    """
    from svertka.model_summary.trace import trace

    known = card(network, title, input_CHW)
    found = sketch(network, trace(network, input_CHW))
    places, panels, heads = _lay_out(found)
    right = max([p.right for p in panels] + [p.x + _WIDTH / 2 for p in places]) + _MARGIN + 30
    bottom = max([p.bottom for p in panels] + [p.bottom for p in places]) + _MARGIN + 24
    totals = f"input {by_times(input_CHW)} · {known.parameters:,} parameters · {known.multiply_adds:,} multiply-adds"
    shapes: list[Shape] = [
        Text(x=_MARGIN, y=36, text=title, size=20, bold=True),
        Text(x=_MARGIN, y=57, size=12, fill=MUTED, text=totals),
    ]
    shapes += [Text(x=x, y=_TOP - 10, text=text, size=13, anchor="middle", bold=True, fill=MUTED) for x, text in heads]
    shapes += [s for panel in panels for s in _panel(panel, found)]
    shapes += _edges(found, places, panels, by_times(input_CHW))
    shapes += [s for node, place in zip(found.nodes, places, strict=True) for s in _box(node, place)]
    return Drawing(width=max(right, 420), height=bottom, title=f"{title}, layer by layer", shapes=shapes)


# --- layout --------------------------------------------------------------------------------------------------------


def _lay_out(found: Sketch) -> tuple[list[_Place], list[_Panel], list[tuple[float, str]]]:
    """Places units (blocks, or boxes of none) from top to bottom, in a new column where the resolution changes."""
    places: list[_Place] = [_Place(0, 0, 0, 0, 0) for _ in found.nodes]
    panels: list[_Panel] = []
    heads: list[tuple[float, str]] = []
    column, side, x, y, right = -1, None, _MARGIN + _PAD + _WIDTH / 2, _TOP, 0.0
    for unit in runs_of_blocks(found.nodes):
        last = found.nodes[unit[-1]].output
        now = last[1:] if len(last) == 3 and last[1] > 1 else ()
        if side is None or now != side:
            if column >= 0:
                x = right + _GUTTER + _PAD + _WIDTH / 2
            column, side, y, right = column + 1, now, _TOP + 26, x + _WIDTH / 2 + _PAD
            heads.append((x, f"{by_times(now)} px" if now else "classifier"))
        framed = len(unit) > 1 or found.repeats.get(found.nodes[unit[0]].block, 1) > 1
        top = y
        y += _HEAD + _PAD if framed else 0
        lanes, rows = _lanes(found.nodes, unit)
        y = _stack(found.nodes, unit, lanes, rows, places, x, y, column)
        y += 12 if found.nodes[unit[0]].block in found.dense else 0
        widest = max(lanes.values())
        edge = x + widest * _LANE + _WIDTH / 2
        if framed:
            has_way_round = any(len(found.nodes[i].inputs) > 1 for i in unit)
            edge += _PAD + (34 if has_way_round and not widest else 8)
            panels.append(_Panel(found.nodes[unit[0]].block, tuple(unit), x - _WIDTH / 2 - _PAD, top, edge, y + _PAD))
            y += _PAD
        right = max(right, edge)
        y += _GAP
    return places, panels, heads


def _lanes(nodes: Sequence[LayerBox], unit: list[int]) -> tuple[dict[int, int], dict[int, int]]:
    """The longest way through a unit is lane 0; each way beside it gets a lane of its own. Rows count from the top."""
    rows: dict[int, int] = {}
    for number in unit:
        rows[number] = 1 + max((rows[maker] for maker in nodes[number].inputs if maker in rows), default=-1)
    main, at = set[int](), unit[-1]
    while True:
        main.add(at)
        before = [maker for maker in nodes[at].inputs if maker in rows]
        if not before:
            break
        at = max(before, key=rows.__getitem__)
    lanes: dict[int, int] = {}
    for number in unit:
        if number in main:
            lanes[number] = 0
            continue
        inherited = [lanes[maker] for maker in nodes[number].inputs if lanes.get(maker, 0) > 0]
        taken = {lanes[other] for other in lanes if rows[other] == rows[number]}
        free = [lane for lane in (*inherited, *range(1, len(unit) + 1)) if lane not in taken]
        lanes[number] = free[0]
    return lanes, rows


def _stack(
    nodes: Sequence[LayerBox], unit: list[int], lanes: dict[int, int], rows: dict[int, int], places: list[_Place],
    x: float, y: float, column: int,
) -> float:  # fmt: skip
    """Fills in the places of a unit; returns where it ends."""
    for row in range(max(rows.values()) + 1):
        members = [number for number in unit if rows[number] == row]
        height = max(_height(nodes[number]) for number in members)
        for number in members:
            own = _height(nodes[number])
            places[number] = _Place(x + lanes[number] * _LANE, y + (height - own) / 2, own, column, lanes[number])
        y += height + _GAP
    return y - _GAP


def _height(node: LayerBox) -> float:
    return 26.0 if node.kind == "join" else 16 + _LINE * (1 + bool(node.before) + bool(node.after))


# --- shapes --------------------------------------------------------------------------------------------------------


def _box(node: LayerBox, place: _Place) -> list[Shape]:
    fill, stroke = _COLOURS[node.kind]
    lines = [" · ".join(node.before), node.text, " · ".join(node.after)]
    if node.kind == "join":
        width = _width(node)
        left = place.x - width / 2
        return [
            Rectangle(x=left, y=place.y, width=width, height=place.height, fill=fill, stroke=stroke, radius=13),
            Text(x=place.x, y=place.middle + 4.5, text=_join_text(node), size=13, anchor="middle", bold=True),
        ]
    shapes: list[Shape] = [
        Rectangle(x=place.x - _WIDTH / 2, y=place.y, width=_WIDTH, height=place.height, fill=fill, stroke=stroke)
    ]
    y = place.y + 8 + _LINE / 2 + 4
    for text, is_layer in zip(lines, (False, True, False), strict=True):
        if text:
            size = min(12.5 if is_layer else 11, 12.5 * (_WIDTH - 10) / max(text_width(text, 12.5), 1))
            fill = INK if is_layer else MUTED
            shapes.append(Text(x=place.x, y=y, text=text, size=size, anchor="middle", bold=is_layer, fill=fill))
            y += _LINE
    return shapes


def _panel(panel: _Panel, found: Sketch) -> list[Shape]:
    times = found.repeats.get(panel.name, 1)
    shapes: list[Shape] = [
        Rectangle(x=panel.left, y=panel.top, width=panel.right - panel.left, height=panel.bottom - panel.top,
            fill="#f9fafb", stroke="#d1d5db", radius=9),
        Text(x=panel.left + 10, y=panel.top + 17, text=panel.name, size=11, fill=MUTED),
    ]  # fmt: skip
    if panel.name in found.dense:
        note = Text(x=panel.right - 8, y=panel.bottom - 7, text="reads all before", size=11, anchor="end", fill=MUTED)
        shapes.append(note)
    if times > 1:
        shapes.append(Text(x=panel.right - 10, y=panel.top + 18, text=f"× {times}", size=14, anchor="end", bold=True))
    return shapes


def _edges(found: Sketch, places: list[_Place], panels: list[_Panel], image: str) -> list[Shape]:
    shapes: list[Shape] = []
    panel_of = {number: panel for panel in panels for number in panel.members}
    for number, node in enumerate(found.nodes):
        here = places[number]
        for maker in node.inputs:
            if maker < 0:
                shapes.append(Polyline(points=((here.x, here.y - 24), (here.x, here.y)), arrow=True))
                shapes.append(Text(x=here.x + 7, y=here.y - 10, text=image, size=10.5, fill=MUTED, halo=True))
                continue
            label, there = _shape(found.nodes[maker]), places[maker]
            left = panel_of.get(maker)
            times = found.repeats.get(left.name, 1) if left and left is not panel_of.get(number) else 1
            if times > 1 and node.text.startswith("concat"):  # what every repetition has made goes there
                label = f"{times} · {label}"
            follows = there.lane == here.lane == 0 and maker == _above(found.nodes, places, number)
            if follows and there.column == here.column:
                shapes.append(Polyline(points=((here.x, there.bottom), (here.x, here.y)), arrow=True))
                at = max(there.bottom + 14, here.y - 9) if panel_of.get(maker) is panel_of.get(number) else here.y - 9
                if panel_of.get(maker) is not panel_of.get(number) and number in panel_of:
                    at = panel_of[number].top - 9
                shapes.append(Text(x=here.x + 7, y=at, text=label, size=10.5, fill=MUTED, halo=True))
            elif follows:
                shapes += _to_next_column(there, here, label, panel_of.get(number))
            else:
                shapes += _beside(there, here, maker, number, panel_of, found, places)
    return shapes


def _above(nodes: Sequence[LayerBox], places: Sequence[_Place], number: int) -> int:
    """The box of lane 0 that stands before this one."""
    return next((other for other in range(number - 1, -1, -1) if places[other].lane == 0), -1)


def _to_next_column(there: _Place, here: _Place, label: str, panel: _Panel | None) -> list[Shape]:
    """From the bottom of one column to the top of the next."""
    low, left = there.bottom + 22, here.x - _WIDTH / 2 - _PAD - _GUTTER / 2
    high = (panel.top if panel else here.y) - 18
    points = ((there.x, there.bottom), (there.x, low), (left, low), (left, high), (here.x, high), (here.x, here.y))
    return [
        Polyline(points=points, arrow=True),
        Text(x=here.x + 7, y=high + 13, text=label, size=10.5, fill=MUTED, halo=True),
    ]


def _beside(
    there: _Place, here: _Place, maker: int, number: int, panel_of: dict[int, _Panel], found: Sketch,
    places: list[_Place],
) -> list[Shape]:  # fmt: skip
    """A way round: out to the right of what it passes, down, and in from the right; or over to a lane at the side."""
    panel = panel_of.get(number)
    inside = panel is not None and maker in panel.members
    end = (here.x + _width(found.nodes[number]) / 2, here.middle)
    if inside and there.lane:  # from a lane at the side into a join
        points = ((there.x, there.bottom), (there.x, here.middle), end)
        return [Polyline(points=points, stroke=_SHORTCUT, arrow=True)]
    first = places[panel.members[0]] if panel and not inside else None
    if first is not None:
        start_y = first.y - 9
    else:
        start_y = (panel_of[maker].bottom if maker in panel_of and not inside else there.bottom) + 7
    start_x = first.x if first is not None else there.x
    if here.lane:
        return [
            Polyline(points=((start_x, start_y), (here.x, start_y), (here.x, here.y)), stroke=_SHORTCUT, arrow=True)
        ]
    if panel:
        x = panel.right - 16
    else:
        passed = [p for p in panel_of.values() if p.top > there.y and p.bottom < here.y and p.left < here.x < p.right]
        x = max([p.right + 16 for p in passed], default=here.x + _WIDTH / 2 + 16)
        start_x = here.x
        if there.column != here.column and passed:
            start_y = min(p.top for p in passed) - 6
    return [Polyline(points=((start_x, start_y), (x, start_y), (x, here.middle), end), stroke=_SHORTCUT, arrow=True)]


def _join_text(node: LayerBox) -> str:
    return " · ".join([node.text, *node.after])


def _width(node: LayerBox) -> float:
    return max(34.0, text_width(_join_text(node), 13) + 22) if node.kind == "join" else _WIDTH


def _shape(node: LayerBox) -> str:
    """``64×56×56``; where repetitions differ, ``64…224×56×56``."""
    if node.output == node.last_output:
        return by_times(node.output)
    return f"{node.output[0]}…{by_times(node.last_output)}"
