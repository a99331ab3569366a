"""``svertka lab filters``: an image through every kernel of the bank, on one sheet."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from svertka.cli import output
from svertka.cli.lab.picture import Tile, as_light, in_corner, read_image, sheet, size_of
from svertka.cli.options import ImageFile
from svertka.engine import filters as engine
from svertka.engine.arrays import Array
from svertka.viz.drawing import save_png
from svertka.viz.heatmap import Pixels, diverging, gray

_LONGEST_PX = 480
"""A larger image is scaled down to this side first, or the work of a 3 × 3 kernel could not be seen on the sheet."""
_SHORTEST_PX = 60
"""A smaller picture is enlarged to this side, or the largest kernel in its corner would cover it."""


def filters(image: ImageFile, out: Annotated[str, typer.Option(help="PNG file to write.")] = "filters.png") -> None:
    """Draws the gallery. Kernels whose numbers sum to 0 are shown on brightness, signed; the others in colour."""
    target = output.picture_to(out, [image])
    pixels = read_image(image)
    small = _scale_down(pixels)  # may be smaller than a kernel: then there is nothing to reflect at the edge
    tiles = []
    for one in engine.bank().values():
        K, L = one.kernel.shape
        how = f"{K} × {L}{', separable' if engine.factors(one.kernel) else ''}"
        if abs(one.kernel.sum()) < 0.5:
            shown = diverging(engine.correlate(gray(small), one.kernel, padding_mode="replicate"))
        else:
            shown = as_light(engine.correlate(small, one.kernel, padding_mode="replicate"))
            shown = np.repeat(shown[:, :, None], 3, axis=2) if shown.ndim == 2 else shown
        shown = in_corner(_enlarge(shown), diverging(one.kernel))
        tiles.append(Tile(shown, f"{one.name} ({how})", one.shows))
    scaled = f", shown at {size_of(small)}" if small.shape != pixels.shape else ""
    subtitle = (
        f"{size_of(pixels)}{scaled}; each kernel stands in the corner; where it sums to 0: blue below 0, red above"
    )
    height = round(260 * min(1.3, small.shape[0] / small.shape[1]))
    picture = sheet(
        f"{len(tiles)} kernels on {Path(image).name}", subtitle, {"": tiles}, columns=4, box_px=(260, height)
    )
    save_png(picture, target)
    print(f"Picture {target} ({picture.width} × {picture.height} px)")


def _enlarge(picture: Pixels) -> Pixels:
    times = -(-_SHORTEST_PX // min(picture.shape[:2]))
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def _scale_down(pixels: Array) -> Array:
    share = _LONGEST_PX / max(pixels.shape[:2])
    if share >= 1:
        return pixels
    size = max(1, round(pixels.shape[1] * share)), max(1, round(pixels.shape[0] * share))
    return np.asarray(Image.fromarray(as_light(pixels)).resize(size, Image.Resampling.LANCZOS), np.float32)
