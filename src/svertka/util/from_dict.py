"""Builds records from plain values, such as JSON's, by the types of their fields."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")

_ACCEPTED: dict[Any, tuple[type, ...]] = {
    bool: (bool,),
    int: (Integral,),
    float: (Real,),
    str: (str,),
    Path: (str, Path),
}


def from_dict(kind: type[Record], value: Any, name: str | None = None, *, newer: bool = False) -> Record:
    """Rebuilds what ``dataclasses.asdict`` and JSON have made of a record.

    Args:
        kind: a dataclass. Its fields are numbers, text, truth values, paths, literals, tuples, lists, dictionaries,
            other dataclasses, or any of these or None.
        value: a dictionary with its fields; those with a default may be missing. What is a record already is kept.
        name: of the value, for messages; by default that of the dataclass.
        newer: pass over unknown fields at any depth: a later version may have written them.

    Raises:
        TypeError: a field is missing, unknown or of another type; the message says which.
    """
    record: Record = _read(kind, value, kind.__name__ if name is None else name, newer)
    return record


def _read(kind: Any, value: Any, where: str, newer: bool) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in (Any, object):
        return value
    if origin in (UnionType, Union):
        (inner,) = (one for one in arguments if one is not NoneType)
        return None if value is None else _read(inner, value, where, newer)
    if origin is Literal:
        return value if value in arguments else _refuse(value, " or ".join(map(repr, arguments)), where)
    if origin in (tuple, list):
        return origin(_read_items(arguments, value, where, newer))
    if origin in (dict, Mapping):
        return _read_mapping(arguments, value, where, newer)
    if is_dataclass(kind):
        return _read_record(kind, value, where, newer)
    if not isinstance(value, _ACCEPTED[kind]) or (isinstance(value, bool) and kind is not bool):
        _refuse(value, _named(kind), where)
    try:
        return kind(value)
    except OverflowError:
        _refuse(value, _named(kind), where)


def _read_items(kinds: tuple[Any, ...], value: Any, where: str, newer: bool) -> list[Any]:
    if not isinstance(value, list | tuple):
        _refuse(value, "list", where)
    if len(kinds) == 1 or kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    if len(kinds) != len(value):
        _refuse(value, f"list of {len(kinds)}", where)
    pairs = enumerate(zip(kinds, value, strict=True))
    return [_read(kind, item, f"{where}[{place}]", newer) for place, (kind, item) in pairs]


def _read_mapping(kinds: tuple[Any, ...], value: Any, where: str, newer: bool) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        _refuse(value, "dict", where)
    key_kind, item_kind = kinds
    names = (int(key) if key_kind is int and str(key).isdecimal() else key for key in value)  # JSON's keys are text
    return {
        _read(key_kind, name, where, newer): _read(item_kind, item, f"{where}[{name!r:.40}]", newer)
        for name, item in zip(names, value.values(), strict=True)
    }


def _read_record(kind: Any, value: Any, where: str, newer: bool) -> Any:
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        _refuse(value, "dict", where)
    types, within = _types(kind), f"{where}." if where else ""
    unknown = [name for name in value if name not in types]
    if unknown and not newer:
        raise TypeError(f"{within}{unknown[0]!s:.40} is unknown; expected {', '.join(types)}")
    for name in _required(kind):
        if name not in value:
            raise TypeError(f"{within}{name} is missing; expected {_named(types[name])}")
    known = {name: item for name, item in value.items() if name in types}
    return kind(**{name: _read(types[name], item, f"{within}{name}", newer) for name, item in known.items()})


@cache
def _types(kind: Any) -> dict[str, Any]:
    return {field.name: get_type_hints(kind)[field.name] for field in fields(kind)}


@cache
def _required(kind: Any) -> list[str]:
    return [field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING]


def _named(kind: Any) -> str:
    """A type as a message calls it."""
    if is_dataclass(kind):
        return "dict"
    return "int or float" if kind is float else getattr(kind, "__name__", str(kind))


def _refuse(value: object, expected: str, where: str) -> NoReturn:
    raise TypeError(f"{where} is {value!r:.80}; expected {expected}")
