"""Writes records as CSV row by row, so that an interrupted experiment keeps what it has measured."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import TypeVar

Row = TypeVar("Row")


def kept(rows: Iterable[Row], path: Path) -> Iterator[Row]:
    """Passes frozen dataclasses of one kind on; each is in the file before the next one is asked for.

    The file is written anew once there is a first record; until then an earlier table stays.
    """
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        names = [field.name for field in fields(first)]  # type: ignore[arg-type]  # a dataclass, as the contract says
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for row in chain((first,), rows):
            writer.writerow([_text(getattr(row, name)) for name in names])
            file.flush()
            yield row


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
