"""Sums over whole planes and batches that stay exact in float32.

NumPy adds up pairwise along contiguous memory alone; elsewhere it goes on adding to one number, which at a million
pixels a channel costs the variance four digits. So short sums are taken in float32, along runs that are quick in the
memory layout at hand, and these are added in float64. Results are float64; the caller brings them back.

Shapes: N batch, C channels, H/W rows and columns.
"""

import numpy as np
from numpy.typing import NDArray

from svertka.engine.arrays import Array

F64 = NDArray[np.float64]
_SMALL_PLANE = 64


def channel_sums(x_NCHW: Array) -> F64:
    """The sum of each channel over batch, rows and columns, [C]."""
    # Otherwise rows are added onto each other first: channels and columns are long runs.
    return _over_the_rest(x_NCHW.sum(axis=(2, 3) if _in_one_go(x_NCHW) else 2))


def channel_products(a_NCHW: Array, b_NCHW: Array) -> F64:
    """The sum of ``a · b`` for each channel, [C]."""
    return _over_the_rest(np.einsum(f"nchw,nchw->{'nc' if _in_one_go(a_NCHW) else 'ncw'}", a_NCHW, b_NCHW))


def _in_one_go(x_NCHW: Array) -> bool:
    """Whether planes are contiguous, or so small that their sums are exact enough (channels are the long runs then)."""
    _, C, _, W = x_NCHW.strides
    small = C == x_NCHW.itemsize and x_NCHW.shape[2] * x_NCHW.shape[3] <= _SMALL_PLANE
    return bool(W == x_NCHW.itemsize or small)


def _over_the_rest(sums: Array) -> F64:
    """Sums [N, C] or [N, C, W] to [C], in float64."""
    wide: F64 = sums.astype(np.float64, copy=False)
    if wide.ndim == 3:
        wide = wide.sum(axis=2)
    channels: F64 = wide.sum(axis=0)
    return channels
