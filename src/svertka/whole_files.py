"""Small files, text, JSON and tables, that appear whole or not at all: written beside, then renamed."""

import csv
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

Record = TypeVar("Record")


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", errors="surrogateescape")
    part.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON whole or not at all."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Reads JSON that ``write_json`` wrote."""
    return json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))


def sha256(content: bytes | memoryview) -> str:
    """Hex digest of a file's content."""
    return hashlib.sha256(content).hexdigest()


def write_sealed_json(path: Path, value: Any) -> None:
    """Writes JSON together with its SHA-256, for a file that must not be believed when a bit of it has changed."""
    plain = json.loads(json.dumps(value))  # as it will be read: tuples are lists, keys are text
    write_json(path, {"sha256": _seal(plain), "value": plain})


def read_sealed_json(path: Path) -> Any:
    """Reads JSON that ``write_sealed_json`` wrote.

    Raises:
        OSError: it cannot be read.
        ValueError: it isn't what was written.
    """
    sealed = read_json(path)
    if (
        not isinstance(sealed, dict)
        or sealed.keys() != {"sha256", "value"}
        or _seal(sealed["value"]) != sealed["sha256"]
    ):
        raise ValueError(f"{path} is not what was written (its SHA-256 differs)")
    return sealed["value"]


def _seal(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode())


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes a CSV table whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    part.replace(path)


def read_table(path: Path) -> list[dict[str, str]]:
    """Reads a CSV table that ``write_table`` wrote."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def save_rows(path: Path, kind: type[Any], rows: Iterable[Any]) -> None:
    """Writes records of one kind as a table, a column a field."""
    columns = [field.name for field in fields(kind)]
    write_table(path, columns, ([getattr(row, name) for name in columns] for row in rows))


def load_rows(path: Path, kind: type[Record]) -> tuple[Record, ...]:
    """Reads records that ``save_rows`` wrote; a column that isn't there takes its field's default."""
    types = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]
    return tuple(kind(**{name: types[name](value) for name, value in row.items()}) for row in read_table(path))  # type: ignore[operator]
