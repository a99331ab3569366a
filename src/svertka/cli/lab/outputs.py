"""Which files the lab and ``models`` may write: new ones and those that they wrote before, never what they read.

What svertka wrote is told by the file itself: a picture says so inside, a table has the first line of its records.
"""

from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from svertka.architectures.drawing import MARKS
from svertka.errors import ConfigError, NotFoundError

_HEAD_BYTES = 4096  # of a picture: where its mark stands


def drawn(path: Path) -> bool:
    """Whether svertka drew this picture."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return any(mark in head for mark in MARKS)


def table_of(kind: type[Any]) -> Callable[[Path], bool]:
    """A test whether a file is a table of these records."""
    header = ",".join(field.name for field in fields(kind)).encode()

    def tells(path: Path) -> bool:
        with path.open("rb") as file:
            return file.read(len(header) + 2).splitlines()[:1] == [header]

    return tells


def may_write(path: Path, reads: Iterable[str | Path] = (), ours: Callable[[Path], bool] = drawn) -> Path:
    """The path, if nothing of the user's would be lost by writing there. Called before anything is computed.

    Args:
        path: of an output.
        reads: what the verb reads; names of no file are passed over.
        ours: tells whether svertka wrote an existing file.

    Raises:
        ConfigError: it is a folder, a file that is read under whatever name, or one that svertka didn't write.
    """
    if not path.exists():
        return path
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; expected the name of a file to write.")
    if any(each.exists() and path.samefile(each) for each in (Path(read).expanduser() for read in reads if read)):
        raise ConfigError(f"{path} is an input and would be overwritten; give --out another name.")
    if path.stat().st_size and not ours(path):
        raise ConfigError(
            f"{path} exists and isn't an earlier result of this command, so it is kept; name another place, or move it."
        )
    return path


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
