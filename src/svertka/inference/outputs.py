"""Checks every batch of a graph's outputs: shape, finite numbers, probabilities that add up."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from svertka.errors import BundleError
from svertka.inference.onnxruntime_session import DISTANCE, LOGITS, PROBABILITIES
from svertka.schema import Bundle

Array = NDArray[np.generic]

_ROUNDING = 1e-3
"""Float32 sums of many classes, and of a thousand coordinates, are off by less."""


def output_names(bundle: Bundle) -> tuple[str, ...]:
    """Of the bundle's graph."""
    return (LOGITS, PROBABILITIES, DISTANCE) if bundle.novelty else (LOGITS, PROBABILITIES)


def check_outputs(arrays: Sequence[Array], names: Sequence[str], images: int, classes: int, where: str) -> None:
    """Refuses outputs, named as in ``output_names``, that no classifier gives for so many images and classes.

    Raises:
        BundleError: logits, probabilities or distances aren't float32 of the right shape, or not finite; probabilities
            aren't between 0 and 1 or don't sum to 1; distances are below 0.
    """
    for name, array in zip(names, arrays, strict=True):
        shape = (images,) if name == DISTANCE else (images, classes)
        if array.dtype != np.float32 or array.shape != shape:
            _refuse(where, name, f"{array.dtype} {list(array.shape)}", f"float32 {list(shape)}")
        values = array.astype(np.float64)
        low, high = {LOGITS: (-np.inf, np.inf), PROBABILITIES: (0, 1), DISTANCE: (0, np.inf)}[name]
        wrong = ~np.isfinite(values) | (values < low - _ROUNDING) | (values > high + _ROUNDING)
        if wrong.any():
            expected = {PROBABILITIES: "numbers from 0 to 1", DISTANCE: "finite numbers, 0 or more"}
            _refuse(where, name, f"{values[wrong][0]:g}", expected.get(name, "finite numbers"))
        if name == PROBABILITIES:
            sums = values.sum(axis=1)
            off = np.abs(sums - 1)
            if (off > _ROUNDING).any():
                _refuse(where, name, f"an image's that sum to {sums[off.argmax()]:g}", "a sum of 1")


def check_finite(array: Array, name: str, where: str) -> None:
    """Refuses what is no array of finite floats.

    Raises:
        BundleError: it isn't.
    """
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        bad = f"{array.dtype}" if array.dtype.kind != "f" else f"{array[~np.isfinite(array)][0]:g}"
        _refuse(where, name, bad, "finite numbers")


def _refuse(where: str, name: str, value: str, expected: str) -> None:
    raise BundleError(
        f"{where}: the graph gives {name} {value}; expected {expected}. Nothing that it says can be trusted: write the "
        "bundle again."
    )
