"""Chooses an input size that fits the images, where no pretrained weights ask for one."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from svertka.config.fine_tuning import SMALLEST_PX
from svertka.data.decode import header_size
from svertka.errors import ImageRejected

_LOOKED_AT = 64


def natural_size(sides_px: Iterable[int], small_px: int, largest_px: int) -> int:
    """Side of the input in pixels: the images' own longer side (the median), so that small ones are not blown up.

    Small images keep their size, at least 28; for larger ones it is the nearest multiple of 32, which five halvings
    divide, and at most ``largest_px``.

    Args:
        sides_px: longer sides of some images.
        small_px: images up to here are small.
        largest_px: the answer where no side is known, too.
    """
    sides = list(sides_px)
    side = round(statistics.median(sides)) if sides else largest_px
    return min(largest_px, max(SMALLEST_PX, side) if side <= small_px else 32 * round(side / 32))


def longer_sides(files: Sequence[Path]) -> Iterator[int]:
    """Of about 64 of the files, in pixels, from their headers; what is no image is passed over."""
    for file in files[:: max(1, len(files) // _LOOKED_AT)]:
        try:
            yield max(header_size(file))
        except ImageRejected:
            continue  # the scan will say what is wrong with it
