"""Values as JSON between svertka and the process of a solution; nothing is run to read them, as pickle would.

An array is ``{"array": dtype, "shape": [...], "data": [flat]}``; numbers, text, lists and dictionaries are themselves;
of anything else only the name of its type arrives: ``{"type": name}``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_ARRAY = 500_000
"""Elements of an array that a solution may return."""

_DEEPEST, _LONGEST_LIST, _LONGEST_TEXT = 4, 10_000, 2_000
_KINDS = "biuf"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A value that is neither an array nor plain."""

    type_name: str


def to_plain(value: Any, depth: int = 0) -> Any:
    """What JSON can write of a value; the arrays of a solution are read, never believed."""
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        if array.dtype.kind not in _KINDS or array.size > LARGEST_ARRAY:
            return {"type": f"array of {array.size} × {array.dtype}"}
        data = array.astype(np.float64) if array.dtype.kind == "f" else array
        return {"array": array.dtype.name, "shape": list(array.shape), "data": data.ravel().tolist()}
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if isinstance(value, float) or abs(value) < 2**63 else {"type": "int of more than 64 bits"}
    if isinstance(value, str):
        return value[:_LONGEST_TEXT]
    if isinstance(value, list | tuple) and depth < _DEEPEST and len(value) <= _LONGEST_LIST:
        return [to_plain(item, depth + 1) for item in value]
    if isinstance(value, dict) and depth < _DEEPEST and len(value) <= _LONGEST_LIST:
        return {"dict": [[str(name)[:_LONGEST_TEXT], to_plain(item, depth + 1)] for name, item in value.items()]}
    return {"type": type(value).__name__}


def from_plain(value: Any) -> Any:
    """The value again.

    Raises:
        ValueError: it isn't what ``to_plain`` writes.
    """
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"array", "shape", "data"}:
        return _array(value)
    if value.keys() == {"dict"}:
        return {str(name): from_plain(item) for name, item in value["dict"]}
    if value.keys() == {"type"}:
        return Unreadable(str(value["type"])[:100])
    raise ValueError("a value of no known kind")


def _array(value: dict[str, Any]) -> NDArray[Any]:
    dtype, shape, data = np.dtype(str(value["array"])), value["shape"], value["data"]
    whole = isinstance(shape, list) and all(type(side) is int and side >= 0 for side in shape)
    if dtype.kind not in _KINDS or not whole or not isinstance(data, list) or len(data) > LARGEST_ARRAY:
        raise ValueError("an array that isn't one")
    if not all(type(number) in (int, float, bool) for number in data):
        raise ValueError("an array of other things than numbers")
    array: NDArray[Any] = np.array(data, np.float64 if dtype.kind == "f" else dtype).reshape(shape)
    return array if dtype.kind != "f" else array.astype(dtype)
