"""Which files the lab and ``models`` may write: new ones and those that they wrote before, never what they read.

What svertka wrote is told by the file itself: a picture says so inside, a table has the first line of its records.
"""

from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from svertka.cli import output
from svertka.errors import ConfigError, NotFoundError
from svertka.util.atomic_files import read_head
from svertka.viz.drawing import MARKS

_HEAD_BYTES = 4096  # of a picture: where its mark stands


def drawn(path: Path) -> bool:
    """Whether svertka drew this picture."""
    head = read_head(path, _HEAD_BYTES)
    return any(mark in head for mark in MARKS)


def table_of(kind: type[Any]) -> Callable[[Path], bool]:
    """A test whether a file is a table of these records."""
    header = ",".join(field.name for field in fields(kind)).encode()

    def tells(path: Path) -> bool:
        return read_head(path, len(header) + 2).splitlines()[:1] == [header]

    return tells


def may_write(path: Path, reads: Iterable[str | Path] = (), ours: Callable[[Path], bool] = drawn) -> Path:
    """``output.may_write`` for pictures."""
    return output.may_write(path, reads, ours)


def picture(out: str, reads: Iterable[str | Path]) -> Path:
    """Where one PNG goes; see ``may_write``.

    Raises:
        ConfigError: the name doesn't end in .png, or the file must stay.
        NotFoundError: its folder doesn't exist.
    """
    path = Path(out).expanduser()
    if path.suffix.lower() != ".png":
        raise ConfigError(f"the picture's name is {out}; expected one that ends in .png.")
    if not path.parent.is_dir():
        raise NotFoundError(f"{path.parent} does not exist; expected a folder to write {path.name} into.")
    return may_write(path, reads)
