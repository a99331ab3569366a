"""Edits an ONNX graph as bytes: other outputs, other weights. Needs no ``onnx`` package.

Field numbers: ``onnx.proto`` of the ONNX project.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from svertka.onnx_graph.protobuf import fields

_GRAPH = 7  # of a model
_CONSTANT, _OUTPUT = 5, 12  # of a graph
_DIMS, _TYPE, _NAME, _RAW = 1, 2, 8, 9  # of a tensor
_FLOAT = 1


def rewired(model: bytes, outputs: Sequence[str], constants: Mapping[str, NDArray[np.float32]] | None = None) -> bytes:
    """A model that gives other tensors, and optionally computes with other weights.

    Args:
        model: a serialised ``ModelProto``; it isn't changed.
        outputs: names of tensors anywhere in the graph; they replace its outputs, and what nobody needs then is dropped
            by whoever runs it.
        constants: new numbers of float32 weights by name, of the shape that they have.

    Raises:
        ValueError: the bytes are no message.
    """
    changed = constants or {}
    parts = []
    for number, value in fields(memoryview(model)):
        if number == _GRAPH and isinstance(value, memoryview):
            parts.append(_field(number, b"".join(_graph(value, outputs, changed))))
        else:
            parts.append(_field(number, value))
    return b"".join(parts)


def _graph(
    graph: memoryview, outputs: Sequence[str], constants: Mapping[str, NDArray[np.float32]]
) -> Iterator[bytes | memoryview]:
    for number, value in fields(graph):
        if number == _OUTPUT:
            continue
        name = _name(value) if number == _CONSTANT and isinstance(value, memoryview) else ""
        yield _field(number, _tensor(name, constants[name]) if name in constants else value)
    for output in outputs:
        yield _field(_OUTPUT, _field(1, output.encode()))


def _name(tensor: memoryview) -> str:
    return next((bytes(value).decode() for number, value in fields(tensor) if number == _NAME), "")


def _tensor(name: str, values: NDArray[np.float32]) -> bytes:
    dims = b"".join(_field(_DIMS, size) for size in values.shape)
    raw = np.ascontiguousarray(values, "<f4").tobytes()
    return dims + _field(_TYPE, _FLOAT) + _field(_NAME, name.encode()) + _field(_RAW, raw)


def _field(number: int, value: int | bytes | memoryview) -> bytes:
    """One field: a whole number, or bytes behind their length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return b"".join((_varint(number << 3 | 2), _varint(len(value)), value))


def _varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
