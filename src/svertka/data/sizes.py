"""The input size that fits a folder's images, where no pretrained weights ask for one."""

import statistics
from collections.abc import Iterator

from PIL import Image

from svertka.data.files import Listing

SMALLEST_PX, LARGEST_PX = 28, 224
_LOOKED_AT = 64


def natural_size(listing: Listing, small_px: int) -> int:
    """Side of the input in pixels: the images' own longer side (the median), so that small ones are not blown up.

    Small images keep their size, at least 28; for larger ones it is the nearest multiple of 32, which five halvings
    divide, and at most 224. Only headers of some files are read.

    Args:
        listing: of the files.
        small_px: images up to here are small.
    """
    sides = list(_longer_sides(listing))
    side = round(statistics.median(sides)) if sides else LARGEST_PX
    return max(SMALLEST_PX, side) if side <= small_px else min(LARGEST_PX, 32 * round(side / 32))


def _longer_sides(listing: Listing) -> Iterator[int]:
    step = max(1, len(listing.entries) // _LOOKED_AT)
    for entry in listing.entries[::step]:
        try:
            with Image.open(listing.root / entry.path) as image:
                yield max(image.size)
        except (OSError, ValueError, Image.DecompressionBombError):
            continue  # the scan will say what is wrong with it
