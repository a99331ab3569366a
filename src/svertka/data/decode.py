"""One image file to RGB pixels, read rightly, or one clear reason why not. Pillow only; no torch.

Reasons of rejection (``ImageRejected.reason``), stable because they stand in ``rejected.csv``:

=============== ========================================================================================
``empty``        zero bytes
``truncated``    starts like an image, but the data end too early
``damaged``      the pixel data contradict themselves
``not_an_image`` the content is no image, whatever the name says
``unsupported``  an image of a kind that is not read: SVG, HEIC without its plugin, camera raw, PSD …
``too_large``    more pixels than allowed; judged from the header, never decoded
``unreadable``   no regular file, a link to nothing, or no permission
=============== ========================================================================================
"""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from svertka.data.pillow import OPEN_ERRORS, quiet_pillow
from svertka.data.preprocess import apply_to_image
from svertka.data.samples import scale_to_uint8
from svertka.errors import ImageRejected
from svertka.schema import Preprocess

DEFAULT_MAX_PIXELS = 100_000_000
# Part of every cache key: raise its number when the pixels of any kind of file change.
DECODE_VERSION = f"1-pillow-{PIL.__version__}"

READABLE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .gif .bmp .dib .tif .tiff .webp .ppm .pgm .pbm .pnm .jp2 .j2k .avif".split()
)
# Pillow reads some raw files as TIFF and returns their thumbnail, so these are refused by name.
RAW_SUFFIXES = frozenset(".cr2 .cr3 .nef .arw .dng .orf .rw2 .raf .pef .srw .raw".split())
UNSUPPORTED_SUFFIXES = RAW_SUFFIXES | frozenset(
    ".svg .svgz .heic .heif .psd .xcf .jxl .eps .exr .hdr .tga .ico .dcm".split()
)

_COMMON_FORMATS = ("JPEG", "PNG")
# No EPS (runs Ghostscript), no PDF, no formats without a signature (TGA would claim random bytes).
_OTHER_FORMATS = ("GIF", "BMP", "TIFF", "WEBP", "PPM", "DIB", "JPEG2000", "AVIF", "HEIF")
_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"RIFF": "WebP",
}
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


@dataclass(frozen=True, slots=True)
class Decoded:
    """An image as it should be seen.

    Attributes:
        image: mode ``"L"`` (all that is gray stays in one channel: a third of the work) or ``"RGB"``.
        mode: Pillow's mode of the stored file.
        notes: what was done to read it rightly, as codes.
    """

    image: Image.Image
    mode: str
    notes: tuple[str, ...]

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
    return apply_to_image(preprocess, decode(path, max_pixels=max_pixels).image)


def decode(path: Path | str, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Decoded:
    """Reads one image file. Of animations and multi-page files the first frame.

    Raises:
        ImageRejected: the file cannot be used; see the module's table of reasons.
    """
    path = Path(path)
    _check_file(path)
    try:
        with path.open("rb") as stream, quiet_pillow():
            return _decode_stream(stream, path.suffix.lower(), max_pixels)
    except PermissionError as error:
        raise ImageRejected("unreadable", f"no permission to read it ({error.strerror})") from error
    except MemoryError as error:
        raise ImageRejected("too_large", "its pixels do not fit into memory") from error
    except OSError as error:
        raise ImageRejected("unreadable", f"the system cannot read it ({error.strerror or error})") from error


def header_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as the header has them; nothing is decoded.

    Raises:
        ImageRejected: the file cannot be used; see the module's table of reasons.
    """
    _check_file(path)
    try:
        with path.open("rb") as stream, quiet_pillow():
            return _open(stream, path.suffix.lower()).size
    except OSError as error:
        raise ImageRejected("unreadable", f"the system cannot read it ({error.strerror or error})") from error


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
        raise ImageRejected("unreadable", "a folder with the name of an image")
    if not stat.S_ISREG(found.st_mode):
        raise ImageRejected("unreadable", "no regular file (a pipe, socket or device)")
    if found.st_size == 0:
        raise ImageRejected("empty", "the file has zero bytes")
    if path.suffix.lower() in RAW_SUFFIXES:
        raise ImageRejected("unsupported", "a camera's raw file; export it as TIFF, PNG or JPEG")


def _decode_stream(stream: BinaryIO, suffix: str, max_pixels: int) -> Decoded:
    image = _open(stream, suffix)
    width, height = image.size
    if width * height > max_pixels:
        found = f"{width} × {height} = {width * height / 1e6:.1f} megapixels by its header"
        raise ImageRejected("too_large", f"{found}; at most {max_pixels / 1e6:g} are allowed (max_megapixels)")
    mode, kind = image.mode, image.format
    try:
        # Pillow turns TIFF by itself while loading; asking before that is the only way to know.
        turned = kind == "TIFF" and _orientation(image) != 1
        image.load()
    except OPEN_ERRORS as error:
        raise _load_failure(error) from error
    notes: list[str] = []
    if kind != "MPO" and _has_more_frames(image):  # the second picture of an MPO is the camera's preview
        notes.append("first_frame")
    orientation = _orientation(image)
    try:
        flat = _to_gray_or_rgb(image, notes)
    except OPEN_ERRORS as error:
        raise ImageRejected("unsupported", f"pixels of mode {mode} cannot be converted to RGB ({error})") from error
    if orientation in _TRANSPOSE:
        flat = flat.transpose(_TRANSPOSE[orientation])
    if turned or orientation in _TRANSPOSE:
        notes.append("exif_rotated")
    return Decoded(flat, mode, tuple(notes))


def _open(stream: BinaryIO, suffix: str) -> Image.Image:
    """Reads the header."""
    try:
        return Image.open(stream, formats=_COMMON_FORMATS)
    except UnidentifiedImageError:
        Image.init()
    except OPEN_ERRORS as error:
        raise _load_failure(error) from error
    stream.seek(0)
    try:
        return Image.open(stream, formats=[name for name in _OTHER_FORMATS if name in Image.OPEN])
    except UnidentifiedImageError as error:
        raise _unidentified(stream, suffix) from error
    except OPEN_ERRORS as error:
        raise _load_failure(error) from error


def _load_failure(error: Exception) -> ImageRejected:
    message = str(error) or type(error).__name__
    cut_off = ("truncated", "premature", "not enough", "eof", "ended", "unexpected end")
    if isinstance(error, EOFError) or any(word in message.lower() for word in cut_off):
        return ImageRejected("truncated", f"the file ends before its pixels do ({message})")
    return ImageRejected("damaged", f"the pixel data cannot be decoded ({message})")


def _unidentified(stream: BinaryIO, suffix: str) -> ImageRejected:
    """Says what a file is that no decoder claims."""
    stream.seek(0)
    head = stream.read(1024)
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"):
        return ImageRejected("unsupported", "HEIC/HEIF; save it as JPEG or PNG (Pillow reads it only with a plugin)")
    if b"<svg" in head.lower() or suffix == ".svgz":
        return ImageRejected("unsupported", "SVG, a drawing without pixels; export it as PNG")
    if head.startswith(b"8BPS") or suffix in UNSUPPORTED_SUFFIXES:
        return ImageRejected("unsupported", f"a {suffix[1:].upper() or 'PSD'} file; export it as PNG, TIFF or JPEG")
    for signature, name in _SIGNATURES.items():
        if head.startswith(signature):
            if name == "TIFF" and _is_unknown_tiff(stream):
                return ImageRejected("unsupported", "a TIFF whose kind of pixels is not read; save it as 8 or 16 bit")
            return ImageRejected("truncated", f"starts like a {name} file, but its header is cut off or damaged")
    if b"\0" not in head:
        return ImageRejected("not_an_image", f"text: {head[:40].decode('utf-8', 'replace').strip()!r}")
    return ImageRejected("not_an_image", f"no known image format; starts with bytes {head[:8].hex(' ')}")


def _is_unknown_tiff(stream: BinaryIO) -> bool:
    """Whether the header is whole, but names pixels that Pillow doesn't know."""
    stream.seek(0)
    try:
        TiffImagePlugin.TiffImageFile(stream)
    except SyntaxError as error:
        return "unknown" in str(error)
    except OPEN_ERRORS:
        return False
    return False


def _has_more_frames(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except OPEN_ERRORS:  # a damaged second frame is no reason to refuse the first
        return True


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except OPEN_ERRORS:  # damaged EXIF: the pixels are still good
        return 1


def _to_gray_or_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """Any mode of Pillow to L or RGB; appends to ``notes`` what was done."""
    if image.mode.startswith("I") or image.mode == "F":
        gray, note = scale_to_uint8(image)
        notes.extend(note)
        return Image.fromarray(gray)
    if image.has_transparency_data:
        notes.append("alpha_composited")
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
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
