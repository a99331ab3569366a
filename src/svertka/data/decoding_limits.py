"""Limits on pixels, memory and time of decoding, judged by a file's header; one memory budget for all threads.

A file of 200 kB may hold 100 megapixels. The bytes a pixel are peaks of resident memory, measured with Pillow 13: its
own image (4 bytes in colour, 1 in gray), one more copy where pixels are converted, and what the format's library holds
beside them: 11.4 for WebP, 4.9 for AVIF, 14.5 for JPEG 2000, and of a JPEG that comes in several scans all
coefficients, 2 bytes for each component.
"""

import contextlib
import struct
import threading
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image

from svertka.data.formats import Format
from svertka.data.jpeg import MOST_SCANS, Scans
from svertka.errors import ImageRejected

BYTES_PER_PIXEL = 8
"""What the limit of pixels allows: Pillow's image in colour and one copy."""


LARGE_BYTES = 1 << 27
"""What costs more must give its memory back at once: about 30 megapixels of a photograph."""


_BUDGET_BYTES = BYTES_PER_PIXEL * 100_000_000


# By Pillow's format; the rest needs no more than its image and a copy.
_LIBRARY_BYTES = {"WEBP": 12, "AVIF": 6, "JPEG2000": 15}


_COLOUR_BYTES = 4


DEEP_COLOUR_BYTES = 14
"""A pixel of 16-bit colours: their bytes are read in two halves, joined, and scaled."""

_HOLDS_OTHERS = frozenset({"ICO", "ICNS", "IPTC", "BLP"})  # pictures whose sizes their own headers tell
_READS_WHOLE_FILE = frozenset({"WEBP", "AVIF", "IPTC"})
# TIFF: where tiles or strips begin; each costs Pillow a decoder, so a million of them would take minutes.
_TILE_OFFSET_TAGS, _MOST_TILES = (273, 324), 100_000
_MOST_PASSES = 2_000_000_000  # pixels times scans of a JPEG: seconds
# What Pillow decodes in Python takes microseconds a pixel: a small file must not promise many.
_SLOW_PIXELS, _SLOW_PIXELS_PER_BYTE = 4_000_000, 4


def cost_of_opening(stream: BinaryIO, found: Format, max_pixels: int) -> int:
    """Returns the bytes that Pillow takes before it says how large an image is.

    Raises:
        ImageRejected: it would take too many, or too long.
    """
    length = stream.seek(0, 2)
    if found.plugin in _READS_WHOLE_FILE and length > max_pixels:  # a byte a pixel is more than their encoders write
        raise ImageRejected("too_large", f"{found.name} file of {length / 1e6:.0f} MB")
    if found.plugin == "TIFF" and (tiles := _tiff_tiles(stream)) > _MOST_TILES:
        raise ImageRejected("too_large", f"a TIFF of {tiles} strips or tiles; at most {_MOST_TILES} are read")
    if found.plugin == "WEBP":  # its canvas is made at once
        pixels = _webp_pixels(stream)
        if pixels > max_pixels:
            raise _too_many(f"{pixels / 1e6:.1f} megapixels by its header", pixels, max_pixels)
        return bytes_per_pixel("WEBP", "RGBA") * pixels
    return BYTES_PER_PIXEL * max_pixels if found.plugin in _HOLDS_OTHERS else 0


def _webp_pixels(stream: BinaryIO) -> int:
    """Width times height by the first chunk (RFC 9649, sections 2.5 to 2.7); 0 where there is none that is known."""
    stream.seek(12)
    kind, body = stream.read(4), stream.read(14)[4:]
    if len(body) < 10:
        return 0
    if kind == b"VP8X":
        return (1 + int.from_bytes(body[4:7], "little")) * (1 + int.from_bytes(body[7:10], "little"))
    if kind == b"VP8L":
        sides = int.from_bytes(body[1:5], "little")
        return (1 + (sides & 0x3FFF)) * (1 + (sides >> 14 & 0x3FFF))
    if kind == b"VP8 ":
        return (int.from_bytes(body[6:8], "little") & 0x3FFF) * (int.from_bytes(body[8:10], "little") & 0x3FFF)
    return 0


def _tiff_tiles(stream: BinaryIO) -> int:
    """How many strips or tiles the first page has by its directory (TIFF 6.0, page 14; BigTIFF: doubled widths)."""
    stream.seek(0)
    head = stream.read(16)
    order = "<" if head.startswith(b"II") else ">"
    big = 43 in head[2:4]
    try:
        (at,) = struct.unpack(f"{order}{'Q' if big else 'I'}", head[8:16] if big else head[4:8])
        stream.seek(at)
        count_width, entry_width = (8, 20) if big else (2, 12)
        (entries,) = struct.unpack(f"{order}{'Q' if big else 'H'}", stream.read(count_width))
        directory = stream.read(min(entries, 65535) * entry_width)
        fields = struct.iter_unpack(
            f"{order}HH{'Q8x' if big else 'I4x'}", directory[: len(directory) // entry_width * entry_width]
        )
        return max((count for tag, _, count in fields if tag in _TILE_OFFSET_TAGS), default=0)
    except (struct.error, OSError, ValueError, OverflowError):
        return 0  # the reader will say what is wrong with it


def check_cost(image: Image.Image, scans: Scans, max_pixels: int, allowed: int, notes: list[str]) -> int:
    """Returns the bytes that decoding takes. An image that takes too many is read at half its size where that can be.

    Args:
        image: opened, not loaded.
        scans: of a JPEG.
        max_pixels: that are allowed.
        allowed: bytes.
        notes: "half_size" is added where it is.

    Raises:
        ImageRejected: it is too large by its header.
    """
    width, height = image.size
    pixels = width * height
    size = f"{width} × {height} = {pixels / 1e6:.1f} megapixels by its header"
    if pixels > max_pixels:
        raise _too_many(size, pixels, max_pixels)
    if scans.count > MOST_SCANS or scans.count * pixels > _MOST_PASSES:
        found = f"more than {MOST_SCANS}" if scans.count > MOST_SCANS else str(scans.count)
        raise ImageRejected("too_large", f"a JPEG of {found} scans, as no encoder writes it; save it anew")
    each = bytes_per_pixel(image.format or "", image.mode)
    held = 2 * scans.components if scans.are_several else 0
    if pixels * (each + held) > allowed and halve(image):
        notes.append("half_size")
        each = each // 4 + 1
    if pixels * (each + held) > allowed:
        most = allowed // (each + held)
        raise _too_many(size, pixels, most, f" of {image.format}, which takes much memory")
    return pixels * (each + held)


def _too_many(size: str, pixels: int, most: int, of: str = "") -> ImageRejected:
    """Says of an image how many pixels it has, and how many it may have."""
    shown = f"{most / 1e6:.0f}" if of else f"{most / 1e6:g}"
    return ImageRejected("too_large", f"{size}; at most {shown} are allowed{of}", pixels=pixels, most_pixels=most)


def check_speed(image: Image.Image, length: int) -> None:
    """Refuses what Pillow would decode for minutes.

    Args:
        image: opened, not loaded.
        length: of the file, in bytes.

    Raises:
        ImageRejected: it promises too many pixels for its length.
    """
    pixels, tiles = image.width * image.height, getattr(image, "tile", ())
    most = max(_SLOW_PIXELS, _SLOW_PIXELS_PER_BYTE * length)
    if pixels > most and any(tile[0] in Image.DECODERS for tile in tiles):
        size = f"{pixels / 1e6:.1f} megapixels in {length} bytes"
        raise ImageRejected("too_large", f"{size}, which Pillow decodes slowly; at most {most / 1e6:.1f} are read")


def halve(image: Image.Image) -> bool:
    """Asks the decoder for half the width and height, which JPEG and JPEG 2000 give at a quarter of the memory."""
    if image.format in ("JPEG", "MPO"):
        return image.draft(None, (image.width // 2, image.height // 2)) is not None
    if image.format == "JPEG2000":
        image.reduce = 1  # type: ignore[method-assign, assignment]  # a property of this reader
        return True
    return False


def bytes_per_pixel(kind: str, mode: str) -> int:
    """Bytes that a pixel of one of Pillow's formats and modes takes at the worst moment."""
    stored = {"1": 1, "L": 1, "P": 1}.get(mode, 2 if mode.startswith("I;16") else _COLOUR_BYTES)
    copy = {"L": 0, "RGB": 0, "1": 1}.get(mode, stored if mode[0] in "IF" else _COLOUR_BYTES)
    return stored + copy + _LIBRARY_BYTES.get(kind, 0)


class ByteBudget:
    """Bytes that threads take and give back; who asks for more than is left waits, in the order of asking.

    A thread that holds some may ask again without waiting: else it could wait for itself.
    """

    def __init__(self, capacity: int) -> None:
        self._free = self._capacity = capacity
        self._turn = threading.Lock()  # a large image is not overtaken for ever by small ones
        self._changed = threading.Condition()
        self._held = threading.local()

    def limit(self, capacity: int) -> None:
        """Changes how many bytes there are; what threads hold meanwhile is counted."""
        with self._changed:
            self._free += capacity - self._capacity
            self._capacity = capacity
            self._changed.notify_all()

    @contextlib.contextmanager
    def taking(self, size: int) -> Iterator[None]:
        """Holds the bytes; more than there are counts as all, so one such image is decoded at a time."""
        if size <= 0 or getattr(self._held, "by_me", False):
            yield
            return
        size = min(size, self._capacity)
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        self._held.by_me = True
        try:
            yield
        finally:
            self._held.by_me = False
            with self._changed:
                self._free += size
                self._changed.notify_all()


BUDGET = ByteBudget(_BUDGET_BYTES)
