"""How much memory decoding takes, and the one budget of bytes that all threads of a process share.

A file of 200 kB may hold 100 megapixels, so what a file costs is judged by its header. The bytes a pixel are peaks of
resident memory, measured with Pillow 13: its own image (4 bytes in colour, 1 in gray), one more copy where pixels are
converted, and what the format's library holds beside them: 11.4 for WebP, 4.9 for AVIF, 14.5 for JPEG 2000, and of a
JPEG that comes in several scans all coefficients, 2 bytes for each component.
"""

import contextlib
import threading
from collections.abc import Iterator

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
