"""Markers of a JPEG (ITU-T T.81, annex B), read before it is decoded, and JPEGs that only lack the last marker."""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from PIL import Image

from svertka.data.fingerprint import pixel_hash

MOST_SCANS = 100
"""Encoders write about 10; each is a pass over all coefficients, so thousands would take minutes."""

_SOF_PROGRESSIVE, _SOS, _EOI = (0xC2, 0xC6, 0xCA, 0xCE), 0xDA, 0xD9
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset((*range(0xD0, 0xD9), 0x01))
NEXT_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
"""Behind coded data, in which a byte FF is stuffed with 00 or begins a restart marker."""

_CHUNK_BYTES = 1 << 20
_TAILS = (b"", b"\x55" * 256, b"\xaa" * 256, b"\xfe" * 256, b"\x12\xe7" * 128)
_COEFFICIENTS = 64
_LARGEST_BYTES = 1 << 28


@dataclass(slots=True)
class Scans:
    """The scans of a JPEG, as far as they were counted.

    Attributes:
        progressive: whether the coefficients come in several passes.
        unsent: of each component, the lowest bit still to come of each coefficient (0: all are there).
    """

    count: int = 0
    components: int = 0
    progressive: bool = False
    unsent: dict[int, list[int]] = field(default_factory=dict)

    @property
    def are_several(self) -> bool:
        """Whether the decoder must hold all coefficients at once."""
        return self.progressive or self.count > 1

    @property
    def are_complete(self) -> bool:
        """Whether every coefficient of every component was sent to its last bit."""
        sent = self.unsent.values()
        return 0 < self.components == len(sent) and not any(bit for bits in sent for bit in bits)


def read_scans(stream: BinaryIO, *, to_the_end: bool = False) -> Scans:
    """Counts scans up to one more than ``MOST_SCANS``; a plain JPEG is read no further than its first scan.

    Args:
        stream: seekable.
        to_the_end: read all scans of a plain JPEG, too.
    """
    scans = Scans()
    for marker, segment in _segments(stream):
        if marker in _SOF and len(segment) >= 6:
            scans.progressive, scans.components = marker in _SOF_PROGRESSIVE, segment[5]
        if marker != _SOS or not segment:
            continue
        scans.count += 1
        _note(scans, segment)
        alone = not scans.progressive and segment[0] >= scans.components
        if scans.count > MOST_SCANS or (alone and not to_the_end):
            break
    return scans


def without_end_marker(stream: BinaryIO, read: Callable[[BinaryIO], Image.Image]) -> Image.Image | None:
    """The image of a JPEG whose last bytes are missing, but not one of its pixels; else None.

    It is decoded with several tails: what the file lacks would be read from the tail, so the pixels would differ.

    Args:
        stream: seekable.
        read: decodes a whole JPEG.
    """
    if stream.seek(0, 2) > _LARGEST_BYTES or not read_scans(stream, to_the_end=True).are_complete:
        return None
    stream.seek(0)
    data = stream.read().rstrip(b"\xff")
    hashes = set()
    for tail in _TAILS:
        image = read(io.BytesIO(data + tail + bytes((0xFF, _EOI))))
        hashes.add(pixel_hash(image if image.mode in ("L", "RGB") else image.convert("RGB")))
        if len(hashes) > 1:
            return None
    return image


def _note(scans: Scans, segment: bytes) -> None:
    """Remembers which bits of which coefficients a scan brings."""
    count = segment[0]
    if len(segment) < 4 + 2 * count:
        return
    first, last, low = segment[1 + 2 * count], segment[2 + 2 * count], segment[3 + 2 * count] & 15
    if not scans.progressive:
        first, last, low = 0, _COEFFICIENTS - 1, 0
    for component in segment[1 : 1 + 2 * count : 2]:
        bits = scans.unsent.setdefault(component, [_COEFFICIENTS] * _COEFFICIENTS)
        for coefficient in range(first, min(last, _COEFFICIENTS - 1) + 1):
            bits[coefficient] = low


def _segments(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Markers and what follows their length, from the second marker to the end of the image or of the file."""
    at = 2
    while True:
        stream.seek(at)
        start = stream.read(2)
        if len(start) < 2 or start[0] != 0xFF:
            return
        marker = start[1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == _EOI:
            return
        if marker in _WITHOUT_LENGTH:
            at += 2
            continue
        length = int.from_bytes(stream.read(2), "big")
        if length < 2:
            return
        segment = stream.read(length - 2)
        yield marker, segment
        at += 2 + length
        if marker == _SOS:
            at = _after_coded_data(stream, at)


def _after_coded_data(stream: BinaryIO, at: int) -> int:
    """Where the next marker stands; the end of the file if there is none."""
    stream.seek(at)
    kept = b""
    while chunk := stream.read(_CHUNK_BYTES):
        window = kept + chunk
        if found := NEXT_MARKER.search(window):
            return at + found.start()
        kept = b"\xff" if window.endswith(b"\xff") else b""
        at += len(window) - len(kept)
    return at
