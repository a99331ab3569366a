"""Pads a batch of planes, and takes gradients back through the padding.

Shapes: N batch, C channels, H/W rows and columns before padding.
"""

import numpy as np
from numpy.typing import NDArray

from svertka.engine.arrays import Array
from svertka.engine.geometry import NO_PADS, PaddingMode, Pair
from svertka.errors import ShapeError

Pads = tuple[Pair, Pair]
_NUMPY_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(x_NCHW: Array, pads: Pads, mode: PaddingMode = "zeros", value: float = 0.0) -> Array:
    """Adds a border; the result keeps the memory layout. Without pads the array itself comes back.

    Raises:
        ShapeError: the plane is too small to be mirrored or wrapped so far.
    """
    if pads == NO_PADS:
        return x_NCHW
    if mode != "zeros":
        rows, columns = sources(x_NCHW.shape[2:], pads, mode)
        return x_NCHW[:, :, rows][:, :, :, columns]
    N, C, H, W = x_NCHW.shape
    (top, bottom), (left, right) = pads
    padded = np.empty_like(x_NCHW, shape=(N, C, H + top + bottom, W + left + right))
    fill_border(padded, pads, value)
    inside(padded, pads)[...] = x_NCHW
    return padded


def fill_border(padded_NCHW: Array, pads: Pads, value: float) -> None:
    """Writes ``value`` into the border alone: a third of the time of filling all."""
    (top, bottom), (left, right) = pads
    H, W = padded_NCHW.shape[2:]
    for border in (
        padded_NCHW[:, :, :top],
        padded_NCHW[:, :, H - bottom :],
        padded_NCHW[:, :, :, :left],
        padded_NCHW[:, :, :, W - right :],
    ):
        border[...] = value


def inside(padded_NCHW: Array, pads: Pads) -> Array:
    """The view without its border; also the gradient of padding with a constant."""
    (top, bottom), (left, right) = pads
    H, W = padded_NCHW.shape[2:]
    return padded_NCHW[:, :, top : H - bottom, left : W - right]


def crop(padded: Array, pads: Pads) -> Array:
    """The view without its border, for rows and columns on axes 1 and 2 ([N, H, W, C] or [C, H, W, N])."""
    (top, bottom), (left, right) = pads
    return padded[:, top : padded.shape[1] - bottom, left : padded.shape[2] - right]


def sources(size: tuple[int, ...], pads: Pads, mode: PaddingMode) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each row and each column of the padded plane, the one that it copies.

    Raises:
        ShapeError: the plane is too small to be mirrored or wrapped so far.
    """
    found = []
    for name, length, (before, after) in zip(("rows", "columns"), size, pads, strict=True):
        most = {"reflect": length - 1, "circular": length}.get(mode, max(before, after))
        if max(before, after) > most:
            raise ShapeError(
                f"padding is {before} and {after} on {length} {name}; padding_mode {mode!r} reaches at most {most}. "
                'Pad less, or use "zeros" or "replicate".'
            )
        found.append(np.pad(np.arange(length), (before, after), mode=_NUMPY_MODES[mode]))  # type: ignore[call-overload]
    return found[0], found[1]


def pad_gradient(dy_padded: Array, pads: Pads, mode: PaddingMode) -> Array:
    """Gradient of ``pad``: what reached a copied pixel is added to the pixel that it copies."""
    if mode == "zeros" or pads == NO_PADS:
        return inside(dy_padded, pads)
    (top, bottom), (left, right) = pads
    H, W = dy_padded.shape[2] - top - bottom, dy_padded.shape[3] - left - right
    rows, columns = sources((H, W), pads, mode)
    tall = dy_padded[:, :, top : top + H].copy(order="K")
    for position in (*range(top), *range(top + H, len(rows))):
        tall[:, :, rows[position]] += dy_padded[:, :, position]
    dx = tall[:, :, :, left : left + W].copy(order="K")
    for position in (*range(left), *range(left + W, len(columns))):
        dx[:, :, :, columns[position]] += tall[:, :, :, position]
    return dx
