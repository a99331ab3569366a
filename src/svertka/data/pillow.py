"""Pillow's global switches, held still while svertka decodes.

Pillow judges large images by a global limit and speaks through ``warnings``. svertka has its own limit and its own
notes, and decodes in threads, where ``warnings.catch_warnings`` is unsafe (its restore in one thread undoes
another's). So the first decoder that enters sets the switches and the last one that leaves restores them.
"""

import contextlib
import threading
import warnings
from collections import Counter
from collections.abc import Iterator

from PIL import Image

_lock = threading.Lock()
_inside = 0
_limits: Counter[int] = Counter()
_restore = contextlib.ExitStack()


@contextlib.contextmanager
def quiet_pillow(max_pixels: int = 0) -> Iterator[None]:
    """No warnings from Pillow and no limit on pixels but ours; safe across threads, may be nested.

    Args:
        max_pixels: the limit for images inside files, which Pillow opens by itself (in icons, for instance); of
            several decoders at work, the largest holds. 0 sets none.
    """
    global _inside
    with _lock:
        if _inside == 0:
            _restore.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\.")
            _restore.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
        _inside += 1
        _limit(max_pixels, 1)
    try:
        yield
    finally:
        with _lock:
            _limit(max_pixels, -1)
            _inside -= 1
            if _inside == 0:
                _restore.close()


def _limit(max_pixels: int, change: int) -> None:
    """Pillow refuses what is more than twice as large as its limit."""
    if max_pixels:
        _limits[max_pixels] += change
    largest = max((+_limits).keys(), default=0)
    Image.MAX_IMAGE_PIXELS = (largest + 1) // 2 if largest else None
