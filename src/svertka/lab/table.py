"""Records as CSV, written as they come, so that whatever stops an experiment leaves what it had measured."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

Row = TypeVar("Row")


def kept(rows: Iterable[Row], path: Path) -> Iterator[Row]:
    """Passes frozen records on; each is in the file before the next one is asked for.

    Args:
        rows: dataclasses of one kind; their fields are the columns.
        path: written anew.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer: Any = None
        for row in rows:
            names = [field.name for field in fields(row)]  # type: ignore[arg-type]  # a dataclass, as the contract says
            if writer is None:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(names)
            writer.writerow([_text(getattr(row, name)) for name in names])
            file.flush()
            yield row


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
