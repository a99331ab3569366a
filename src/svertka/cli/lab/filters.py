"""``svertka lab filters``: an image through every kernel of the bank, and through one's own, on one sheet."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from svertka.cli import output
from svertka.cli.lab.conv import is_signed
from svertka.cli.lab.picture import Tile, as_light, in_corner, read_image, sheet, size_of
from svertka.cli.lab.typed_numbers import GivenKernel, read_kernel
from svertka.cli.lab.words import labelled, size_text, words
from svertka.cli.options import ImageFile, Language, PictureFile
from svertka.engine import filters as engine
from svertka.engine.arrays import Array
from svertka.viz.drawing import save_png
from svertka.viz.heatmap import Pixels, diverging, gray

_TILE_PX = 284
_LONGEST_PX = 480
"""A larger image is scaled down to this side first, or the work of a 3 × 3 kernel could not be seen on the sheet."""
_SHORTEST_PX = 60
"""A smaller picture is enlarged to this side, or the largest kernel in its corner would cover it."""


def filters(
    image: ImageFile,
    kernel: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KERNEL",
            help='One of your own, before the others: a CSV file, or "1,0,-1;2,0,-2;1,0,-1"; may be repeated.',
        ),
    ] = None,
    out: PictureFile = "filters.png",
    language: Language = "",
) -> None:
    """Draws the gallery. Kernels about differences are shown on brightness, signed; the others in colour."""
    own = [read_kernel(text) for text in kernel or ()]
    target = output.picture_to(out, [image, *(kernel or ())])
    pixels = read_image(image)
    small = _scale_down(pixels)
    bank = [GivenKernel(one.name, one.kernel, False) for one in engine.bank().values()]
    numbered = [GivenKernel(f"{n}. {one.name}", one.array, True) if one.is_own else one for n, one in enumerate(own, 1)]
    sections = {words("filters.own"): numbered, words("filters.bank"): bank} if own else {"": bank}
    tiles = {heading: [_tile(small, one) for one in kernels] for heading, kernels in sections.items()}
    scaled = f", {words('filters.shown_at', size=size_of(small))}" if small.shape != pixels.shape else ""
    subtitle = f"{size_of(pixels)}{scaled}. {words('filters.subtitle')}"
    height = round(_TILE_PX * min(1.3, small.shape[0] / small.shape[1]))
    title = words("filters.title", n=len(own) + len(bank), name=Path(image).name)
    picture = sheet(title, subtitle, tiles, columns=4, box_px=(_TILE_PX, height))
    save_png(picture, target)
    print(labelled("border", words("border.gallery")))
    print(labelled("picture", f"{target} ({picture.width} × {picture.height} px)"))


def _tile(pixels: Array, one: GivenKernel) -> Tile:
    """What the kernel makes of the image, the kernel in the corner, and what it is for."""
    how = size_text(one.array.shape)
    if engine.factors(one.array):
        how += f", {words('filters.separable')}"
    if is_signed(one.array):
        shown = diverging(engine.correlate(gray(pixels), one.array, padding_mode="zeros"))
    else:
        shown = as_light(engine.correlate(pixels, one.array, padding_mode="zeros"))
        shown = np.repeat(shown[:, :, None], 3, axis=2) if shown.ndim == 2 else shown
    return Tile(in_corner(_enlarge(shown), diverging(one.array)), f"{one.name} ({how})", one.about())


def _enlarge(picture: Pixels) -> Pixels:
    times = -(-_SHORTEST_PX // min(picture.shape[:2]))
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def _scale_down(pixels: Array) -> Array:
    share = _LONGEST_PX / max(pixels.shape[:2])
    if share >= 1:
        return pixels
    size = max(1, round(pixels.shape[1] * share)), max(1, round(pixels.shape[0] * share))
    return np.asarray(Image.fromarray(as_light(pixels)).resize(size, Image.Resampling.LANCZOS), np.float32)
