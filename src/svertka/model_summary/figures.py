"""Figures that compare networks: accuracy over work, and the timeline."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from svertka.errors import NotFoundError
from svertka.model_summary.comparison_table import ComparedNetwork
from svertka.model_summary.summary import by_times
from svertka.viz.axes import Axis, bottom_axis, horizontal_grid
from svertka.viz.drawing import MUTED, Circle, Drawing, Polyline, Rectangle, Shape, Text, save, text_width

COLOURS = {
    "LeNet": "#6b7280", "AlexNet": "#b45309", "VGG": "#be123c", "ResNet": "#1d4ed8", "DenseNet": "#047857",
    "MobileNet": "#7c3aed", "EfficientNet": "#c026d3", "ConvNeXt": "#0e7490",
}  # fmt: skip


_Rect = tuple[float, float, float, float]  # left, top, right, bottom
_PLOT: _Rect = (70.0, 84.0, 830.0, 490.0)

FILES = ("accuracy.svg", "accuracy.png", "timeline.svg", "timeline.png")


def pictures(entries: Sequence[ComparedNetwork], folder: Path) -> list[Path]:
    """Writes ``FILES`` into a folder, made if needed.

    Raises:
        NotFoundError: the folder's parent does not exist.
    """
    if not folder.parent.is_dir():
        raise NotFoundError(f"{folder.parent} does not exist; expected a folder to make {folder.name} in.")
    folder.mkdir(exist_ok=True)
    drawn = {"accuracy": accuracy_picture(entries), "timeline": timeline(entries)}
    return [save(drawn[Path(name).stem], folder / name) for name in FILES]


def accuracy_picture(entries: Sequence[ComparedNetwork]) -> Drawing:
    """Accuracy on ImageNet over work, each network a disc whose area is its parameters."""
    shown = [e for e in entries if e.accuracy and e.accuracy.data.startswith("ImageNet")]
    sizes = {by_times(entry.input_CHW) for entry in shown}
    what = (
        f"ImageNet top-1, input {' or '.join(sorted(sizes))}, one crop unless it is said otherwise. "
        "Areas stand for parameters."
        if shown
        else "Nothing to draw: accuracies are published of other inputs, other stems or other data."
    )
    left_out = ", ".join(entry.architecture.title for entry in entries if entry not in shown)
    left, top, *_ = _PLOT
    shapes: list[Shape] = [
        Text(x=left, y=30, text="Accuracy over work", size=18, bold=True),
        Text(x=left, y=50, text=what, fill=MUTED),
        Text(x=left, y=68, text=f"No figure on ImageNet: {left_out}." if left_out else "", fill=MUTED),
    ]
    if shown:  # else the axes would be empty
        shapes += _accuracy_plot(shown)
    return Drawing(width=860.0, height=560.0 if shown else top + 10, title="Accuracy over multiply-adds", shapes=shapes)


def _accuracy_plot(shown: Sequence[ComparedNetwork]) -> list[Shape]:
    left, top, right, bottom = _PLOT
    work = [math.log10(entry.multiply_adds) for entry in shown]
    top1 = [entry.accuracy.top1_percent for entry in shown if entry.accuracy]
    low, high = 5 * math.floor((min(top1) - 3) / 5), 5 * math.ceil((max(top1) + 3) / 5)
    x_axis = Axis(low=min(work) - 0.3, high=max(work) + 0.3, start_px=left, end_px=right)
    y_axis = Axis(low=low, high=high, start_px=bottom, end_px=top)
    amounts = [(math.log10(v * 10**p), _short(v * 10**p)) for p in range(6, 13) for v in (1, 2, 5)]
    x_ticks = [tick for tick in amounts if x_axis.low <= tick[0] <= x_axis.high]
    shapes: list[Shape] = [
        *horizontal_grid(y_axis, [(value, f"{value} %") for value in range(low, high + 1, 5)], left, right, 11),
        *bottom_axis(x_axis, x_ticks, bottom, 11),
        Text(x=(left + right) / 2, y=bottom + 44, text="multiply-adds for one image", anchor="middle"),
        Circle(x=right - 118, y=bottom + 40, radius=_radius(25e6), fill="#f3f4f6", stroke=MUTED),
        Text(x=right, y=bottom + 44, text="25 M parameters", size=11, anchor="end", fill=MUTED),
    ]
    marks = sorted(shown, key=lambda entry: -entry.parameters)
    discs = [_disc(entry, x_axis, y_axis) for entry in marks]
    taken: list[_Rect] = [(disc.x - 4, disc.y - 4, disc.x + 4, disc.y + 4) for disc in discs]
    shapes += discs
    for entry, disc in zip(marks, discs, strict=True):
        assert entry.accuracy
        colour = _colour(entry)
        how = f" ({entry.accuracy.weights})" if entry.accuracy.kind == "paper" else ""
        text = f"{entry.architecture.title}{how}"
        at = _free_place(disc, discs, text_width(text, 12), taken, _PLOT)
        shapes.append(Circle(x=disc.x, y=disc.y, radius=2.5, fill=colour))
        shapes.append(Text(x=at[0], y=at[1], text=text, anchor="middle", fill=colour, bold=True, halo=True))
    return shapes


def _disc(entry: ComparedNetwork, x_axis: Axis, y_axis: Axis) -> Circle:
    assert entry.accuracy
    top1, colour = entry.accuracy.top1_percent, _colour(entry)
    return Circle(
        x=x_axis.at(math.log10(entry.multiply_adds)),
        y=y_axis.at(top1),
        radius=_radius(entry.parameters),
        fill=_tint(colour),
        stroke=colour,
        title=f"{entry.architecture.title}: {top1:.1f} %, {entry.parameters:,} parameters",
    )


def _radius(parameters: float) -> float:
    """Of a disc whose area stands for so many parameters."""
    return math.sqrt(parameters / 1e6) * 3.2


def _free_place(
    own: Circle, discs: Sequence[Circle], width: float, taken: list[_Rect], room: _Rect
) -> tuple[float, float]:
    """The first place in or around a disc where a line of text covers nothing (taken then): its middle, at the base.

    It doesn't cross the edge of its own disc, and touches other ones only where there is no other place.
    """
    right, middle, left = own.radius + 5, -width / 2, -own.radius - 5 - width
    above, below = -own.radius - 5, own.radius + 14
    tries = [(middle, 18.0), (middle, -10.0)] if math.hypot(width / 2, 21) < own.radius else []  # inside
    for step in (0.0, 14.0, 28.0, 42.0):
        tries += [(right, 4 + step), (left, 4 + step), (right, 4 - step), (left, 4 - step)]
        tries += [(middle, below + step), (middle, above - step)]
    boxes = [(own.x + x, own.y + y - 11, own.x + x + width, own.y + y + 3) for x, y in tries]
    fitting = [
        box
        for box in boxes
        if box[0] >= room[0] and box[2] <= room[2] and box[1] >= room[1] and box[3] <= room[3]
        and not _crosses(box, own) and not any(_overlap(box, other) for other in taken)
    ]  # fmt: skip
    free = (box for box in fitting if not any(_reach(box, disc)[0] < disc.radius for disc in discs if disc is not own))
    chosen = next(free, (fitting or boxes)[0])
    taken.append(chosen)
    return (chosen[0] + chosen[2]) / 2, chosen[3] - 3


def _crosses(box: _Rect, disc: Circle) -> bool:
    """Whether a disc's edge runs through a box."""
    nearest, furthest = _reach(box, disc)
    return nearest < disc.radius + 1 and furthest > disc.radius - 1


def _reach(box: _Rect, disc: Circle) -> tuple[float, float]:
    """Distances from a disc's middle to the nearest and to the furthest point of a box."""
    axes = (disc.x, box[0], box[2]), (disc.y, box[1], box[3])
    nearest = math.hypot(*(max(low - at, 0.0, at - high) for at, low, high in axes))
    return nearest, math.hypot(*(max(at - low, high - at) for at, low, high in axes))


def _overlap(a: _Rect, b: _Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def timeline(entries: Sequence[ComparedNetwork]) -> Drawing:
    """The years of the networks from left to right, with what each family brought."""
    families: dict[str, list[ComparedNetwork]] = {}
    for entry in sorted(entries, key=lambda entry: entry.architecture.paper.year):
        families.setdefault(entry.architecture.paper.family, []).append(entry)
    step, left, top = 96.0, 120.0, 84.0
    width, height = 920.0, top + step * len(families) + 24
    spine = 92.0
    shapes: list[Shape] = [
        Text(x=36, y=34, text="What each network brought", size=18, bold=True),
        Polyline(points=((spine, top - 16), (spine, height - 24)), width=2),
    ]
    for number, (family, members) in enumerate(families.items()):
        paper, y = members[0].architecture.paper, top + step * number
        colour = COLOURS[family]
        shapes += [
            Text(x=spine - 16, y=y + 14, text=str(paper.year), size=15, anchor="end", bold=True),
            Circle(x=spine, y=y + 9, radius=6, fill=colour),
            Rectangle(x=left, y=y - 12, width=width - left - 30, height=step - 18, fill=_tint(colour), radius=8),
            Text(x=left + 16, y=y + 11, text=", ".join(m.architecture.title for m in members), size=15, bold=True,
                  fill=colour),
            Text(x=left + 16, y=y + 31, text=paper.brought[0].upper() + paper.brought[1:] + ".", size=13),
            Text(x=left + 16, y=y + 50, text=_extent(members), size=11.5, fill=MUTED),
        ]  # fmt: skip
    return Drawing(width=width, height=height, title="Timeline of networks", shapes=shapes)


def _extent(members: Sequence[ComparedNetwork]) -> str:
    """``11 to 19 layers, 133 to 144 M parameters, 7.6 to 19.6 G multiply-adds``."""

    def span(values: Sequence[float], write: Callable[[float], str]) -> str:
        low, high = (write(v) for v in (min(values), max(values)))
        return low if low == high else f"{low} to {high}"

    depths = span([m.architecture.depth for m in members], str)
    parameters = span([m.parameters for m in members], _short)
    work = span([m.multiply_adds for m in members], _short)
    return f"{depths} layers, {parameters} parameters, {work} multiply-adds"


def _short(value: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{float(f'{value / size:.3g}'):g} {unit}"
    return f"{value:g}"


def _colour(entry: ComparedNetwork) -> str:
    return COLOURS[entry.architecture.paper.family]


def _tint(colour: str) -> str:
    """The colour on white, one part in six."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - part) / 6):02x}" for part in parts)
