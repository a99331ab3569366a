"""Random changes of training images.

Shapes: N batch, C channels, H/W rows and columns.
"""

from collections.abc import Callable

import numpy as np

from svertka.engine.arrays import Array


def random_affine(
    degrees: float = 10.0, scale: float = 0.1, shift_px: float = 2.0
) -> Callable[[Array, np.random.Generator], Array]:
    """Turns, scales and moves each image at random, with bilinear interpolation; the border repeats outwards.

    Each way at most ``degrees``, ``scale`` (a share; rows and columns change independently) and ``shift_px``. Returns a
    function of images [N, C, H, W] and a generator.
    """

    def change(x_NCHW: Array, rng: np.random.Generator) -> Array:
        N, _, H, W = x_NCHW.shape
        angle = np.deg2rad(rng.uniform(-degrees, degrees, N))
        zoom_down, zoom_across = rng.uniform(1 - scale, 1 + scale, (2, N))
        down, across = rng.uniform(-shift_px, shift_px, (2, N))
        row, column = np.mgrid[:H, :W].astype(np.float32)
        row, column = row - (H - 1) / 2, column - (W - 1) / 2
        cosine, sine = (f(angle)[:, None, None].astype(np.float32) for f in (np.cos, np.sin))
        source_row = (cosine * row - sine * column) * _each(zoom_down) + _each(down + (H - 1) / 2)
        source_column = (sine * row + cosine * column) * _each(zoom_across) + _each(across + (W - 1) / 2)
        return _bilinear(x_NCHW, source_row, source_column)

    return change


def _each(value_N: Array) -> Array:
    return value_N[:, None, None].astype(np.float32)


def _bilinear(x_NCHW: Array, row_NHW: Array, column_NHW: Array) -> Array:
    """Reads images at fractional positions; beyond the border, the border."""
    N, C, H, W = x_NCHW.shape
    row, column = row_NHW.clip(0, H - 1), column_NHW.clip(0, W - 1)
    top, left = np.minimum(row.astype(np.intp), H - 2), np.minimum(column.astype(np.intp), W - 2)
    below, right = (row - top).astype(x_NCHW.dtype), (column - left).astype(x_NCHW.dtype)
    flat = x_NCHW.reshape(N, C, H * W)
    corner = (top * W + left).reshape(N, 1, -1)

    def at(offset: int) -> Array:
        return np.take_along_axis(flat, corner + offset, axis=2).reshape(x_NCHW.shape)

    below, right = below[:, None], right[:, None]
    upper = at(0) * (1 - right) + at(1) * right
    lower = at(W) * (1 - right) + at(W + 1) * right
    moved: Array = upper * (1 - below) + lower * below
    return moved
