"""The typeface of pictures that Pillow draws."""

from functools import lru_cache
from importlib import resources
from io import BytesIO

from PIL import ImageFont


@lru_cache(maxsize=8)
def lettering(size_px: int) -> ImageFont.FreeTypeFont:
    """The typeface at one size."""
    typeface = resources.files("svertka.viz.fonts").joinpath("DejaVuSans.ttf").read_bytes()
    return ImageFont.truetype(BytesIO(typeface), size_px)
