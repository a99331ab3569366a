"""Sets Pillow's global switches while svertka decodes.

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

_BLOCK_BYTES = 1 << 26  # glibc's malloc never keeps more than 32 MB
_with_large_blocks = 0
_usual_block_bytes = 0

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


@contextlib.contextmanager
def large_blocks() -> Iterator[None]:
    """Memory of images in blocks that go back to the system when they are freed; safe across threads.

    Pillow's usual blocks of 16 MB are kept by malloc, for each thread apart: of four threads that decode large images
    one after another, each would hold on to the memory of one. Photographs are decoded a tenth faster with usual ones.
    """
    global _with_large_blocks, _usual_block_bytes
    core = Image.core  # type: ignore[attr-defined]
    with _lock:
        if _with_large_blocks == 0:
            _usual_block_bytes = core.get_block_size()
            core.set_block_size(_BLOCK_BYTES)
        _with_large_blocks += 1
    try:
        yield
    finally:
        with _lock:
            _with_large_blocks -= 1
            if _with_large_blocks == 0:
                core.set_block_size(_usual_block_bytes)
