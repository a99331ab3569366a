"""What a ``model.onnx`` asks for, read without the ``onnx`` package (``predict`` must not need it).

An ONNX file can point to other files for its weights and can call operators from outside the standard. A bundle may
do neither: everything that decides a prediction lies in the one file whose hash the manifest holds. Both are found by
walking the file's protocol-buffer fields; weights themselves are skipped, not read.

Field numbers: ``onnx.proto`` of the ONNX project.
"""

from svertka.errors import BundleError
from svertka.wire import fields

_STANDARD_DOMAINS = {"", "ai.onnx"}
_EXTERNAL = 1  # TensorProto.DataLocation

# Message -> field number -> what the field holds: another message, or one of the three things that are looked for.
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "opset": {1: "domain"},
    "function": {7: "node", 9: "opset", 10: "domain", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute", 7: "domain"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external data", 14: "data location"},
}
_DEEPEST = 32


def check_self_contained(model: bytes, name: str = "model.onnx") -> None:
    """Refuses a model that reads other files or needs operators from outside the ONNX standard.

    Args:
        model: the serialised ``ModelProto``.
        name: for the message.

    Raises:
        BundleError: it does, or it is no ONNX model.
    """
    found: set[tuple[str, str]] = set()
    try:
        has_graph = any(number == 7 for number, _ in fields(memoryview(model)))
        _walk(memoryview(model), "model", found, depth=0)
    except ValueError as error:
        raise BundleError(f"{name} is no ONNX model: {error}.") from None
    if not has_graph:
        raise BundleError(f"{name} is no ONNX model: it holds no graph.")
    if any(kind == "external data" for kind, _ in found):
        raise BundleError(f"{name} keeps weights in other files; expected all of them inside. It was not opened.")
    domains = sorted(domain for kind, domain in found if kind == "domain" and domain not in _STANDARD_DOMAINS)
    if domains:
        raise BundleError(
            f"{name} asks for operators from {', '.join(map(repr, domains))}; expected the ONNX standard alone. "
            "It was not opened."
        )


def _walk(message: memoryview, kind: str, found: set[tuple[str, str]], depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError(f"graphs are nested more than {_DEEPEST} deep")
    for number, value in fields(message):
        holds = _FIELDS[kind].get(number)
        if holds is None:
            continue
        if holds == "data location":
            if value == _EXTERNAL:
                found.add(("external data", ""))
        elif not isinstance(value, memoryview):
            raise ValueError(f"field {number} of a {kind} is a number")
        elif holds == "external data":
            found.add(("external data", ""))
        elif holds == "domain":
            found.add(("domain", bytes(value).decode("utf-8", "replace")))
        else:
            _walk(value, holds, found, depth + 1)
