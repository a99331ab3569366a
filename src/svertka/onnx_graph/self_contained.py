"""Checks that a ``model.onnx`` refers to no other file, without the ``onnx`` package.

An ONNX file can point to other files for its weights, can call operators from outside the standard, and can hold whole
programs: loops, branches, functions. A bundle may do nothing of that: everything that decides a prediction lies in the
one file whose hash the manifest holds, as one list of operations. It is found by walking the file's protocol-buffer
fields; weights themselves are skipped, not read.

Readers differ in what they make of a message that is no plain one: a field that stands twice is merged by one, the last
counts for another. So every field that is known must have its kind and stand as often as it may: then what is checked
here, what the NumPy engine runs and what ONNX Runtime runs is the same graph.

Field numbers: ``onnx.proto`` of the ONNX project.
"""

from typing import Any

from svertka.errors import BundleError
from svertka.onnx_graph.protobuf import BYTES, FIXED32, FIXED64, VARINT, typed_fields

STANDARD_DOMAINS = {"", "ai.onnx"}
EXTERNAL = 1
"""A tensor's data location, ``TensorProto.DataLocation``: another file."""

_WIRE_TYPES = {
    **{"int": (VARINT,), "data location": (VARINT,), "float": (FIXED32,)},
    **{"ints": (VARINT, BYTES), "floats": (FIXED32, BYTES), "doubles": (FIXED64, BYTES)},
}
_TEXTS = {"text", "domain", "ints", "external data"}  # what is read as it lies, and so must not be long
_LEAVES = {*_WIRE_TYPES, *_TEXTS, "bytes"}

# Message -> field number -> what the field holds: another message, or a number, numbers, text, bytes. A star: any
# number of times; numbers may always be several. Fields that aren't here say nothing that is computed with.
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset*", 20: "training*", 25: "function*"},
    "training": {1: "graph", 2: "graph"},
    "opset": {1: "domain", 2: "int"},
    "function": {7: "node*", 9: "opset*", 10: "domain", 11: "attribute*"},
    "graph": {1: "node*", 5: "tensor*", 11: "port*", 12: "port*", 13: "port*", 15: "sparse*"},
    "node": {1: "text*", 2: "text*", 3: "text", 4: "text", 5: "attribute*", 7: "domain"},
    "attribute": {
        **{1: "text", 2: "float", 3: "int", 4: "text", 5: "tensor", 6: "graph", 7: "floats", 8: "ints", 9: "text*"},
        **{10: "tensor*", 11: "graph*", 14: "type", 15: "type*", 20: "int", 21: "text", 22: "sparse", 23: "sparse*"},
    },
    "sparse": {1: "tensor", 2: "tensor", 3: "ints"},
    "tensor": {
        **{1: "ints", 2: "int", 4: "floats", 5: "ints", 6: "text*", 7: "ints", 8: "text", 9: "bytes", 10: "doubles"},
        **{11: "ints", 13: "external data*", 14: "data location"},
    },
    "port": {1: "text", 2: "type"},
    "type": {1: "tensor type", 4: "sequence", 5: "map", 8: "sparse type", 9: "optional"},
    "tensor type": {1: "int", 2: "shape"},
    "shape": {1: "size*"},
    "size": {1: "int", 2: "text"},
}
_KNOWN = {
    kind: {
        number: (
            name := holds.removesuffix("*"),
            holds == name and name not in ("ints", "floats", "doubles"),
            _WIRE_TYPES.get(name, (BYTES,)),
        )
        for number, holds in fields.items()
    }
    for kind, fields in _FIELDS.items()
}
"""The same as what a field holds, whether it stands there once, and its wire types."""

_PROGRAMS = {
    "graph": "a branch or a loop",
    "function": "a function",
    "training": "instructions for training",
    "sparse": "a sparse tensor",
    **dict.fromkeys(("sequence", "map", "sparse type", "optional"), "something else than tensors"),
}
"""What a list of operations on tensors has no use for."""

MOST_NODES = 20_000
"""Operations. DenseNet-201 in five folds, each judging four views, has 14,000."""

_DEEPEST = 32
_MOST_FIELDS = 1_000_000
_MOST_BYTES = 32 << 20
"""Of names, settings and single numbers: all but the weights, which are skipped as they lie."""


def check_self_contained(model: bytes, name: str = "model.onnx") -> None:
    """Refuses a serialised model that is more than one list of operations of the ONNX standard with its weights.

    Raises:
        BundleError: it reads other files, holds branches, loops or functions, or is no ONNX model.
    """
    walk = _Walk()
    try:
        walk.through(memoryview(model), "model", depth=0)
    except ValueError as error:
        raise BundleError(f"{name} is no ONNX model that can be opened: {error}.") from None
    if not walk.graphs:
        raise BundleError(f"{name} is no ONNX model: it holds no graph.")
    if walk.external:
        raise BundleError(f"{name} keeps weights in other files; expected all of them inside. It was not opened.")
    domains = sorted(f"{domain!r:.80}" for domain in walk.domains - STANDARD_DOMAINS)
    if domains:
        raise BundleError(
            f"{name} asks for operators from {', '.join(domains[:5])}; expected the ONNX standard alone. "
            "It was not opened."
        )
    if walk.programs:
        raise BundleError(
            f"{name} holds {' and '.join(sorted(walk.programs))}; expected operations on tensors one after the other, "
            "which is all that an image classifier needs. It was not opened."
        )


class _Walk:
    """One pass over all fields, with what was found on the way."""

    def __init__(self) -> None:
        self.domains: set[str] = set()
        self.programs: set[str] = set()
        self.external = False
        self.graphs = self.nodes = self.fields = self.bytes = 0

    def through(self, message: memoryview, kind: str, depth: int) -> None:
        if depth > _DEEPEST:
            raise ValueError(f"graphs are nested more than {_DEEPEST} deep")
        known, seen = _KNOWN.get(kind, {}), set()
        for number, wire_type, value in typed_fields(message):
            self.fields += 1
            if self.fields > _MOST_FIELDS:
                raise ValueError(f"it holds more than {_MOST_FIELDS} fields")
            if number not in known:
                continue
            holds, once, wire_types = known[number]
            if once and number in seen:
                raise ValueError(f"field {number} of a {kind} stands there twice")
            seen.add(number)
            if wire_type not in wire_types:
                raise ValueError(f"field {number} of a {kind} is {'a number' if wire_type != BYTES else 'no number'}")
            if holds not in _LEAVES:
                self._message(value, kind, holds, depth)
            elif holds in _TEXTS and not isinstance(value, int):
                self._text(value, holds)
            elif holds == "data location":
                self.external = self.external or value == EXTERNAL

    def _message(self, value: Any, kind: str, holds: str, depth: int) -> None:
        self.graphs += holds == "graph"
        self.nodes += holds == "node"
        if self.nodes > MOST_NODES:
            raise ValueError(f"it has more than {MOST_NODES} nodes")
        if holds in _PROGRAMS and (kind, holds) != ("model", "graph"):
            self.programs.add(_PROGRAMS[holds])
        self.through(value, holds, depth + 1)

    def _text(self, value: memoryview, holds: str) -> None:
        self.bytes += len(value)
        if self.bytes > _MOST_BYTES:
            raise ValueError(f"it holds more than {_MOST_BYTES >> 20} MB of names and settings")
        if holds == "external data":
            self.external = True
        elif holds != "ints":
            text = bytes(value).decode()  # says so where it is no UTF-8
            if holds == "domain":
                self.domains.add(text)
