"""Preprocessing: an image becomes a square of uint8 pixels. The one implementation of ``Preprocess``.

Loader, feature cache, bundle and server all come through here, so training and prediction see the same pixels.
The filters are Pillow's, with antialiasing. torchvision's uint8 kernels are faster, but round their weights to 16
bits and so differ by 1 or 2 of 255 in about one pixel of a thousand; two implementations would be two models.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from svertka.schema import Preprocess

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def apply(preprocess: Preprocess, rgb_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Brings an RGB image to ``[S, S, 3]`` pixels, S being ``preprocess.size_px``.

    Args:
        preprocess: what to do.
        rgb_HWC: uint8, shape ``[H, W, 3]``.
    """
    return apply_to_image(preprocess, Image.fromarray(rgb_HWC))


def apply_to_image(preprocess: Preprocess, image: Image.Image) -> NDArray[np.uint8]:
    """The same for a Pillow image of mode L or RGB.

    A grayscale image stays in one channel until the very end: the pixels are the same as through RGB, at a third
    of the work.
    """
    square = np.asarray(_SHAPERS[preprocess.resize](preprocess, image))
    return gray_to_rgb(square) if square.ndim == 2 else square


def gray_to_rgb(gray_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Three equal channels, shape ``[H, W, 3]``. Half the time of ``np.repeat``."""
    rgb_HWC = np.empty((*gray_HW.shape, 3), np.uint8)
    for channel in range(3):
        rgb_HWC[:, :, channel] = gray_HW
    return rgb_HWC


def _squash(preprocess: Preprocess, image: Image.Image) -> Image.Image:
    side = preprocess.size_px
    return image.resize((side, side), _FILTERS[preprocess.interpolation])


def _crop(preprocess: Preprocess, image: Image.Image) -> Image.Image:
    # Resampling straight from the centre square never builds the scaled whole, so a 10,000 × 10 strip is cheap.
    side, shorter = preprocess.size_px, min(image.size)
    if preprocess.crop_pct == 1:
        left, top = (image.width - shorter) / 2, (image.height - shorter) / 2
        box = (left, top, left + shorter, top + shorter)
    else:
        (left, right), (top, bottom) = (
            _central_part(length, shorter, math.floor(side / preprocess.crop_pct), side) for length in image.size
        )
        box = (left, top, right, bottom)
    return image.resize((side, side), _FILTERS[preprocess.interpolation], box=box)


def _central_part(length: int, shorter: int, scaled_shorter: int, side: int) -> tuple[float, float]:
    """Where the centre of one side begins and ends in the image: whole pixels of the scaled image, rounded as in timm.

    Args:
        length: of this side, in pixels.
        shorter: the image's shorter side.
        scaled_shorter: what that is scaled to.
        side: what is cut out of the scaled image.
    """
    scaled = int(scaled_shorter * length / shorter)
    start = round((scaled - side) / 2)
    return start * length / scaled, min(length, (start + side) * length / scaled)


def _pad(preprocess: Preprocess, image: Image.Image) -> Image.Image:
    side, longer = preprocess.size_px, max(image.size)
    width, height = (max(1, round(length * side / longer)) for length in image.size)
    fill = tuple(round(255 * mean) for mean in preprocess.mean)
    if image.mode == "L" and len(set(fill)) == 1:
        canvas = Image.new("L", (side, side), fill[0])
    else:
        canvas = Image.new("RGB", (side, side), fill)
    scaled = image.resize((width, height), _FILTERS[preprocess.interpolation])
    canvas.paste(scaled, ((side - width) // 2, (side - height) // 2))
    return canvas


_SHAPERS = {"squash": _squash, "crop": _crop, "pad": _pad}
