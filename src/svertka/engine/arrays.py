"""Checks of input arrays: native float32 or float64 of the expected rank, or a ShapeError."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from svertka.errors import ShapeError

Array = NDArray[Any]
"""float32 or float64, in native byte order."""


class Gradients(NamedTuple):
    """Gradients of an operation: of its input (None where it wasn't asked for), its weights and its bias."""

    x: Array | None
    w: Array
    b: Array


_READY = ({np.dtype(np.float32)}, {np.dtype(np.float64)})


def floats(**arrays: tuple[ArrayLike, int]) -> tuple[Array, ...]:
    """Brings named arrays to one floating type.

    NumPy's promotion decides: float32 stays, uint8 and float16 become float32, int64 and float64 give float64 for all.
    Views, read-only and big-endian arrays are fine; a copy is made only where the type changes.

    Args:
        **arrays: name to (array, number of axes).

    Raises:
        ShapeError: an array isn't real, has another number of axes, or has an empty axis other than the first.
    """
    dtypes = {value.dtype if type(value) is np.ndarray else None for value, _ in arrays.values()}
    if dtypes in _READY and all(x.ndim == axes and 0 not in x.shape[1:] for x, axes in arrays.values()):  # type: ignore[union-attr]
        return tuple(value for value, _ in arrays.values())  # type: ignore[misc]
    found = {name: np.asarray(value) for name, (value, _) in arrays.items()}
    for name, array in found.items():
        axes = arrays[name][1]
        if array.dtype.kind not in "fiub":
            raise ShapeError(f"{name} holds {array.dtype}; expected real numbers. Convert it first.")
        if array.ndim != axes:
            raise ShapeError(f"{name} has shape {list(array.shape)}; expected {axes} axes. Reshape it first.")
        if 0 in array.shape[1:]:
            raise ShapeError(f"{name} has shape {list(array.shape)}; expected no empty axis but the first, the batch.")
    dtype = np.result_type(np.float32, *found.values())
    if dtype.itemsize > 8:
        dtype = np.dtype(np.float64)
    return tuple(np.asarray(array, dtype.newbyteorder("=")) for array in found.values())


def is_finite(*arrays: Array) -> bool:
    """Whether no number is NaN or infinite; reads each array once. May also say no to numbers near the largest."""
    with np.errstate(over="ignore", invalid="ignore"):
        return all(bool(np.isfinite(np.sum(array))) for array in arrays)


def same_shape(name: str, array: Array, expected: tuple[int, ...]) -> None:
    """Raises ShapeError unless the array has the expected shape."""
    if array.shape != expected:
        raise ShapeError(f"{name} has shape {list(array.shape)}; expected {list(expected)}.")
