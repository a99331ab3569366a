"""Reads samples deeper than 8 bits (16-bit, 32-bit, floating point) and scales them to 8 bits.

What becomes black and what white is a ``ValueRange``. A set of images decides one for each mode (see ``ranges``), a
bundle keeps it, and every image of that mode is scaled by it: scaled each by its own, a dark and a bright image would
look alike. Only where no range is known is an image scaled by what it says of itself, which is, in this order:

1. what it declares: tags MinSampleValue/MaxSampleValue (SMinSampleValue/SMaxSampleValue) and 12 bits a sample of a
   TIFF; the whole 16 bits of PPM and JPEG 2000, to which Pillow has brought their samples, and of colours;
2. for integers that declare nothing: 0..4095 if no sample is larger (cameras and scanners of 12 bits store that in
   16), else 0..65535;
3. for floats that declare nothing: 0..1 if all samples lie there, else 0..255, else 0..65535;
4. otherwise the image's own smallest and largest sample.
"""

import hashlib
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from svertka.schema import DeepMode, ValueRange, ValueSpan

# Baseline TIFF 6.0 tags, pages 29, 37, 41, 79 and 80 of the specification.
_BITS_TAG, _PHOTOMETRIC_TAG, _FORMAT_TAG = 258, 262, 339
_MIN_TAGS, _MAX_TAGS = (340, 280), (341, 281)
_WHITE_IS_ZERO, _UNSIGNED = 0, 1

COLOUR: DeepMode = "RGB;16"
"""Mode of colours of 16 bits a channel, which Pillow lacks: it keeps their upper 8 bits."""

NOTICED = ("clipped_to_range", "lost_in_range", "no_range", "not_finite_replaced", "reduced_to_8bit")
"""Notes that a person should know of."""

_WHOLE_16_BITS = (0.0, 65535.0)
_INTEGER_RANGES = ((4095.0, "scaled_12bit"), (65535.0, "scaled_16bit"))
_FLOAT_RANGES = ((1.0, "scaled_unit_float"), (255.0, "scaled_8bit_float"), (65535.0, "scaled_16bit_float"))
_BAND_PIXELS = 1 << 17


@dataclass(frozen=True, slots=True)
class Samples:
    """What an image of deep samples holds, seen the right way up.

    Attributes:
        values: uint16, int32, uint32 or float32, shape ``[H, W]`` or, of colours, ``[H, W, 3]``; all finite.
        span: their mode, extremes, and what the file declares.
        white_is_zero: the smallest value is white.
        all_finite: none was NaN or infinite; NaN and -inf have become the smallest finite value, inf the largest.
        alpha: opacity, uint8 ``[H, W]``, where there is one.
    """

    values: NDArray[Any]
    span: ValueSpan
    white_is_zero: bool = False
    all_finite: bool = True
    alpha: NDArray[np.uint8] | None = None

    def digest(self) -> str:
        """Hex digest of all that decides the pixels, whatever the range."""
        height, width = self.values.shape[:2]
        declared = "" if self.span.declared is None else "{} to {}".format(*self.span.declared)
        about = f"{self.span.mode} {self.values.dtype.kind} {width} × {height} {declared} {self.white_is_zero}"
        digest = hashlib.sha256(about.encode())
        order = self.values.dtype.newbyteorder("<")
        for part in (self.values.astype(order, copy=False), self.alpha):
            if part is not None:
                digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()[:32]

    def own_range(self) -> Image.Image:
        """Gray or colours from the smallest to the largest sample: structure to recognise an image by."""
        return self._scaled(self.span.low, self.span.high)

    @property
    def is_colour(self) -> bool:
        """Whether these are colours, which Pillow doesn't keep so deep."""
        return self.values.ndim == 3

    @property
    def notes(self) -> list[str]:
        """What was done to read it rightly."""
        return [
            *([] if self.all_finite else ["not_finite_replaced"]),
            *([] if self.alpha is None else ["alpha_composited"]),
        ]

    def by_range(self, ranges: Sequence[ValueRange]) -> tuple[Image.Image, list[str]]:
        """The image of mode L or RGB, scaled by the range of its mode, or else by its own; with notes on how."""
        known = range_of(self.span, ranges)
        if known is not None:
            return self._scaled(known.low, known.high), doubts(self.span, known)
        low, high, how = _guess(self.span)
        return self._scaled(low, high), [how, *doubts(self.span, known)]

    def _scaled(self, low: float, high: float) -> Image.Image:
        scaled = _to_image(self.values, low, high, self.white_is_zero)
        if self.alpha is None:
            return scaled
        white = Image.new(scaled.mode, scaled.size, "white")
        return Image.composite(scaled, white, Image.fromarray(self.alpha))


def range_of(span: ValueSpan, ranges: Sequence[ValueRange]) -> ValueRange | None:
    """The range for an image, if there is one for its mode."""
    return next((known for known in ranges if known.mode == span.mode), None)


def doubts(span: ValueSpan, known: ValueRange | None) -> list[str]:
    """What is wrong with scaling an image by a range: samples outside are cut off, or all become (nearly) one gray."""
    if known is None:
        return ["no_range"]
    found = [] if known.window or (known.low <= span.low and span.high <= known.high) else ["clipped_to_range"]
    darkest, brightest = (min(max(value, known.low), known.high) for value in (span.low, span.high))
    if span.low < span.high and 255 * (brightest - darkest) < 2 * (known.high - known.low):
        found.append("lost_in_range")
    return found


def is_deep(image: Image.Image) -> bool:
    """Whether Pillow keeps an image's samples in more than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def lower_bytes(image: Image.Image) -> list[Any]:
    """The tiles of an opened image of 16-bit colours so that its lower bytes are read; [] for any other image.

    Pillow has no mode for such colours: ``RGB;16B`` keeps the first byte of two, ``RGB;16L`` the second.
    """
    other = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
    swapped = []
    for tile in getattr(image, "tile", []):
        raw, *rest = tile.args if isinstance(tile.args, tuple) and tile.args else (tile.args,)
        colours, _, order = str(raw).partition(";16")
        if colours not in ("RGB", "RGBA", "RGBX") or order not in other:
            return []
        turned = f"{colours};16{other[order]}"
        swapped.append(tile._replace(args=(turned, *rest) if isinstance(tile.args, tuple) else turned))
    return swapped


def is_reduced(image: Image.Image) -> bool:
    """Whether Pillow will keep the upper 8 bits of 16 only, of an opened image."""
    tiles = [tile.args for tile in getattr(image, "tile", [])]
    raw = [args[0] if isinstance(args, tuple) and args else args for args in tiles]
    return any(isinstance(name, str) and ";16" in name and not name.startswith("I") for name in raw)


def read_gray(image: Image.Image, turn: Image.Transpose | None) -> Samples:
    """The samples of a loaded image of mode I, I;16… or F.

    Raises:
        ValueError: it holds no finite sample.
    """
    tags = _tags(image)
    values = _as_array(image if turn is None else image.transpose(turn))
    if image.mode == "I" and values.dtype == np.int32 and _is_unsigned(tags):
        values = values.view(np.uint32)
    low, high = float(values.min()), float(values.max())  # NaN is passed on
    all_finite = math.isfinite(low) and math.isfinite(high)
    if not all_finite:
        finite = np.isfinite(values)
        if not finite.any():
            raise ValueError("no sample is a finite number")
        low, high = (
            float(find(values, where=finite, initial=end)) for find, end in ((np.min, np.inf), (np.max, -np.inf))
        )
        np.nan_to_num(values, copy=False, nan=low, neginf=low, posinf=high)
    mode: DeepMode = "I;16" if image.mode.startswith("I;16") else "F" if image.mode == "F" else "I"
    span = ValueSpan(mode=mode, low=low, high=high, declared=_declared(image, tags, low, high))
    inverted = _number(tags.get(_PHOTOMETRIC_TAG)) == _WHITE_IS_ZERO
    return Samples(values, span, inverted, all_finite, _opacity(values, image.info.get("transparency")))


def read_colours(upper: Image.Image, lower: Image.Image, turn: Image.Transpose | None) -> Samples:
    """The samples of 16-bit colours, given their upper and their lower bytes."""
    upper, lower = (part if turn is None else part.transpose(turn) for part in (upper, lower))
    values = np.empty((upper.height, upper.width, 3), np.uint16)
    for rows in bands(upper.height, upper.width):
        box = (0, rows.start, upper.width, rows.stop)
        values[rows] = np.asarray(upper.crop(box))[:, :, :3]
        values[rows] <<= 8
        values[rows] |= np.asarray(lower.crop(box))[:, :, :3]
    span = ValueSpan(mode=COLOUR, low=float(values.min()), high=float(values.max()))
    if upper.mode == "RGBA":
        return Samples(values, span, alpha=np.asarray(upper.getchannel("A")))
    return Samples(values, span, alpha=_opacity(values, upper.info.get("transparency")))


def _opacity(values: NDArray[Any], transparent: object) -> NDArray[np.uint8] | None:
    """Opacity where a PNG names one gray or colour that is transparent; None where it names none."""
    if not isinstance(transparent, int | tuple):
        return None
    same = values == np.array(transparent)
    return np.where(same if same.ndim == 2 else same.all(axis=2), 0, 255).astype(np.uint8)


def _to_image(values: NDArray[Any], low: float, high: float, white_is_zero: bool) -> Image.Image:
    """Scales low..high to 0..255, a band of rows at a time: whole copies in float64 would take 8 bytes a sample."""
    height, width = values.shape[:2]
    scaled = Image.new("RGB" if values.ndim == 3 else "L", (width, height))
    table = None
    if values.dtype == np.uint16:  # every value that there can be, once
        table = _band_to_uint8(np.arange(1 << 16), low, high, white_is_zero)
    for rows in bands(height, width):
        band = values[rows]
        gray = _band_to_uint8(band, low, high, white_is_zero) if table is None else table[band]
        scaled.paste(Image.fromarray(gray), (0, rows.start))
    return scaled


def _as_array(image: Image.Image) -> NDArray[Any]:
    """All samples of an image, a band of rows at a time: Pillow's own way takes three copies."""
    first = np.asarray(image.crop((0, 0, image.width, 1)))
    values = np.empty((image.height, *first.shape[1:]), first.dtype.newbyteorder("="))
    for rows in bands(image.height, image.width):
        values[rows] = np.asarray(image.crop((0, rows.start, image.width, rows.stop)))
    return values


def bands(height: int, width: int, pixels: int = _BAND_PIXELS) -> Iterator[slice]:
    """Some rows at a time: whole copies of large images would take too much time and memory."""
    rows = max(1, pixels // max(1, width))
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def _band_to_uint8(values: NDArray[Any], low: float, high: float, white_is_zero: bool) -> NDArray[np.uint8]:
    unit = (values.astype(np.float64) - low) / (high - low if high > low else 1.0)
    if white_is_zero:
        unit = 1.0 - unit
    scaled: NDArray[np.uint8] = np.rint(255 * unit.clip(0, 1)).astype(np.uint8)
    return scaled


def _guess(span: ValueSpan) -> tuple[float, float, str]:
    """What becomes black, what becomes white, and the note that tells the rule, by what one image says of itself."""
    if span.declared is not None:
        return *span.declared, "scaled_declared"
    if span.mode == COLOUR:
        return *_WHOLE_16_BITS, "scaled_16bit"
    if span.low >= 0:
        for high, how in _FLOAT_RANGES if span.mode == "F" else _INTEGER_RANGES:
            if span.high <= high:
                return 0.0, high, how
    return span.low, span.high, "scaled_by_own_range"


def _declared(
    image: Image.Image, tags: dict[int, object], smallest: float, largest: float
) -> tuple[float, float] | None:
    """What the file says is black and white, unless its own samples leave that."""
    if (
        image.format in ("PPM", "JPEG2000") and image.mode != "F"
    ):  # Pillow has brought them to 16 bits from what their header states
        return _WHOLE_16_BITS
    low, high = _first(tags, _MIN_TAGS, 0.0), _first(tags, _MAX_TAGS, None)
    if low is None or high is None or not low < high:
        low, high = 0.0, 4095.0 if _number(tags.get(_BITS_TAG)) == 12 else None
    return (low, high) if high is not None and low <= smallest and largest <= high else None


def _is_unsigned(tags: dict[int, object]) -> bool:
    """A TIFF of unsigned 32-bit integers, which Pillow keeps as signed ones."""
    return _number(tags.get(_BITS_TAG)) == 32 and _number(tags.get(_FORMAT_TAG, _UNSIGNED)) == _UNSIGNED


def _tags(image: Image.Image) -> dict[int, object]:
    return dict(getattr(image, "tag_v2", {}))


def _first(tags: dict[int, object], names: tuple[int, ...], default: float | None) -> float | None:
    return next((value for name in names if (value := _number(tags.get(name))) is not None), default)


def _number(value: object) -> float | None:
    """A tag's first value."""
    if isinstance(value, tuple | list):
        value = value[0] if value else None
    try:
        number = float(value)  # type: ignore[arg-type]  # a number or TIFF rational, if the file keeps to the rules
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) else None
