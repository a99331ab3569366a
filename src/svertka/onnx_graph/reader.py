"""Reads an ONNX file into a ``Graph`` with NumPy alone. Field numbers: ``onnx.proto`` of the ONNX project."""

import mmap
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from svertka.errors import GraphError, NotFoundError
from svertka.onnx_graph.graph import Array, Graph, Node, Port, check_order
from svertka.onnx_graph.protobuf import fields, varint
from svertka.onnx_graph.self_contained import EXTERNAL, STANDARD_DOMAINS

# TensorProto.DataType, the kinds that convolutional networks hold.
_DTYPES = {1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 9: "?", 10: "f2", 11: "f8"}
_PIECE = 1 << 22  # numbers
OLDEST_SET, NEWEST_SET = 7, 28
"""Before the oldest, Add and its like had an axis of their own, and ONNX Runtime begins there too. What a set after the
newest will mean by an operator isn't known (``standard``)."""

Message = dict[int, list[Any]]


def read(source: Path | bytes, *, copy: bool = True) -> Graph:
    """Reads a model.

    Weights are copied out one by one and the file's pages given back, so that reading needs no second copy of them.

    Args:
        source: an ``.onnx`` file (large weights may lie in files beside it), or its content.
        copy: the weights of a content; otherwise they are views of it.

    Raises:
        NotFoundError: there is no such file, or a file with weights is missing.
        GraphError: it is no ONNX model, or one that needs operators from outside the standard.
    """
    if isinstance(source, bytes):
        return _Reader(None, source, lambda: None, copy).graph()
    if not source.is_file():
        raise NotFoundError(f"{source} does not exist; expected an ONNX file.")
    if source.stat().st_size == 0:
        raise GraphError(f"{source} is empty; expected an ONNX file.")
    with source.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # goes when the last view of it goes
    advise = getattr(content, "madvise", None)  # not on Windows
    return _Reader(source, content, (lambda: advise(mmap.MADV_DONTNEED)) if advise else lambda: None).graph()


def dtype_of(code: int) -> np.dtype[Any]:
    """The NumPy type of a ``TensorProto.DataType``."""
    if code not in _DTYPES:
        raise GraphError(f"A tensor has ONNX type {code}; expected a float, an integer or a boolean type.")
    return np.dtype(_DTYPES[code])


def _message(content: memoryview) -> Message:
    found: Message = {}
    for number, value in fields(content):
        found.setdefault(number, []).append(value)
    return found


def _text(message: Message, number: int) -> str:
    return _name(message[number][-1]) if number in message else ""


def _name(value: int | memoryview) -> str:
    if isinstance(value, int):
        raise ValueError(f"the number {value} where text belongs")
    return bytes(value).decode("utf-8", "replace")


def _integers(values: list[int | memoryview]) -> tuple[int, ...]:
    """Signed integers, packed or not."""
    found: list[int] = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            integer, at = varint(value, at)
            found.append(integer)
    return tuple(value - (1 << 64) if value >> 63 else value for value in found)


def _parts(values: list[int | memoryview]) -> Iterator[bytes]:
    for value in values:
        if isinstance(value, int):
            raise ValueError(f"the number {value} where bytes belong")
        yield bytes(value)


def _floats(values: list[memoryview]) -> tuple[float, ...]:
    return tuple(number for value in values for (number,) in struct.iter_unpack("<f", value))


class _Reader:
    """One pass through a file; ``release`` gives back pages that were read."""

    def __init__(
        self, path: Path | None, content: bytes | mmap.mmap, release: Callable[[], object], copy: bool = True
    ) -> None:
        self.path, self.content, self.release, self.copy = path, content, release, copy
        self.name = str(path) if path else "The model"
        self.operator_set = 0

    def graph(self) -> Graph:
        try:
            model = _message(memoryview(self.content))
            if 7 not in model:
                raise GraphError(f"{self.name} is no ONNX model: it holds no graph.")
            self.operator_set = self._operator_set(model)
            return self._graph(_message(model[7][-1]))
        except (GraphError, NotFoundError):
            raise
        except (ValueError, TypeError, LookupError, ArithmeticError, OSError, struct.error) as error:  # something else
            raise GraphError(f"{self.name} is no ONNX model: {error}.") from None

    def _operator_set(self, model: Message) -> int:
        """The version of the ONNX standard that the operators are meant by; files of before it was noted mean 1."""
        imports = [_message(value) for value in model.get(8, [])]
        versions = [_integers(each[2])[-1] for each in imports if 2 in each and _text(each, 1) in STANDARD_DOMAINS]
        version = max(versions, default=1)
        if not OLDEST_SET <= version <= NEWEST_SET:
            expected = f"{OLDEST_SET} or later" if version < OLDEST_SET else f"at most {NEWEST_SET}"
            raise GraphError(
                f"{self.name} is written in ONNX operator set {version}; expected {expected}. Convert it with "
                "onnx.version_converter.convert_version."
            )
        return version

    def _graph(self, graph: Message) -> Graph:
        tensors = [self._tensor(value) for value in graph.get(5, [])]
        constants = dict(tensors)
        if len(constants) < len(tensors) or "" in constants:
            raise GraphError(f"{self.name} has two tensors of one name, or one without a name.")
        if 15 in graph:
            raise GraphError(f"{self.name} has sparse weights; expected dense ones. Run this model with ONNX Runtime.")
        inputs = [self._port(value) for value in graph.get(11, [])]
        found = Graph(
            inputs=tuple(port for port in inputs if port.name not in constants),
            outputs=tuple(_text(_message(value), 1) for value in graph.get(12, [])),
            nodes=tuple(self._node(value) for value in graph.get(1, [])),
            constants=constants,
            operator_set=self.operator_set,
        )
        check_order(found)
        return found

    def _node(self, content: memoryview) -> Node:
        node = _message(content)
        inputs, outputs = (tuple(map(_name, node.get(number, []))) for number in (1, 2))
        op, name, domain = _text(node, 4), _text(node, 3) or (outputs[0] if outputs else ""), _text(node, 7)
        if domain not in STANDARD_DOMAINS:
            raise GraphError(f"{self.name}: node {name!r} is {op} of {domain!r}; expected the ONNX standard alone.")
        return Node(op, name, inputs, outputs, dict(self._attribute(value) for value in node.get(5, [])))

    def _attribute(self, content: memoryview) -> tuple[str, Any]:
        found = _message(content)
        name = _text(found, 1)
        match _integers(found.get(20, [0]))[0]:
            case 1:
                return name, _floats(found[2])[-1]
            case 2:
                return name, _integers(found.get(3, [0]))[-1]
            case 3:
                return name, _text(found, 4)
            case 4:
                return name, self._tensor(found[5][-1])[1]
            case 6:
                return name, _floats(found.get(7, []))
            case 7:
                return name, _integers(found.get(8, []))
            case 8:
                return name, tuple(map(_name, found.get(9, [])))
            case kind:
                return name, f"attribute of type {kind}"  # a subgraph: its operator is unknown here and says so

    def _port(self, content: memoryview) -> Port:
        port = _message(content)
        kind = _message(port[2][-1])
        if 1 not in kind:
            raise GraphError(f"{self.name}: the input {_text(port, 1)!r} is no tensor.")
        tensor = _message(kind[1][-1])
        sizes = [_message(size) for size in _message(tensor[2][-1]).get(1, [])] if 2 in tensor else []
        shape = tuple(_integers(size[1])[-1] if 1 in size else None for size in sizes)
        return Port(_text(port, 1), dtype_of(tensor.get(1, [1])[-1]), shape)

    def _tensor(self, content: memoryview) -> tuple[str, Array]:
        tensor = _message(content)
        name, shape, dtype = _text(tensor, 8), _integers(tensor.get(1, [])), dtype_of(tensor[2][-1])
        if min(shape, default=0) < 0:
            raise GraphError(f"{self.name}: the tensor {name!r} has sizes {list(shape)}.")
        if tensor.get(14, [0])[-1] == EXTERNAL:
            return name, self._external(tensor, dtype).reshape(shape)
        if 9 in tensor:
            raw = np.frombuffer(tensor[9][-1], dtype.newbyteorder("<"))
            value = self._copied(raw, dtype) if self.copy else raw.astype(dtype, copy=False)
        elif dtype.kind == "f" and dtype.itemsize > 2:
            number, code = (4, "<f4") if dtype.itemsize == 4 else (10, "<f8")
            value = np.frombuffer(b"".join(_parts(tensor.get(number, []))), code).astype(dtype)
        elif dtype.itemsize == 2 and dtype.kind == "f":
            value = np.array(_integers(tensor.get(5, [])), np.uint16).view(np.float16)
        else:
            value = np.array(_integers(tensor.get(7 if dtype.itemsize == 8 else 5, []))).astype(dtype)
        return name, value.reshape(shape)

    def _copied(self, raw: Array, dtype: np.dtype[Any]) -> Array:
        """A copy, made bit by bit: the pages of the file that were read go before the next ones come."""
        value = np.empty(raw.shape, dtype)
        for start in range(0, len(raw), _PIECE):
            value[start : start + _PIECE] = raw[start : start + _PIECE]
            if len(raw) >= _PIECE:
                self.release()
        return value

    def _external(self, tensor: Message, dtype: np.dtype[Any]) -> Array:
        entries = {_text(entry, 1): _text(entry, 2) for entry in map(_message, tensor.get(13, []))}
        location = entries.get("location", "")
        if self.path is None or Path(location).is_absolute() or ".." in Path(location).parts:
            raise GraphError(f"{self.name} keeps weights in {location!r}; expected a file beside it.")
        file = self.path.parent / location
        if not file.is_file():
            raise NotFoundError(f"{file} does not exist; {self.name} keeps its weights there. Copy both.")
        offset, size = int(entries.get("offset", 0)), int(entries.get("length", -1))
        count = size // dtype.itemsize if size >= 0 else -1
        return np.fromfile(file, dtype.newbyteorder("<"), count=count, offset=offset).astype(dtype, copy=False)
