"""Decodes one image file to RGB pixels, or gives one clear reason why not. Pillow only; no torch.

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
import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from svertka.data.decoding_limits import (
    BUDGET,
    BYTES_PER_PIXEL,
    DEEP_COLOUR_BYTES,
    LARGE_BYTES,
    bytes_per_pixel,
    check_cost,
    check_speed,
    cost_of_opening,
    halve,
)
from svertka.data.failures import failed, unknown
from svertka.data.formats import JPEG, RAW, READABLE_SUFFIXES, Format, identify
from svertka.data.jpeg import Scans, read_scans, without_end_marker
from svertka.data.pillow import large_blocks, quiet_pillow
from svertka.data.preprocess import apply_to_image
from svertka.data.samples import Samples, bands, is_deep, is_reduced, lower_bytes, read_colours, read_gray
from svertka.errors import ImageRejected, one_line
from svertka.schema import Preprocess, ValueRange
from svertka.util.atomic_files import open_regular

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
_ONE_PICTURE = frozenset({"MPO", "PSD"})  # the others are the camera's preview, or layers of the one picture
_DNG_VERSION_TAG, _SUBFILE_TAG, _SUB_IFDS_TAG = 50706, 254, 330
_STRIP_PIXELS = 1 << 18


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
        return _prepared(decoded, preprocess)


def load_content(
    content: bytes,
    preprocess: Preprocess,
    *,
    suffix: str = "",
    max_pixels: int = DEFAULT_MAX_PIXELS,
    max_bytes: int = 0,
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """The same for a file's bytes, which may have come without a file: same pixels, notes and rejections.

    Args:
        content: of the file.
        preprocess: what the network's square is made by.
        suffix: of the name in lower case, ``".tga"``; asked only where the bytes alone can't tell.
        max_pixels: larger images are refused by their header.
        max_bytes: of memory for decoding, where the limit of pixels allows more; 0: as it allows.

    Raises:
        ImageRejected: the bytes cannot be used; see the module's table of reasons.
    """
    with _decoding(io.BytesIO(content), suffix, preprocess.ranges, max_pixels, max_bytes) as decoded:
        return _prepared(decoded, preprocess)


def _prepared(decoded: Decoded, preprocess: Preprocess) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
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
    with _decoding(path, path.suffix.lower(), ranges, max_pixels) as decoded:
        yield decoded


@contextmanager
def _decoding(
    source: Path | BinaryIO, suffix: str, ranges: Sequence[ValueRange], max_pixels: int, max_bytes: int = 0
) -> Iterator[Decoded]:
    with ExitStack() as held:
        with _rejecting(source, max_pixels) as stream:
            decoded = _decode_stream(stream, suffix, ranges, max_pixels, held, max_bytes)
        yield decoded


def pixels_of(content: bytes, suffix: str = "", max_pixels: int = DEFAULT_MAX_PIXELS) -> int:
    """Pixels of an image by its header; 0 where none can be read, ``max_pixels`` where only decoding would tell."""
    try:
        with _rejecting(io.BytesIO(content), max_pixels) as stream:
            found = _identified(stream, suffix)
            if cost := cost_of_opening(stream, found, max_pixels):
                return cost // bytes_per_pixel(found.plugin, "RGBA")
            width, height = _open(stream, found).size
            return width * height
    except ImageRejected:
        return 0


def header_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as the header has them; nothing is decoded.

    Raises:
        ImageRejected: the file cannot be used; see the module's table of reasons.
    """
    with _rejecting(path, DEFAULT_MAX_PIXELS) as stream:
        found = _identified(stream, path.suffix.lower())
        return _open(stream, found).size


@contextmanager
def _rejecting(source: Path | BinaryIO, max_pixels: int) -> Iterator[BinaryIO]:
    """The open file, with whatever goes wrong in reading it as a rejection: decoders raise what they like."""
    try:
        with open_regular(source) if isinstance(source, Path) else source as stream, quiet_pillow(max_pixels):
            if not stream.seek(0, 2):
                raise ImageRejected("empty", "the file has zero bytes")
            yield stream
    except ImageRejected:
        raise
    except MemoryError as error:
        raise ImageRejected("too_large", "its pixels do not fit into memory") from error
    except OSError as error:
        why = _why_unreadable(source, error) if isinstance(source, Path) else one_line(error, 200)
        raise ImageRejected("unreadable", why) from error
    except Exception as error:
        raise ImageRejected("damaged", f"it cannot be decoded ({one_line(error, 200)})") from error


def _why_unreadable(path: Path, error: OSError) -> str:
    if error.errno != errno.ENAMETOOLONG and path.is_dir():
        is_named = path.suffix.lower() in READABLE_SUFFIXES
        return "a folder with the name of an image" if is_named else "a folder that cannot be listed"
    if isinstance(error, FileNotFoundError):
        return "a link to a file that does not exist" if path.is_symlink() else "the file does not exist"
    what = "no permission to read it" if isinstance(error, PermissionError) else "the system cannot read it"
    return f"{what} ({error.strerror or error})"


def _decode_stream(
    stream: BinaryIO, suffix: str, ranges: Sequence[ValueRange], max_pixels: int, held: ExitStack, max_bytes: int
) -> Decoded:
    allowed = max_bytes or BYTES_PER_PIXEL * max_pixels
    found, length = _identified(stream, suffix), stream.seek(0, 2)
    held.enter_context(BUDGET.taking(cost_of_opening(stream, found, max_pixels)))
    image = _open(stream, found)
    scans = read_scans(stream) if found is JPEG else Scans()
    check_speed(image, length)
    mode, kind = image.mode, image.format or ""
    notes: list[str] = []
    cost = check_cost(image, scans, max_pixels, allowed, notes)
    tiles = lower_bytes(image)
    deep_cost = DEEP_COLOUR_BYTES * image.width * image.height
    if not tiles or deep_cost > allowed:
        notes += ["reduced_to_8bit"] if is_reduced(image) else []
        tiles, deep_cost = [], 0
    held.enter_context(BUDGET.taking(max(cost, deep_cost)))
    if max(cost, deep_cost) > LARGE_BYTES:
        held.enter_context(large_blocks())
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
            "unsupported", f"pixels of mode {mode} cannot be converted to RGB ({one_line(error, 200)})"
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
        raise unknown(stream, suffix)
    if not found.is_image:
        raise ImageRejected("not_an_image", f"it is {found.name}")
    Image.preinit() if found.plugin in _PREINIT else Image.init()
    if found.plugin not in Image.OPEN:
        raise ImageRejected("unsupported", f"{found.name}; {found.advice}")
    return found


def _open(stream: BinaryIO, found: Format) -> Image.Image:
    """Reads the header, by the one reader of this format."""
    stream.seek(0)
    try:
        image = Image.OPEN[found.plugin][0](stream, "")
    except MemoryError:
        raise
    except Exception as error:
        if not found.is_sure:
            raise unknown(stream, "") from error
        raise failed(error, stream, found, is_header=True) from error
    if found.plugin == "TIFF" and _is_preview_of_raw(image):
        raise ImageRejected("unsupported", f"{RAW.name}; {RAW.advice}")
    return image


def _is_preview_of_raw(image: Image.Image) -> bool:
    """Whether the first picture of a TIFF is a small copy of one that Pillow doesn't read: DNG, NEF, ARW."""
    tags = getattr(image, "tag_v2", {})
    return _DNG_VERSION_TAG in tags or (tags.get(_SUBFILE_TAG) == 1 and _SUB_IFDS_TAG in tags)


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
        failure = failed(error, stream, found, is_header=False)
        if failure.reason != "truncated" or found is not JPEG:
            raise failure from error

    def read(whole: BinaryIO) -> Image.Image:
        again = _open(whole, found)
        if "half_size" in notes:
            halve(again)
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
    for rows in bands(image.height, image.width, _STRIP_PIXELS):
        strip = image.crop((0, rows.start, image.width, rows.stop)).convert("RGBA")
        white = Image.new("RGBA", strip.size, "white")
        flat.paste(Image.alpha_composite(white, strip).convert("RGB"), (0, rows.start))
    return flat
