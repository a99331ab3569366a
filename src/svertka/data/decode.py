"""One image file to RGB pixels, read rightly, or one clear reason why not. Pillow only; no torch.

Reasons of rejection (``ImageRejected.reason``), stable because they stand in ``rejected.csv``:

=============== ========================================================================================
``empty``        zero bytes
``truncated``    starts like an image, but the data end too early
``damaged``      the pixel data contradict themselves
``not_an_image`` the content is no image, whatever the name says
``unsupported``  an image of a kind that is not read: SVG, HEIC without its plugin, camera raw, EPS …
``too_large``    more pixels or scans than allowed; judged from the header, never decoded
``unreadable``   no regular file, a link to nothing, or no permission
=============== ========================================================================================
"""

import errno
import os
import re
import stat
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from svertka.data.formats import JPEG, RAW, READABLE_SUFFIXES, UNSUPPORTED_SUFFIXES, Format, identify
from svertka.data.jpeg import MOST_SCANS, Scans, read_scans, without_end_marker
from svertka.data.memory import BUDGET, BYTES_PER_PIXEL, DEEP_COLOUR_BYTES, bytes_per_pixel
from svertka.data.pillow import quiet_pillow
from svertka.data.preprocess import apply_to_image
from svertka.data.samples import Samples, is_deep, is_reduced, lower_bytes, read_colours, read_gray
from svertka.errors import ImageRejected
from svertka.schema import Preprocess, ValueRange

DEFAULT_MAX_PIXELS = 100_000_000
# Part of every cache key: raise its number when the pixels of any kind of file change.
DECODE_VERSION = f"3-pillow-{PIL.__version__}"

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG = 0x0112
_PREINIT = frozenset({"JPEG", "PNG", "GIF", "BMP", "PPM"})  # what Pillow brings without importing all its readers
_LOADS_ON_OPEN = frozenset({"ICO", "ICNS", "IPTC", "BLP", "WEBP"})
_READS_WHOLE_FILE = frozenset({"WEBP", "AVIF", "IPTC"})
_ONE_PICTURE = frozenset({"MPO", "PSD"})  # the others are the camera's preview, or layers of the one picture
# TIFF: where tiles or strips begin; each costs Pillow a decoder, so a million of them would take minutes.
_TILE_OFFSET_TAGS, _MOST_TILES = (273, 324), 100_000
_DNG_VERSION_TAG, _SUBFILE_TAG, _SUB_IFDS_TAG = 50706, 254, 330
_STRIP_PIXELS = 1 << 20
_MOST_PASSES = 2_000_000_000  # pixels times scans of a JPEG: seconds
# What Pillow decodes in Python takes microseconds a pixel: a small file must not promise many.
_SLOW_PIXELS, _SLOW_PIXELS_PER_BYTE = 4_000_000, 4


@dataclass(frozen=True, slots=True)
class Decoded:
    """An image as it should be seen.

    Attributes:
        image: mode ``"L"`` (all that is gray stays in one channel: a third of the work) or ``"RGB"``.
        mode: Pillow's mode of the stored file.
        notes: what was done to read it rightly, as codes.
        samples: what it holds in more than 8 bits; None for all other images.
        scaling: how these became 8 bits, as codes.
    """

    image: Image.Image
    mode: str
    notes: tuple[str, ...]
    samples: Samples | None = None
    scaling: tuple[str, ...] = ()

    @property
    def width_px(self) -> int:
        """Width after EXIF orientation."""
        return self.image.width

    @property
    def height_px(self) -> int:
        """Height after EXIF orientation."""
        return self.image.height

    @property
    def rgb_HWC(self) -> NDArray[np.uint8]:
        """The pixels, uint8, shape ``[H, W, 3]``."""
        return np.asarray(self.image.convert("RGB"))


def load(path: Path | str, preprocess: Preprocess, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """Reads a file into the network's square: uint8, shape ``[S, S, 3]``.

    Raises:
        ImageRejected: the file cannot be used; see the module's table of reasons.
    """
    return load_noted(path, preprocess, max_pixels=max_pixels)[0]


def load_noted(
    path: Path | str, preprocess: Preprocess, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """The same, with the notes on how it was read (see ``Decoded``)."""
    with decoding(path, ranges=preprocess.ranges, max_pixels=max_pixels) as decoded:
        return apply_to_image(preprocess, decoded.image), (*decoded.notes, *decoded.scaling)


def decode(path: Path | str, *, ranges: Sequence[ValueRange] = (), max_pixels: int = DEFAULT_MAX_PIXELS) -> Decoded:
    """Reads one image file. Of animations and multi-page files the first frame.

    Args:
        path: of the file.
        ranges: what is black and white in deep samples; a mode without one is scaled as ``samples`` tells.
        max_pixels: larger images are refused by their header.

    Raises:
        ImageRejected: the file cannot be used; see the module's table of reasons.
    """
    with decoding(path, ranges=ranges, max_pixels=max_pixels) as decoded:
        return decoded


@contextmanager
def decoding(
    path: Path | str, *, ranges: Sequence[ValueRange] = (), max_pixels: int = DEFAULT_MAX_PIXELS
) -> Iterator[Decoded]:
    """The same for as long as the pixels are needed: their bytes count against what all threads may hold.

    Raises:
        ImageRejected: the file cannot be used; see the module's table of reasons.
    """
    path = Path(path)
    with ExitStack() as held:
        with _rejecting(path, max_pixels) as stream:
            decoded = _decode_stream(stream, path.suffix.lower(), ranges, max_pixels, held)
        yield decoded


def header_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as the header has them; nothing is decoded.

    Raises:
        ImageRejected: the file cannot be used; see the module's table of reasons.
    """
    with _rejecting(path, DEFAULT_MAX_PIXELS) as stream:
        found = _identified(stream, path.suffix.lower())
        return _open(stream, found).size


@contextmanager
def _rejecting(path: Path, max_pixels: int) -> Iterator[BinaryIO]:
    """The open file, with whatever goes wrong in reading it as a rejection: decoders raise what they like."""
    _check_file(path)
    try:
        with path.open("rb") as stream, quiet_pillow(max_pixels):
            yield stream
    except ImageRejected:
        raise
    except PermissionError as error:
        raise ImageRejected("unreadable", f"no permission to read it ({error.strerror})") from error
    except MemoryError as error:
        raise ImageRejected("too_large", "its pixels do not fit into memory") from error
    except OSError as error:
        raise ImageRejected("unreadable", f"the system cannot read it ({error.strerror or error})") from error
    except Exception as error:
        raise ImageRejected("damaged", f"it cannot be decoded ({_said(error)})") from error


def _check_file(path: Path) -> None:
    """Looks before opening: opening a FIFO would wait for ever."""
    try:
        found = path.stat()
    except FileNotFoundError as error:
        what = "a link to a file that does not exist" if path.is_symlink() else "the file does not exist"
        raise ImageRejected("unreadable", what) from error
    except (OSError, ValueError) as error:
        raise ImageRejected("unreadable", f"the system cannot find it ({error})") from error
    if stat.S_ISDIR(found.st_mode):
        named = path.suffix.lower() in READABLE_SUFFIXES
        raise ImageRejected(
            "unreadable", f"a folder {'with the name of an image' if named else 'that cannot be listed'}"
        )
    if not stat.S_ISREG(found.st_mode):
        raise ImageRejected("unreadable", "no regular file (a pipe, socket or device)")
    if found.st_size == 0:
        raise ImageRejected("empty", "the file has zero bytes")


def _decode_stream(
    stream: BinaryIO, suffix: str, ranges: Sequence[ValueRange], max_pixels: int, held: ExitStack
) -> Decoded:
    found = _identified(stream, suffix)
    _check_before_opening(stream, found, max_pixels)
    if found.plugin in _LOADS_ON_OPEN:
        held.enter_context(BUDGET.taking(BYTES_PER_PIXEL * max_pixels))
    image = _open(stream, found)
    scans = read_scans(stream) if found is JPEG else Scans()
    _check_speed(image, os.fstat(stream.fileno()).st_size)  # seeking would move what some readers rely on
    mode, kind = image.mode, image.format or ""
    notes: list[str] = []
    cost = _check_cost(image, scans, max_pixels, notes)
    tiles = lower_bytes(image)
    deep_cost = DEEP_COLOUR_BYTES * image.width * image.height
    if not tiles or deep_cost > BYTES_PER_PIXEL * max_pixels:
        notes += ["reduced_to_8bit"] if is_reduced(image) else []
        tiles, deep_cost = [], 0
    held.enter_context(BUDGET.taking(max(cost, deep_cost)))
    # Pillow turns TIFF by itself while loading; asking before that is the only way to know.
    turned = kind == "TIFF" and _orientation(image) != 1
    image = _loaded(stream, found, image, notes)
    lower = _lower_bytes(stream, found, tiles, notes) if tiles else None
    turn = _TRANSPOSE.get(_orientation(image))
    samples: Samples | None = None
    try:
        if lower is not None:
            samples = read_colours(image, lower, turn)
        elif is_deep(image):
            samples = read_gray(image, turn)
        else:
            flat = _to_gray_or_rgb(image, notes)
            flat = flat if turn is None else flat.transpose(turn)
    except MemoryError:
        raise
    except Exception as error:
        raise ImageRejected(
            "unsupported", f"pixels of mode {mode} cannot be converted to RGB ({_said(error)})"
        ) from error
    if turned or turn is not None:
        notes.append("exif_rotated")
    if kind not in _ONE_PICTURE and _has_more_frames(image, stream, found):
        notes.append("first_frame")
    if samples is None:
        return Decoded(flat, mode, tuple(notes))
    del image, lower  # their samples are copied; a second copy of a large image would be gigabytes
    flat, scaling = samples.by_range(ranges)
    return Decoded(
        flat, samples.span.mode if samples.is_colour else mode, (*notes, *samples.notes), samples, tuple(scaling)
    )


def _identified(stream: BinaryIO, suffix: str) -> Format:
    """The format of what Pillow may be asked to read.

    Raises:
        ImageRejected: it is none, or none that is read.
    """
    found = identify(stream, suffix)
    if found is None:
        raise _unknown(stream, suffix)
    if not found.is_image:
        raise ImageRejected("not_an_image", f"it is {found.name}")
    Image.preinit() if found.plugin in _PREINIT else Image.init()
    if found.plugin not in Image.OPEN:
        raise ImageRejected("unsupported", f"{found.name}; {found.advice}")
    return found


def _unknown(stream: BinaryIO, suffix: str) -> ImageRejected:
    stream.seek(0)
    head = stream.read(1024)
    if b"\0" not in head:
        return ImageRejected("not_an_image", f"text: {head[:40].decode('utf-8', 'replace').strip()!r}")
    if suffix in UNSUPPORTED_SUFFIXES:
        return ImageRejected("unsupported", f"a {suffix[1:].upper()} file; export it as PNG, TIFF or JPEG")
    return ImageRejected("not_an_image", f"no known image format; starts with bytes {head[:8].hex(' ')}")


def _check_before_opening(stream: BinaryIO, found: Format, max_pixels: int) -> None:
    """What Pillow would do before it says how large an image is."""
    length = stream.seek(0, 2)
    if found.plugin in _READS_WHOLE_FILE and length > max_pixels:  # a byte a pixel is more than their encoders write
        raise ImageRejected("too_large", f"{found.name} file of {length / 1e6:.0f} MB")
    if found.plugin == "TIFF" and (tiles := _tiff_tiles(stream)) > _MOST_TILES:
        raise ImageRejected("too_large", f"a TIFF of {tiles} strips or tiles; at most {_MOST_TILES} are read")


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


def _open(stream: BinaryIO, found: Format) -> Image.Image:
    """Reads the header, by the one reader of this format."""
    stream.seek(0)
    try:
        image = Image.OPEN[found.plugin][0](stream, "")
    except MemoryError:
        raise
    except Exception as error:
        if not found.is_sure:
            raise _unknown(stream, "") from error
        raise _failure(error, stream, found, is_header=True) from error
    if found.plugin == "TIFF" and _is_preview_of_raw(image):
        raise ImageRejected("unsupported", f"{RAW.name}; {RAW.advice}")
    return image


def _is_preview_of_raw(image: Image.Image) -> bool:
    """Whether the first picture of a TIFF is a small copy of one that Pillow doesn't read: DNG, NEF, ARW."""
    tags = getattr(image, "tag_v2", {})
    return _DNG_VERSION_TAG in tags or (tags.get(_SUBFILE_TAG) == 1 and _SUB_IFDS_TAG in tags)


def _check_cost(image: Image.Image, scans: Scans, max_pixels: int, notes: list[str]) -> int:
    """Returns the bytes that decoding takes. An image that takes too many is read at half its size where that can be.

    Raises:
        ImageRejected: it is too large by its header.
    """
    width, height = image.size
    pixels = width * height
    size = f"{width} × {height} = {pixels / 1e6:.1f} megapixels by its header"
    if pixels > max_pixels:
        raise ImageRejected("too_large", f"{size}; at most {max_pixels / 1e6:g} are allowed (max_megapixels)")
    if scans.count > MOST_SCANS or scans.count * pixels > _MOST_PASSES:
        found = f"more than {MOST_SCANS}" if scans.count > MOST_SCANS else str(scans.count)
        raise ImageRejected("too_large", f"a JPEG of {found} scans, as no encoder writes it; save it anew")
    each = bytes_per_pixel(image.format or "", image.mode)
    held = 2 * scans.components if scans.are_several else 0
    allowed = BYTES_PER_PIXEL * max_pixels
    if pixels * (each + held) > allowed and _halve(image):
        notes.append("half_size")
        each = each // 4 + 1
    if pixels * (each + held) > allowed:
        most = allowed / (each + held) / 1e6
        raise ImageRejected(
            "too_large",
            f"{size}; at most {most:.0f} are allowed of {image.format}, which takes much memory (max_megapixels)",
        )
    return pixels * (each + held)


def _check_speed(image: Image.Image, length: int) -> None:
    pixels, tiles = image.width * image.height, getattr(image, "tile", ())
    most = max(_SLOW_PIXELS, _SLOW_PIXELS_PER_BYTE * length)
    if pixels > most and any(tile[0] in Image.DECODERS for tile in tiles):
        size = f"{pixels / 1e6:.1f} megapixels in {length} bytes"
        raise ImageRejected("too_large", f"{size}, which Pillow decodes slowly; at most {most / 1e6:.1f} are read")


def _halve(image: Image.Image) -> bool:
    """Asks the decoder for half the width and height, which JPEG and JPEG 2000 give at a quarter of the memory."""
    if image.format in ("JPEG", "MPO"):
        return image.draft(None, (image.width // 2, image.height // 2)) is not None
    if image.format == "JPEG2000":
        image.reduce = 1  # type: ignore[method-assign, assignment]  # a property of this reader
        return True
    return False


def _loaded(stream: BinaryIO, found: Format, image: Image.Image, notes: list[str]) -> Image.Image:
    """The image with its pixels."""
    try:
        image.load()
        if image.format == "JPEG2000":
            image.reduce = 0  # type: ignore[method-assign, assignment]  # else it hides the method of this name
        return image
    except MemoryError:
        raise
    except Exception as error:
        failure = _failure(error, stream, found, is_header=False)
        if failure.reason != "truncated" or found is not JPEG:
            raise failure from error

    def read(whole: BinaryIO) -> Image.Image:
        again = _open(whole, found)
        if "half_size" in notes:
            _halve(again)
        again.load()
        return again

    complete = without_end_marker(stream, read)
    if complete is None:
        raise failure
    notes.append("end_marker_missing")
    return complete


def _lower_bytes(stream: BinaryIO, found: Format, tiles: list[Any], notes: list[str]) -> Image.Image:
    """The same file once more, by other tiles."""
    image = _open(stream, found)
    image.tile = tiles  # type: ignore[attr-defined]  # of every file that Pillow opens
    return _loaded(stream, found, image, notes)


def _failure(error: Exception, stream: BinaryIO, found: Format, *, is_header: bool) -> ImageRejected:
    """A reader's error as a reason: cut off, of an unknown kind, or damaged."""
    message = _said(error)
    # A disk that fails, not a file; EINVAL comes of a place before the file's beginning that a damaged file names.
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
        return ImageRejected("unreadable", f"the system cannot read it ({error.strerror})")
    if isinstance(error, Image.DecompressionBombError):
        return ImageRejected("too_large", f"it holds more pixels than are allowed (max_megapixels; {message})")
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


def _said(error: Exception) -> str:
    """A reader's words, on one line."""
    return " ".join(str(error).split()).removesuffix(".")[:200] or type(error).__name__


def _is_cut_off(stream: BinaryIO) -> bool:
    """Whether a file is shorter than the lengths in it say: RIFF, and the boxes of AVIF, HEIC and JPEG 2000."""
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


def _has_more_frames(image: Image.Image, stream: BinaryIO, found: Format) -> bool:
    try:
        if found.plugin == "GIF":  # looking for the second frame gives up the first
            image = _open(stream, found)
        return bool(getattr(image, "is_animated", False))
    except Exception:  # a damaged second frame is no reason to refuse the first
        return True


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # damaged EXIF: the pixels are still good
        return 1


def _to_gray_or_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """Any mode of Pillow to L or RGB; appends to ``notes`` what was done."""
    if image.has_transparency_data:
        notes.append("alpha_composited")
        return _on_white(image)
    if image.mode == "L":
        notes.append("grayscale")
        return image
    if image.mode == "1":
        notes.append("bilevel")
        return image.convert("L")
    if image.mode == "RGB":
        return image
    notes.append({"P": "palette", "CMYK": "cmyk_converted"}.get(image.mode, "colour_converted"))
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """Composited strip by strip: four copies of a large image would be gigabytes."""
    flat = Image.new("RGB", image.size)
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height))).convert("RGBA")
        white = Image.new("RGBA", strip.size, "white")
        flat.paste(Image.alpha_composite(white, strip).convert("RGB"), (0, top))
    return flat
