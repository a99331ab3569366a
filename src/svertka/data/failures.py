"""Turns the exceptions of image decoders into accurate reasons."""

import errno
import re
import struct
from typing import BinaryIO

from PIL import Image

from svertka.data.formats import UNSUPPORTED_SUFFIXES, Format
from svertka.errors import ImageRejected, one_line


def unknown(stream: BinaryIO, suffix: str) -> ImageRejected:
    """Says what a file is that no signature names."""
    stream.seek(0)
    head = stream.read(1024)
    if b"\0" not in head:
        return ImageRejected("not_an_image", f"text: {head[:40].decode('utf-8', 'replace').strip()!r}")
    if suffix in UNSUPPORTED_SUFFIXES:
        return ImageRejected("unsupported", f"a {suffix[1:].upper()} file; export it as PNG, TIFF or JPEG")
    return ImageRejected("not_an_image", f"no known image format; starts with bytes {head[:8].hex(' ')}")


def failed(error: Exception, stream: BinaryIO, found: Format, *, is_header: bool) -> ImageRejected:
    """A reader's error as a reason: cut off, of an unknown kind, or damaged.

    Args:
        error: what it raised.
        stream: of the file.
        found: its format.
        is_header: whether it had not come further.
    """
    message = one_line(error, 200)
    # A disk that fails, not a file; EINVAL comes of a place before the file's beginning that a damaged file names.
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
        return ImageRejected("unreadable", f"the system cannot read it ({error.strerror})")
    if isinstance(error, Image.DecompressionBombError):
        return ImageRejected("too_large", f"it holds more pixels than are allowed ({message})")
    ended = isinstance(error.__cause__ or error, EOFError | IndexError | struct.error)
    words = ("truncated", "premature", "not enough", "eof", "ended", "unexpected end", "buffer is not large enough")
    if _is_cut_off(stream):
        return ImageRejected("truncated", f"the file ends before its pixels do ({message})")
    if ended or any(word in message.lower() for word in words):
        cut = f"{found.name} file whose header is cut off" if is_header else "the file ends before its pixels do"
        return ImageRejected("truncated", f"{cut} ({message})")
    unknown = re.search(r"un(known|supported)|not (supported|implemented)|cannot handle", message.lower())
    if unknown or isinstance(error.__cause__ or error, KeyError):
        kind = f"{found.name} with a kind of pixels that is not read ({message})"
        return ImageRejected("unsupported", f"{kind}; {found.advice}")
    what = "its header" if is_header else "the pixel data"
    return ImageRejected("damaged", f"{what} cannot be decoded ({message})")


def _is_cut_off(stream: BinaryIO) -> bool:
    """Whether a file is shorter than the lengths in it say: RIFF, and the boxes of AVIF, HEIC and JPEG 2000."""
    if stream.closed:  # some readers do
        return False
    length = stream.seek(0, 2)
    stream.seek(0)
    head = stream.read(12)
    if head.startswith(b"RIFF"):
        return 8 + int.from_bytes(head[4:8], "little") > length
    at = 0
    while head[4:8] in (b"ftyp", b"jP  ") and at < length:
        stream.seek(at)
        size = int.from_bytes(stream.read(4), "big")
        kind = stream.read(4)
        if size == 1:
            size = int.from_bytes(stream.read(8), "big")
        if len(kind) < 4 or 0 < size < 8:
            return len(kind) < 4
        at = length if size == 0 else at + size
    return at > length
