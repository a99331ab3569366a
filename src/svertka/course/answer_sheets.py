"""Reads the sheet of a task that is answered in writing: a TOML file with a few named fields, whatever is in it."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from svertka.course.findings import Barred, wrong
from svertka.course.sandbox import source_of

Sheet = dict[str, Any]
_NUMBER = re.compile(r"[-+−]?\d+(?:[.,]\d+)?")


def read_sheet(file: Path, fields: Mapping[str, type]) -> Sheet:
    """The fields of a sheet; numbers may be written with a comma, in quotation marks.

    Raises:
        Barred: it is no TOML, or a field is missing or empty.
        NotFoundError, DataError: there is no file that could be read.
    """
    text = source_of(file)
    try:
        sheet = tomllib.loads(text)
    except (RecursionError, ValueError) as error:
        raise Barred(wrong("sheet", text=str(error))) from None
    for name, kind in fields.items():
        if name not in sheet:
            raise Barred(wrong("sheet_field", name=name))
        value = _as(kind, sheet[name])
        if value is None or value == "":
            raise Barred(wrong("sheet_empty", name=name))
        sheet[name] = value
    return sheet


def _as(kind: type, value: object) -> Any:
    """The value as text, number or list of numbers; None if it is none."""
    if kind is str:
        return value.strip() if isinstance(value, str) else None
    if kind is list:
        numbers = [_as(float, item) for item in value] if isinstance(value, list) else []
        return numbers if numbers and None not in numbers else None
    if isinstance(value, str):
        found = as_numbers(value)
        return found[0] if len(found) == 1 or (found and len(set(found)) == 1) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def as_numbers(text: str) -> list[float]:
    """All numbers of a text, with decimal point or comma: 224 × 224 gives two."""
    return [float(number.replace(",", ".").replace("−", "-")) for number in _NUMBER.findall(text)]


def names_all(sentence: str, figures: Mapping[str, float], within: float) -> str | None:
    """The first figure that a sentence doesn't have, to within so much; None if it has all."""
    said = as_numbers(sentence)
    return next(
        (name for name, value in figures.items() if not any(abs(each - value) <= within for each in said)), None
    )
