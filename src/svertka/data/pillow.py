"""Pillow's global switches, held still while svertka decodes.

Pillow judges large images by a global limit and speaks through ``warnings``. svertka has its own limit and its own
notes, and decodes in threads, where ``warnings.catch_warnings`` is unsafe (its restore in one thread undoes
another's). So the first decoder that enters sets the switches and the last one that leaves restores them.
"""

import contextlib
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator

from PIL import Image

# What Pillow's plugins raise on bad files, by experience rather than by contract.
OPEN_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    EOFError,
    OverflowError,
    ZeroDivisionError,
    NotImplementedError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

_lock = threading.Lock()
_inside = 0
_restore = contextlib.ExitStack()


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """No warnings from Pillow and no limit on pixels but ours; safe across threads, may be nested."""
    global _inside
    with _lock:
        if _inside == 0:
            _restore.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\.")
            _restore.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
            Image.MAX_IMAGE_PIXELS = None
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _restore.close()
