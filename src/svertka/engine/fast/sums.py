"""Sums over whole planes and batches that stay exact in float32.

NumPy adds up pairwise along contiguous memory alone; elsewhere it goes on adding to one number, which at a million
pixels a channel costs the variance four digits. So short sums are taken in float32, along runs that are quick in the
memory layout at hand, and these are added in float64. Results are float64; the caller brings them back.

Shapes: N batch, C channels, H/W rows and columns.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from svertka.engine.arrays import Array

F64 = NDArray[np.float64]
_SMALL_PLANE = 64


def plane_sums(x_NCHW: Array) -> F64:
    """The sum of each plane, [N, C]."""
    if _in_one_go(x_NCHW):
        return _widened(x_NCHW.sum(axis=(2, 3)))
    sums: F64 = _widened(x_NCHW.sum(axis=2)).sum(axis=2)  # rows onto each other: channels and columns are long runs
    return sums


def channel_sums(x_NCHW: Array) -> F64:
    """The sum of each channel over batch, rows and columns, [C]."""
    return _over_batch(plane_sums(x_NCHW))


def channel_products(a_NCHW: Array, b_NCHW: Array) -> F64:
    """The sum of ``a · b`` for each channel, [C]."""
    if _in_one_go(a_NCHW):
        return _over_batch(_widened(np.einsum("nchw,nchw->nc", a_NCHW, b_NCHW)))
    return _over_batch(_widened(np.einsum("nchw,nchw->ncw", a_NCHW, b_NCHW)).sum(axis=2))


def _in_one_go(x_NCHW: Array) -> bool:
    """Whether planes are contiguous, or so small that their sums are exact enough (channels are the long runs then)."""
    _, C, _, W = x_NCHW.strides
    small = C == x_NCHW.itemsize and x_NCHW.shape[2] * x_NCHW.shape[3] <= _SMALL_PLANE
    return bool(W == x_NCHW.itemsize or small)


def _widened(x: NDArray[Any]) -> F64:
    wide: F64 = x.astype(np.float64, copy=False)
    return wide


def _over_batch(sums_NC: F64) -> F64:
    sums: F64 = sums_NC.sum(axis=0)
    return sums
