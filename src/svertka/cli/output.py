"""Writes a verb's results to a file, whole or not at all, or to standard output; messages go to standard error.

A file that exists is replaced only if svertka wrote it, and never if it is read: ``may_write`` decides.
"""

import csv
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TextIO

from svertka.data.ranges import notices_of
from svertka.errors import ConfigError, NotFoundError, check_known
from svertka.messages import LANGUAGES, Translator, shown
from svertka.util.atomic_files import read_head

BOM = "\ufeff"
PLAIN_SPACES = str.maketrans("\u00a0\u202f", "  ")
"""For ``str.translate``: not every terminal has the narrow and the unbreakable one."""
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# File names that are no valid Unicode travel as surrogates; the file system's own rule writes their true bytes.
ENCODING_ERRORS = sys.getfilesystemencodeerrors()


def drawn(path: Path) -> bool:
    """Whether svertka drew this picture, as its mark inside says."""
    from svertka.viz.drawing import MARKS

    head = read_head(path, 4096)  # where the mark stands
    return any(mark in head for mark in MARKS)


def may_write(path: Path, reads: Iterable[str | Path] = (), is_result: Callable[[Path], bool] = drawn) -> Path:
    """The path, if nothing of the user's would be lost by writing there. Called before anything is computed.

    Args:
        path: of an output.
        reads: what the verb reads; names of no file are passed over.
        is_result: whether an existing file is an earlier result of svertka.

    Raises:
        ConfigError: it is a folder or a device, a file that is read under whatever name, or one that svertka
            didn't write.
    """
    if not path.exists():
        return path
    if not path.is_file():
        raise ConfigError(phrase("kept.folder" if path.is_dir() else "kept.device", path=str(path)))
    if any(each.exists() and path.samefile(each) for each in (Path(read).expanduser() for read in reads if read)):
        raise ConfigError(phrase("kept.input", path=str(path)))
    if path.stat().st_size and not is_result(path):
        raise ConfigError(phrase("kept.others", path=str(path)))
    return path


def picture_to(out: str, reads: Iterable[str | Path]) -> Path:
    """Where one PNG goes; see ``may_write``.

    Raises:
        ConfigError: the name doesn't end in .png, or the file must stay.
        NotFoundError: its folder doesn't exist.
    """
    path = Path(out).expanduser()
    if path.suffix.lower() != ".png":
        raise ConfigError(phrase("kept.no_png", path=out))
    return may_write(in_a_folder(path), reads)


def in_a_folder(path: Path) -> Path:
    """The path of an output, if the folder that it lies in is there.

    Raises:
        NotFoundError: it isn't.
    """
    if not path.parent.is_dir():
        raise NotFoundError(phrase("kept.no_folder", path=str(path.parent), name=path.name))
    return path


def table_of(kind: type[Any]) -> Callable[[Path], bool]:
    """A test whether a file is a table of these records: its first line has their fields."""
    header = ",".join(field.name for field in fields(kind)).encode()

    def is_table(path: Path) -> bool:
        return read_head(path, len(header) + 2).splitlines()[:1] == [header]

    return is_table


def begins(cells: Sequence[str]) -> Callable[[Path], bool]:
    """A test whether a file begins as a CSV table with these columns does, one for a spreadsheet included."""
    starts = []
    for delimiter, mark in ((",", ""), (";", BOM)):
        line = io.StringIO()
        csv.writer(line, delimiter=delimiter, lineterminator="").writerow(cells)
        starts.append((mark + line.getvalue()).encode(errors=ENCODING_ERRORS))

    def is_table(path: Path) -> bool:
        return read_head(path, max(map(len, starts))).startswith(tuple(starts))

    return is_table


def excel_rows(stream: TextIO) -> Callable[[Sequence[object]], object]:
    """Returns what writes a row that a spreadsheet shows as it is meant when the file is opened by a double click.

    That is: UTF-8 with a byte order mark, and semicolons; the decimal commas that go with them in the languages whose
    Excel expects semicolons are the caller's (as R's ``write.csv2`` does it). A text that would run as a formula gets
    an apostrophe before it, as OWASP recommends (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    stream.write(BOM)
    rows = csv.writer(stream, delimiter=";", lineterminator="\r\n")
    return lambda cells: rows.writerow([_for_excel(str(cell)) for cell in cells])


def _for_excel(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def say_samples(notes: Iterable[tuple[str, Sequence[str]]]) -> None:
    """A line about each doubt on how deep samples were read, if there are any.

    Args:
        notes: of each image, with its name.
    """
    for notice in notices_of(notes):
        say(terminal().sentences(notice))


class TerminalStream:
    """A stream of the terminal on which names cannot act: see ``messages.shown``. Tables go past it."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Writes text."""
        return self.stream.write(shown(text, keep="\n\t"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def as_it_is(stream: Any) -> Any:
    """The stream that takes everything as it is: for tables, and for what draws on the terminal itself."""
    return stream.stream if isinstance(stream, TerminalStream) else stream


@contextmanager
def table_to(out: str) -> Iterator[TextIO]:
    """A stream, able to write any file name: the file ``out``, which appears only once it is complete.

    Args:
        out: the file; "" means standard output, where rows appear as they come.

    Raises:
        ConfigError: standard output is asked for, but whoever called has closed it.
        NotFoundError: the file's folder isn't there.
    """
    if not out:
        yield _standard_output()
        return
    path = Path(out)
    if not path.parent.is_dir():
        raise NotFoundError(
            f"{path.parent} does not exist; expected a folder to write {path.name} into. Create it first."
        )
    beside = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8", errors=ENCODING_ERRORS, newline="") as stream:
            yield stream
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _standard_output() -> TextIO:
    stream: TextIO | None = as_it_is(sys.stdout)
    if stream is None:
        raise ConfigError("standard output is closed, so nobody would see the answers; name a file with --out.")
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(encoding="utf-8", errors=ENCODING_ERRORS)
    return stream


_terminal = [Translator("en")]  # of this process: a command speaks one language from its options on


def speak(language: str) -> str:
    """Makes the terminal speak a language from here on; "" leaves it as it is. Returns the argument.

    Raises:
        ConfigError: nobody speaks it.
    """
    if language:
        check_known("language", language, LANGUAGES)
        _terminal[0] = Translator(language)
    return language


def terminal() -> Translator:
    """Writes in the language of the terminal."""
    return _terminal[0]


def phrase(key: str, **values: object) -> str:
    """A sentence of the terminal, in its language."""
    return terminal()(f"terminal.{key}", **values)


def say(message: str) -> None:
    """A line for the person; standard output is for the answers."""
    print(message, file=sys.stderr)
