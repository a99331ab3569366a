"""Fingerprints of an image: an exact pixel hash, two perceptual hashes, and a low-frequency sketch.

A 64-bit difference hash alone takes look-alikes for duplicates: on 2,624 solar cells, which all share busbars and
frame, it calls 2,184 pairs near (3 bits) and chains 141 images into one. The detail hash looks at what the shared
layout leaves: signs of the mixed second difference, in which whole rows and whole columns cancel. Among those pairs
its distances fall into two clusters, with the valley at 32 of 256 bits: below are photographs of the same cell (211
pairs), above are other cells. JPEG at quality 75, halved size and 20 % more contrast stay below it.

The sketch is for what hashes cannot tell: flips, turns, crops, borders, noise (see ``altered``). It holds low
frequencies of the cosine transform, without those that are constant along rows or columns, for the same reason.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from svertka.data.samples import Samples, bands

_DETAIL_CELLS = 16
_OVERSAMPLING = 4
_BAND_PIXELS = 65_536

SKETCH_SIDE = 64
"""Cells a side of the picture that a sketch is made of."""

SKETCH_WAVES = 24
"""Half-waves along each side that a sketch knows: 1 to so many."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """``pixels``: hex; ``perceptual``: 64 bits; ``detail``: 256 bits; ``sketch``: base64, see ``read_sketches``."""

    pixels: str
    perceptual: int
    detail: int
    sketch: str


def fingerprint(image: Image.Image, samples: Samples | None = None) -> Fingerprint:
    """Digests of a decoded image of mode L or RGB. Cost: about a third of decoding a photograph.

    Deep samples are digested as they are stored and recognised by their own range: what a set decides to be black and
    white, once all its images are known, doesn't change what an image is.
    """
    small = _small_gray(image if samples is None else samples.own_range())
    return Fingerprint(pixel_hash(image, samples), _perceptual_hash(small), _detail_hash(small), _sketch(small))


def pixel_hash(image: Image.Image, samples: Samples | None = None) -> str:
    """Hex digest of the size and the RGB pixels (or deep samples); gray stored as RGB equals gray stored as L.

    SHA-256 because processors compute it in hardware: twice the rate of BLAKE2b on 3-megapixel photographs.
    """
    if samples is not None:
        return samples.digest()
    if image.mode == "RGB" and _is_gray(image):
        image = image.getchannel(0)
    digest = hashlib.sha256(f"{image.mode} {image.width} × {image.height}".encode())
    for band in _bands(image):
        digest.update(band.tobytes())
    return digest.hexdigest()[:32]


def _bands(image: Image.Image) -> Iterator[Image.Image]:
    rows = bands(image.height, image.width, _BAND_PIXELS)
    return (image.crop((0, band.start, image.width, band.stop)) for band in rows)


def _is_gray(image: Image.Image) -> bool:
    sample = np.asarray(image.resize((64, 64), Image.Resampling.NEAREST))
    if (sample != sample[:, :, :1]).any():  # colour shows in a few pixels; only gray pays for the whole
        return False
    for rows in _bands(image):
        red, green, blue = (channel.tobytes() for channel in rows.split())
        if not red == green == blue:
            return False
    return True


def _small_gray(image: Image.Image) -> Image.Image:
    """At least about 128 px a side, box-averaged: both hashes only look at coarse cells."""
    factor = min(image.size) // 128
    return (image.reduce(factor) if factor > 1 else image).convert("L")


def _perceptual_hash(gray: Image.Image) -> int:
    """Difference hash: in 8 rows of 9 cells, is each cell brighter than its left neighbour?"""
    cells = np.asarray(gray.resize((9, 8), Image.Resampling.BOX))
    return _pack(cells[:, 1:] > cells[:, :-1])


def _detail_hash(gray: Image.Image) -> int:
    side = _OVERSAMPLING * (_DETAIL_CELLS + 1)
    fine = np.asarray(gray.resize((side, side), Image.Resampling.BOX), dtype=np.int32)
    cells = fine.reshape(_DETAIL_CELLS + 1, _OVERSAMPLING, _DETAIL_CELLS + 1, _OVERSAMPLING).sum((1, 3))
    return _pack(cells[1:, 1:] + cells[:-1, :-1] - cells[1:, :-1] - cells[:-1, 1:] > 0)


def cosines(count: int, start: float = 0.0, stop: float = 1.0) -> NDArray[np.float32]:
    """Half-waves 1 to ``count`` over the part from ``start`` to ``stop`` of a side, [count, SKETCH_SIDE].

    Each sums to 0, has length 1, and is 0 outside of its part.
    """
    place = ((np.arange(SKETCH_SIDE) + 0.5) / SKETCH_SIDE - start) / (stop - start)
    inside = (place > 0) & (place < 1)
    waves = np.cos(np.pi * np.arange(1, count + 1)[:, None] * place) * inside
    waves -= waves.sum(1, keepdims=True) / inside.sum() * inside
    unit: NDArray[np.float32] = (waves / np.linalg.norm(waves, axis=1, keepdims=True)).astype(np.float32)
    return unit


def read_sketches(sketches: Sequence[str]) -> NDArray[np.float32]:
    """Coefficients [N, SKETCH_WAVES (down), SKETCH_WAVES (across)] of images.

    Their unit is the gray level: the length of an image's coefficients is the spread of what they hold of it.
    """
    numbers = np.frombuffer(b"".join(map(base64.b64decode, sketches)), "<f2")
    return numbers.reshape(-1, SKETCH_WAVES, SKETCH_WAVES).astype(np.float32)


def _sketch(gray: Image.Image) -> str:
    """1,152 bytes: half precision is enough. Pillow's box filter isn't symmetric, so flips would shift; this one is."""
    cells = np.asarray(gray.convert("F").resize((SKETCH_SIDE, SKETCH_SIDE), Image.Resampling.BILINEAR))
    waves = cosines(SKETCH_WAVES)
    return base64.b64encode((waves @ cells @ waves.T / SKETCH_SIDE).astype("<f2").tobytes()).decode()


def _pack(bits: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
