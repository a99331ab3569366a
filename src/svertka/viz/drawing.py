"""Drawings as lists of shapes, written as SVG or, with Pillow, as PNG. Lengths are pixels of the SVG; y points down."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from svertka.errors import ConfigError, NotFoundError
from svertka.util.atomic_files import write_text, written_beside

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

_PNG_SCALE, _SMOOTH = 2, 2  # pixels of the PNG to one of the SVG; and how much finer it is drawn, then averaged
# Pillow brings a font that lacks these.
_IN_PILLOWS_FONT = str.maketrans({"×": "x", "−": "-", "⌈": "", "⌉": ""})
MARKS = (b"tEXtSoftware\0svertka", b"<metadata>Software: svertka</metadata>")
"""What stands near the beginning of every PNG and every SVG of ours, so that a verb knows them from the user's own."""
INK, MUTED, LINE, GRID, PAPER = "#1f2937", "#6b7280", "#9ca3af", "#e5e7eb", "#ffffff"
# Okabe and Ito's colours (Color Universal Design, 2008), which people with any kind of colour vision tell apart.
BLUE, ORANGE, GREEN, PINK, SKY, AMBER = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, AMBER)
# The variables of a page (report/templates/style.css.j2) that stand for these colours there, in light and dark.
_OF_A_PAGE = {
    INK: "ink", MUTED: "muted", LINE: "grey", GRID: "rule", PAPER: "paper",
    BLUE: "blue", ORANGE: "orange", GREEN: "green", PINK: "pink", AMBER: "gold",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Rectangle:
    """A rectangle with round corners; its title shows under a pointer."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    stroke: str = "none"
    radius: float = 5
    title: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Circle:
    """A circle around (x, y)."""

    x: float
    y: float
    radius: float
    fill: str
    stroke: str = "none"
    title: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Polyline:
    """Straight lines through points; an arrow points along the last one.

    ``dash`` has lengths of strokes and gaps, as in SVG; a PNG shows the line whole.
    """

    points: tuple[tuple[float, float], ...]
    stroke: str = LINE
    width: float = 1.5
    arrow: bool = False
    dash: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """One line of text; (x, y) is on its base line."""

    x: float
    y: float
    text: str
    size: float = 12
    anchor: Literal["start", "middle", "end"] = "start"
    fill: str = INK
    bold: bool = False
    halo: bool = False


Shape = Rectangle | Circle | Polyline | Text


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """Shapes on a white sheet, the last one on top; the title is for those who cannot see it."""

    width: float
    height: float
    title: str
    shapes: Sequence[Shape]


def text_width(text: str, size: float = 12) -> float:
    """About how wide a line is, in a usual sans serif."""
    narrow = sum(character in "ijl.,:;|!'·()[] /" for character in text)
    wide = sum(character in "MWmw×−+" or character.isupper() for character in text)
    return size * (0.56 * len(text) - 0.24 * narrow + 0.12 * wide)


def save(drawing: Drawing, path: Path) -> Path:
    """Writes ``.svg`` or ``.png``, whichever the name says, whole or not at all.

    Raises:
        ConfigError: the name ends otherwise.
        NotFoundError: it lies in no folder.
    """
    if path.suffix.lower() not in (".svg", ".png"):
        raise ConfigError(f"{path} ends in {path.suffix or 'no suffix'}; expected a name with .svg or .png.")
    if not path.parent.is_dir():
        raise NotFoundError(f"{path.parent} does not exist; expected a folder to write {path.name} into.")
    if path.suffix.lower() == ".svg":
        write_text(path, to_svg(drawing))
    else:
        save_png(_to_image(drawing), path)
    return path


def save_png(image: "Image.Image", path: Path) -> None:
    """Writes a PNG that says who drew it, whole or not at all."""
    from PIL.PngImagePlugin import PngInfo

    mark = PngInfo()
    mark.add_text("Software", "svertka")
    with written_beside(path) as part:
        image.save(part, "PNG", optimize=True, pnginfo=mark)


def to_svg(drawing: Drawing) -> str:
    """The drawing as one self-contained SVG document."""
    size = f'width="{drawing.width:.0f}" height="{drawing.height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {_view_box(drawing)}'
    body = "\n".join(_svg(shape) for shape in drawing.shapes)
    return (
        f'{head} role="img" font-family="Inter, Segoe UI, Helvetica, Arial, sans-serif">\n'
        f"<title>{escape(drawing.title)}</title>\n{MARKS[1].decode()}\n"
        f'<rect width="100%" height="100%" fill="{PAPER}"/>\n{body}\n</svg>\n'
    )


def inline_svg(drawing: Drawing, name: str) -> str:
    """The drawing as an element of a page: as wide as its place, in the page's colours, its title under an id.

    Args:
        drawing: with a title that says all that matters to those who cannot see it; without one it is decoration.
        name: of the figure on its page; the title's id is made of it.
    """
    body = "\n".join(_svg(shape) for shape in drawing.shapes)
    coloured = re.sub(r'(fill|stroke)="(#[0-9a-f]{6})"', _page_colour, body)  # quotes in text are escaped
    if not drawing.title:
        size = f'width="{drawing.width:.0f}" height="{drawing.height:.0f}"'
        return f'<svg class="{name}" {size} aria-hidden="true">{coloured}</svg>'
    title = f'<title id="{name}-title">{escape(drawing.title)}</title>'
    return f'<svg {_view_box(drawing)} role="img" aria-labelledby="{name}-title">\n{title}\n{coloured}\n</svg>'


def _page_colour(found: re.Match[str]) -> str:
    return f'{found[1]}="var(--{_OF_A_PAGE[found[2]]})"' if found[2] in _OF_A_PAGE else found[0]


def _view_box(drawing: Drawing) -> str:
    return f'viewBox="0 0 {drawing.width:.0f} {drawing.height:.0f}"'


def _svg(shape: Shape) -> str:
    match shape:
        case Rectangle():
            return (
                f'<rect x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" height="{shape.height:.1f}" '
                f'rx="{shape.radius:g}" fill="{shape.fill}" stroke="{shape.stroke}">{_title(shape.title)}</rect>'
            )
        case Circle():
            return (
                f'<circle cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="{shape.radius:.1f}" fill="{shape.fill}" '
                f'stroke="{shape.stroke}">{_title(shape.title)}</circle>'
            )
        case Polyline():
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
            dash = f' stroke-dasharray="{shape.dash}"' if shape.dash else ""
            line = (
                f'<polyline points="{points}" fill="none" stroke="{shape.stroke}" stroke-width="{shape.width:g}" '
                f'stroke-linejoin="round"{dash}/>'
            )
            if not shape.arrow:
                return line
            tip = " ".join(f"{x:.1f},{y:.1f}" for x, y in _tip(shape))
            return f'{line}<polygon points="{tip}" fill="{shape.stroke}"/>'
        case Text():
            weight = ' font-weight="600"' if shape.bold else ""
            halo = f' stroke="{PAPER}" stroke-width="3.5" paint-order="stroke"' if shape.halo else ""
            return (
                f'<text x="{shape.x:.1f}" y="{shape.y:.1f}" font-size="{shape.size:g}" text-anchor="{shape.anchor}" '
                f'fill="{shape.fill}"{weight}{halo}>{escape(shape.text)}</text>'
            )


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>" if text else ""


def _tip(path: Polyline) -> tuple[tuple[float, float], ...]:
    """The triangle at the end of a line."""
    (x0, y0), (x1, y1) = path.points[-2:]
    length = max(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5, 1e-9)
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    back, side = 4 + 2 * path.width, 2 + 1.2 * path.width
    return (
        (x1, y1),
        (x1 - back * dx - side * dy, y1 - back * dy + side * dx),
        (x1 - back * dx + side * dy, y1 - back * dy - side * dx),
    )


def _to_image(drawing: Drawing) -> "Image.Image":
    from PIL import Image, ImageDraw

    scale = _PNG_SCALE * _SMOOTH
    size = (round(drawing.width * scale), round(drawing.height * scale))
    image = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(image)
    for shape in drawing.shapes:
        _paint(pen, shape, scale)
    return image.reduce(_SMOOTH)


def _paint(pen: "ImageDraw.ImageDraw", shape: Shape, scale: int) -> None:
    from PIL import ImageFont

    match shape:
        case Rectangle():
            corners = [v * scale for v in (shape.x, shape.y, shape.x + shape.width, shape.y + shape.height)]
            radius = min(shape.radius * scale, (corners[2] - corners[0]) / 2, (corners[3] - corners[1]) / 2)
            pen.rounded_rectangle(corners, radius, fill=shape.fill, outline=_colour(shape.stroke), width=scale)
        case Circle():
            x, y, r = (v * scale for v in (shape.x, shape.y, shape.radius))
            pen.ellipse([x - r, y - r, x + r, y + r], fill=shape.fill, outline=_colour(shape.stroke), width=scale)
        case Polyline():
            points = [(x * scale, y * scale) for x, y in shape.points]
            pen.line(points, fill=shape.stroke, width=round(shape.width * scale), joint="curve")
            if shape.arrow:
                pen.polygon([(x * scale, y * scale) for x, y in _tip(shape)], fill=shape.stroke)
        case Text():
            font = ImageFont.load_default(shape.size * scale)
            anchor = {"start": "ls", "middle": "ms", "end": "rs"}[shape.anchor]
            width, colour = (1.8, PAPER) if shape.halo else (0.02 * shape.size if shape.bold else 0, shape.fill)
            pen.text(
                (shape.x * scale, shape.y * scale),
                shape.text.translate(_IN_PILLOWS_FONT),
                font=font,
                fill=shape.fill,
                anchor=anchor,
                stroke_width=width * scale,
                stroke_fill=colour,
            )


def _colour(name: str) -> str | None:
    return None if name == "none" else name
