"""Frozen records read back from plain JSON values, by the types of their fields."""

import types
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


def from_plain(kind: type[Record], value: Any) -> Record:
    """Rebuilds what ``dataclasses.asdict`` and JSON have made of a record.

    Args:
        kind: a dataclass of numbers, text, tuples, dictionaries, optional values and other such dataclasses.
        value: a dictionary with its fields.

    Raises:
        TypeError: a field is missing, unknown or of a kind that isn't read here.
        ValueError: a number is none.
    """
    record: Record = _read(kind, value)
    return record


def _read(kind: Any, value: Any) -> Any:
    arguments = get_args(kind)
    if get_origin(kind) in (types.UnionType, Union):
        inner = next(one for one in arguments if one is not type(None))
        return None if value is None else _read(inner, value)
    if get_origin(kind) is Literal:
        return value
    if get_origin(kind) is tuple:
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_read(inner, item) for inner, item in zip(kinds, value, strict=True))
    if get_origin(kind) is dict:
        return {_read(arguments[0], key): _read(arguments[1], item) for key, item in value.items()}
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        known = {field.name for field in fields(kind)}
        if not isinstance(value, dict) or value.keys() - known:
            raise TypeError(f"{value!r:.80} is no {getattr(kind, '__name__', kind)}")
        return kind(**{name: _read(hints[name], item) for name, item in value.items()})  # type: ignore[operator]
    return kind(value)
