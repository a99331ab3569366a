"""Sheets of captioned pictures, drawn with Pillow, for all verbs of the laboratory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from svertka.cli.lab.words import words
from svertka.data.decode import decode
from svertka.errors import DataError, ImageRejected, NotFoundError
from svertka.viz.fonts.lettering import lettering
from svertka.viz.heatmap import Pixels

_PAPER, _INK, _SOFT, _LINE = (255, 255, 255), (24, 28, 36), (104, 112, 124), (222, 226, 232)
_MARGIN_PX, _GAP_PX, _HEADING_PX, _CAPTION_PX, _NOTE_PX = 28, 16, 34, 15, 12


@dataclass(frozen=True, eq=False, slots=True)
class Tile:
    """One picture of a sheet: [H, W] or [H, W, 3], a caption, and a smaller note below it."""

    pixels: Pixels
    caption: str
    note: str = ""


def read_image(path: str) -> NDArray[np.float32]:
    """Pixels of a file from 0 to 255: [H, W] if it is gray, else [H, W, 3].

    Raises:
        NotFoundError: there is no such file.
        DataError: it cannot be read as an image.
    """
    if not Path(path).exists():
        raise NotFoundError(words("error.no_image", path=str(path)))
    try:
        image = decode(path).image
    except ImageRejected as error:
        raise DataError(words("error.image", path=str(path), why=error.reason)) from error
    return np.asarray(image, np.float32)


def as_light(pixels: NDArray[Any]) -> Pixels:
    """Numbers from 0 to 255 as they are; what lies beyond is cut off."""
    light: Pixels = np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
    return light


def size_of(pixels: NDArray[Any]) -> str:
    """Columns × rows, as sizes of pictures are usually told."""
    return f"{pixels.shape[1]} × {pixels.shape[0]} px"


def in_corner(picture: Pixels, patch: Pixels) -> Pixels:
    """A picture [H, W, 3] with a small one, enlarged and framed, in its lower right corner (a filter on its map)."""
    done = picture.copy()
    unit = max(1, min(picture.shape[:2]) // (4 * max(patch.shape[:2])))
    frame = max(1, min(picture.shape[:2]) // 60)
    block = patch.repeat(unit, axis=0).repeat(unit, axis=1)
    framed = np.pad(block, ((frame, 0), (frame, 0), (0, 0)), constant_values=255)
    done[-framed.shape[0] :, -framed.shape[1] :] = framed[-picture.shape[0] :, -picture.shape[1] :]
    return done


def sheet(
    title: str, subtitle: str, sections: Mapping[str, Sequence[Tile]], *, columns: int, box_px: tuple[int, int]
) -> Image.Image:
    """Lays tiles out on white paper under a title.

    Args:
        title: large, above.
        subtitle: small, below it.
        sections: heading (empty for none) to tiles in reading order.
        columns: tiles a row.
        box_px: width and height that each tile is scaled into, keeping its proportions.
    """
    notes = any(tile.note for tiles in sections.values() for tile in tiles)
    row_px = box_px[1] + 6 + _CAPTION_PX + (_NOTE_PX + 10 if notes else 6) + _GAP_PX
    heights = [bool(heading) * _HEADING_PX + -(-len(tiles) // columns) * row_px for heading, tiles in sections.items()]
    width = max(2 * _MARGIN_PX + columns * (box_px[0] + _GAP_PX) - _GAP_PX, 480)
    top = _MARGIN_PX + 74
    paper = Image.new("RGB", (width, top + sum(heights) - _GAP_PX + _MARGIN_PX), _PAPER)
    pen = ImageDraw.Draw(paper)
    _write(pen, (_MARGIN_PX, _MARGIN_PX), title, 26, _INK, width - 2 * _MARGIN_PX)
    _write(pen, (_MARGIN_PX, _MARGIN_PX + 36), subtitle, 14, _SOFT, width - 2 * _MARGIN_PX)
    for (heading, tiles), height in zip(sections.items(), heights, strict=True):
        first = top + bool(heading) * _HEADING_PX
        _write(pen, (_MARGIN_PX, top + 4), heading, 18, _INK, width - 2 * _MARGIN_PX)
        for number, tile in enumerate(tiles):
            corner = _MARGIN_PX + number % columns * (box_px[0] + _GAP_PX), first + number // columns * row_px
            _draw_tile(paper, pen, tile, corner, box_px)
        top += height
    return paper


def _draw_tile(
    paper: Image.Image, pen: ImageDraw.ImageDraw, tile: Tile, corner: tuple[int, int], box_px: tuple[int, int]
) -> None:
    picture = _fit(tile.pixels, box_px)
    x, y = corner[0] + (box_px[0] - picture.width) // 2, corner[1] + box_px[1] - picture.height
    paper.paste(picture, (x, y))
    pen.rectangle((x - 1, y - 1, x + picture.width, y + picture.height), outline=_LINE)
    middle, below = corner[0] + box_px[0] // 2, corner[1] + box_px[1] + 6
    _write(pen, (middle, below), tile.caption, _CAPTION_PX, _INK, box_px[0], anchor="ma")
    _write(pen, (middle, below + _CAPTION_PX + 4), tile.note, _NOTE_PX, _SOFT, box_px[0] + _GAP_PX - 4, anchor="ma")


def _fit(pixels: Pixels, box_px: tuple[int, int]) -> Image.Image:
    """Scales into the box; enlarges by whole numbers and with hard edges, so that single pixels can be seen."""
    picture = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
    share = min(box_px[0] / picture.width, box_px[1] / picture.height)
    factor = max(1, int(share)) if share >= 1 else share
    size = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
    return picture.resize(size, Image.Resampling.NEAREST if share >= 1 else Image.Resampling.LANCZOS)


def _write(
    pen: ImageDraw.ImageDraw,
    position: tuple[int, int],
    text: str,
    size_px: int,
    colour: tuple[int, int, int],
    width_px: int,
    anchor: str = "la",
) -> None:
    """Writes one line, shortened with an ellipsis where it is too wide."""
    font = lettering(size_px)
    if pen.textlength(text, font) > width_px:
        while text and pen.textlength(text + "…", font) > width_px:
            text = text[:-1]
        text = text.rstrip() + "…"
    pen.text(position, text, colour, font, anchor=anchor)
