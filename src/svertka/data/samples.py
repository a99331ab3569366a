"""Deep samples (16-bit, 32-bit, floating point) to 8 bits by the range that the file declares, never clipped.

The range is, in this order:

1. what a TIFF declares (tags MinSampleValue/MaxSampleValue, SMinSampleValue/SMaxSampleValue);
2. for integers that declare nothing: 0..4095 if no sample is larger (cameras and scanners of 12 bits store that in
   16; read as 16 bits they would keep 16 levels of 256), else 0..65535. All images of a 12-bit camera are scaled
   alike, however dark; a 16-bit image that is darker than a sixteenth of white is the price, and its note tells;
3. for floats that declare nothing: 0..1 if all samples lie there, else 0..255, else 0..65535;
4. otherwise the image's own minimum and maximum.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Baseline TIFF 6.0 tags, pages 41 and 79 of the specification.
_MIN_TAGS, _MAX_TAGS = (340, 280), (341, 281)
_PHOTOMETRIC_TAG, _WHITE_IS_ZERO = 262, 0

_INTEGER_RANGES = ((4095.0, "scaled_12bit"), (65535.0, "scaled_16bit"))
_FLOAT_RANGES = ((1.0, "scaled_unit_float"), (255.0, "scaled_8bit_float"), (65535.0, "scaled_16bit_float"))


def scale_to_uint8(image: Image.Image) -> tuple[NDArray[np.uint8], list[str]]:
    """Brings a one-channel image of mode I, I;16… or F to uint8, shape ``[H, W]``, with notes on how.

    Raises:
        ValueError: it holds no finite sample.
    """
    samples: NDArray[np.float64] = np.asarray(image).astype(np.float64)
    notes: list[str] = []
    finite = np.isfinite(samples)
    if not finite.all():
        if not finite.any():
            raise ValueError("no sample is a finite number")
        samples = np.where(finite, samples, samples[finite].min())
        notes.append("not_finite_replaced")
    low, high, how = _sample_range(image, float(samples.min()), float(samples.max()))
    notes.append(how)
    unit = (samples - low) / (high - low if high > low else 1.0)
    if _tags(image).get(_PHOTOMETRIC_TAG) == _WHITE_IS_ZERO:
        unit = 1.0 - unit
    return np.rint(255 * unit.clip(0, 1)).astype(np.uint8), notes


def _sample_range(image: Image.Image, smallest: float, largest: float) -> tuple[float, float, str]:
    """Returns what becomes black, what becomes white, and the note that tells the rule."""
    tags = _tags(image)
    low, high = _first(tags, _MIN_TAGS, 0.0), _first(tags, _MAX_TAGS, None)
    # A range that its own samples leave is no range: scaling by it would clip.
    if low is not None and high is not None and low < high and low <= smallest and largest <= high:
        return low, high, "scaled_declared"
    if image.format == "PPM":  # Pillow has brought it from the header's maximum to 16 bits
        return 0.0, 65535.0, "scaled_16bit"
    if smallest >= 0:
        for high, how in _FLOAT_RANGES if image.mode == "F" else _INTEGER_RANGES:
            if largest <= high:
                return 0.0, high, how
    return smallest, largest, "scaled_by_own_range"


def _tags(image: Image.Image) -> dict[int, object]:
    return dict(getattr(image, "tag_v2", {}))


def _first(tags: dict[int, object], names: tuple[int, ...], default: float | None) -> float | None:
    for name in names:
        value = tags.get(name)
        if isinstance(value, tuple | list) and value:
            value = value[0]
        if value is not None:
            return float(value)  # type: ignore[arg-type]  # a number or TIFF rational, by the tag's definition
    return default
