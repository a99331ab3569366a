"""Images that a page carries to strangers: the same pixels, and nothing else that was in the file.

A photograph may say where it was taken and by whom. JPEGs keep their coded data and lose every other segment but what
decides the pixels and which way up they are; all other kinds become PNGs of their decoded pixels.
"""

import io
import struct
from collections.abc import Iterator
from pathlib import Path

from PIL import ExifTags, Image, ImageOps

from svertka.data.decode import decode
from svertka.data.jpeg import NEXT_MARKER
from svertka.schema import Preprocess
from svertka.util.atomic_files import read_file

_LARGEST_BYTES = 64 << 20
_SOI, _EOI, _SOS, _COMMENT = 0xD8, 0xD9, 0xDA, 0xFE
_APPLICATION = range(0xE0, 0xF0)
_JFIF, _ADOBE = 0xE0, 0xEE
_WITHOUT_LENGTH = frozenset((*range(0xD0, 0xD8), 0x01))
_PLAIN_JFIF = bytes.fromhex("ffe000104a46494600010100000100010000")
"""It brings no thumbnail, and says nothing of a size in inches."""


def bare_image(path: Path, preprocess: Preprocess) -> bytes:
    """The content of an image file that shows the same pixels, without its metadata.

    Args:
        path: of the file.
        preprocess: of the model: its ranges decide how samples deeper than 8 bits become the PNG's.

    Raises:
        ImageRejected: the file cannot be used, see ``data.decode``.
    """
    image = decode(path, ranges=preprocess.ranges).image
    return _bare_jpeg(path, image) or _as_png(image)


def _bare_jpeg(path: Path, image: Image.Image) -> bytes | None:
    """The JPEG without what it says beside its pixels; None for any other file, or if its pixels would change."""
    try:
        content = read_file(path, _LARGEST_BYTES)
        if content[:3] != b"\xff\xd8\xff":
            return None
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as whole:
            orientation = int(whole.getexif().get(ExifTags.Base.Orientation, 1))
        bare = without_metadata(content, orientation)
        with Image.open(io.BytesIO(bare), formats=("JPEG",)) as found:
            upright = ImageOps.exif_transpose(found).convert(image.mode)
    except (OSError, ValueError, SyntaxError):
        return None
    return bare if upright.size == image.size and upright.tobytes() == image.tobytes() else None


def without_metadata(content: bytes, orientation: int = 1) -> bytes:
    """A JPEG with those segments alone that decide its pixels, up to its end marker (ITU-T T.81, annex B).

    Args:
        content: of a whole JPEG.
        orientation: of Exif, 1 to 8: which way up it is to be seen.

    Raises:
        ValueError: it is no JPEG, or not whole.
    """
    kept: list[bytes] = []
    is_jfif = False  # which says of three components that they are YCbCr
    for marker, segment in _segments(content):
        is_jfif = is_jfif or (marker == _JFIF and segment[4:9] == b"JFIF\x00")
        if marker == _ADOBE or not (marker in _APPLICATION or marker == _COMMENT):
            kept.append(segment)
    start = [
        bytes((0xFF, _SOI)),
        *([_PLAIN_JFIF] if is_jfif else []),
        *([_exif(orientation)] if orientation != 1 else []),
    ]
    return b"".join([*start, *kept, bytes((0xFF, _EOI))])


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers with their segments whole, those of scans with the coded data, up to the end marker."""
    at = 2
    while content[at : at + 1] == b"\xff" and at + 1 < len(content):
        marker = content[at + 1]
        if marker == _EOI:
            return
        if marker == 0xFF or marker in _WITHOUT_LENGTH:  # a fill byte, or a marker that says nothing
            at += 1 if marker == 0xFF else 2
            continue
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == _SOS:
            found = NEXT_MARKER.search(content, end)
            end = found.start() if found else len(content)
        yield marker, content[at:end]
        at = end
    raise ValueError(f"no marker stands at byte {at} of {len(content)}")


def _exif(orientation: int) -> bytes:
    """A segment of Exif that holds the orientation alone."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    content = exif.tobytes()
    return b"\xff\xe1" + struct.pack(">H", 2 + len(content)) + content


def _as_png(image: Image.Image) -> bytes:
    """A PNG of the pixels; what Pillow remembers of the file stays behind."""
    plain = Image.new(image.mode, image.size)
    plain.paste(image)
    stream = io.BytesIO()
    plain.save(stream, "PNG", optimize=True)
    return stream.getvalue()
