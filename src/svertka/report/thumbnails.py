"""Thumbnails: small JPEGs inside the page, so that it needs no file beside it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from svertka.data.decode import decoding
from svertka.data.pillow import quiet_pillow
from svertka.errors import ImageRejected
from svertka.schema import ValueRange
from svertka.viz.heatmap import data_address


@dataclass(frozen=True, kw_only=True, slots=True)
class Thumbnail:
    """A small picture, or the reason why there is none."""

    alt: str
    """Its words for those who cannot see it."""
    source: str = ""
    """A ``data:`` address; empty where the file could not be read."""
    reason: str = ""
    """Code of the failure: ``"missing"``, or the reason of the decoder."""


def thumbnails(
    files: Sequence[tuple[Path, str]], size_px: int, max_megapixels: float, ranges: Sequence[ValueRange] = ()
) -> tuple[Thumbnail, ...]:
    """Makes a thumbnail of every file, in order; a bad file never stops the report.

    Args:
        files: absolute paths, each with the words for it.
        size_px: longest side.
        max_megapixels: larger images are not decoded.
        ranges: what is black and white in samples deeper than 8 bits.
    """
    with ThreadPoolExecutor(max_workers=4) as pool:
        return tuple(pool.map(lambda one: _thumbnail(one[0], one[1], size_px, max_megapixels, ranges), files))


def _thumbnail(file: Path, alt: str, size_px: int, max_megapixels: float, ranges: Sequence[ValueRange]) -> Thumbnail:
    if not file.is_file():
        return Thumbnail(alt=alt, reason="missing")
    try:
        picture = _fast_jpeg(file, size_px, max_megapixels) or _decoded(file, size_px, max_megapixels, ranges)
    except ImageRejected as rejected:
        return Thumbnail(alt=alt, reason=rejected.reason)
    picture.thumbnail((size_px, size_px), Image.Resampling.BICUBIC)
    return Thumbnail(alt=alt, source=data_address(picture))


def _fast_jpeg(file: Path, size_px: int, max_megapixels: float) -> Image.Image | None:
    """Opens a plain 8-bit JPEG at a fraction of its size, which is many times faster; None for any other file."""
    if file.suffix.lower() not in {".jpg", ".jpeg"}:
        return None
    try:
        with quiet_pillow(), Image.open(file, formats=("JPEG",)) as image:
            too_large = image.width * image.height > max_megapixels * 1e6
            if image.format != "JPEG" or image.mode not in {"L", "RGB"} or too_large:
                return None
            image.draft(image.mode, (2 * size_px, 2 * size_px))
            return ImageOps.exif_transpose(image).convert("RGB")
    except Exception:
        return None  # the decoder will say what is wrong with it


def _decoded(file: Path, size_px: int, max_megapixels: float, ranges: Sequence[ValueRange]) -> Image.Image:
    with decoding(file, ranges=ranges, max_pixels=round(max_megapixels * 1e6)) as decoded:
        decoded.image.thumbnail((size_px, size_px), Image.Resampling.BICUBIC)
        return decoded.image.convert("RGB")
