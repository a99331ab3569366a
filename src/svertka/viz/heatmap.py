"""Heat maps: colours over an image, a colour bar, feature maps as small pictures. Pillow and NumPy only."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
Plane = NDArray[np.floating]

# Ten points of viridis (Smith and van der Walt 2015, CC0), perceptually uniform; between them colours are interpolated.
_VIRIDIS = np.array(
    [
        (68, 1, 84), (72, 40, 120), (62, 74, 137), (49, 104, 142), (38, 130, 142),
        (31, 158, 137), (53, 183, 121), (110, 206, 88), (181, 222, 43), (253, 231, 37),
    ],
    np.float64,
)  # fmt: skip
_NEGATIVE, _ZERO, _POSITIVE = np.array([[18, 82, 160], [248, 248, 246], [176, 38, 28]], np.float64)
_QUALITY = 80  # of JPEGs inside a page: 84 thumbnails of pure noise, the worst case, stay under 1.3 MB
_STRENGTH = 0.75  # of the colour over the image, at the top of the scale
_BAR_PX, _GAP_PX, _LABEL_PX = 14, 8, 44


def viridis(share: Plane) -> Pixels:
    """Colours [..., 3] of numbers from 0 to 1."""
    at = np.clip(np.nan_to_num(share), 0, 1) * (len(_VIRIDIS) - 1)
    points = np.arange(len(_VIRIDIS))
    colours = np.stack([np.interp(at, points, _VIRIDIS[:, channel]) for channel in range(3)], axis=-1)
    found: Pixels = np.rint(colours).astype(np.uint8)
    return found


def diverging(plane_HW: NDArray[Any]) -> Pixels:
    """Blue below zero, white at zero, red above; full colour for the strongest fiftieth."""
    plane = np.nan_to_num(np.asarray(plane_HW, np.float64))
    size = np.abs(plane)
    limit = float(np.quantile(size, 0.98)) or float(size.max()) or 1.0
    share = (plane / limit).clip(-1, 1)[..., None]
    colour = np.where(share < 0, _ZERO + (_NEGATIVE - _ZERO) * -share, _ZERO + (_POSITIVE - _ZERO) * share)
    rgb: Pixels = np.rint(colour).astype(np.uint8)
    return rgb


def gray(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Brightness of an image, [H, W] (weights of ITU-R BT.601)."""
    if pixels.ndim == 2:
        return pixels.astype(np.float32)
    brightness: NDArray[np.float32] = (pixels @ np.array([0.299, 0.587, 0.114])).astype(np.float32)
    return brightness


def smooth(plane: Plane, side_px: int) -> NDArray[np.float64]:
    """A map at the size of the image, without steps."""
    picture = Image.fromarray(np.asarray(plane, np.float32))
    return np.asarray(picture.resize((side_px, side_px), Image.Resampling.BICUBIC), np.float64)


def overlay(image_SSC: Pixels, plane: Plane, top: float) -> Image.Image:
    """The image in gray, and over it in colour what lies above 0; colourless places are 0 or below.

    Args:
        image_SSC: prepared.
        plane: the map, at any resolution.
        top: value of the brightest colour.
    """
    side = image_SSC.shape[0]
    share = np.clip(smooth(plane, side) / max(top, 1e-12), 0, 1)
    weight = (_STRENGTH * np.minimum(1, 3 * share))[..., None]
    mixed = gray(image_SSC)[..., None] * (1 - weight) + viridis(share) * weight
    return Image.fromarray(np.rint(mixed).astype(np.uint8))


def with_bar(picture: Image.Image, top: str) -> Image.Image:
    """A picture with its colour bar to the right: 0 at the bottom, ``top`` at the top. For a file that stands alone."""
    width, height = picture.size
    paper = Image.new("RGB", (width + _GAP_PX + _BAR_PX + _LABEL_PX, height), (255, 255, 255))
    paper.paste(picture, (0, 0))
    steps = viridis(np.linspace(1, 0, height))[:, None].repeat(_BAR_PX, axis=1)
    paper.paste(Image.fromarray(steps), (width + _GAP_PX, 0))
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(max(11, height // 30))
    left = width + _GAP_PX + _BAR_PX + 4
    pen.text((left, 1), top, (24, 28, 36), font)
    pen.text((left, height - 1), "0", (24, 28, 36), font, anchor="ls")
    return paper


def feature_tile(plane: Plane) -> Pixels:
    """One channel's map: from its lowest number (dark) to its highest (bright)."""
    low, high = float(plane.min()), float(plane.max())
    return viridis((plane - low) / max(high - low, 1e-12))


def filter_tile(kernel_CKL: Plane) -> Pixels:
    """One filter over three colours: gray is 0, the strongest weight of the filter is full colour."""
    size = float(np.abs(kernel_CKL).max()) or 1.0
    found: Pixels = np.rint(127.5 + 127.5 * kernel_CKL / size).astype(np.uint8).transpose(1, 2, 0)
    return found


def tile_sheet(tiles: list[Pixels], columns: int, side_px: int) -> Image.Image:
    """Tiles of one size in rows, with hard edges, a line apart."""
    rows = -(-len(tiles) // columns)
    step = side_px + 4
    paper = Image.new("RGB", (columns * step - 4, rows * step - 4), (255, 255, 255))
    for number, tile in enumerate(tiles):
        picture = Image.fromarray(np.ascontiguousarray(tile)).resize((side_px, side_px), Image.Resampling.NEAREST)
        paper.paste(picture, (number % columns * step, number // columns * step))
    return paper


def bar_style() -> str:
    """The colour bar as a CSS gradient, so that it is the page's own drawing and stays sharp."""
    stops = ",".join(f"rgb({r:.0f} {g:.0f} {b:.0f})" for r, g, b in _VIRIDIS)
    return f"linear-gradient(90deg,{stops})"


def data_address(picture: Image.Image, kind: str = "JPEG") -> str:
    """A picture as a ``data:`` address."""
    buffer = io.BytesIO()
    if kind == "JPEG":
        picture.save(buffer, "JPEG", quality=_QUALITY)
    else:
        picture.save(buffer, kind, optimize=True)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
