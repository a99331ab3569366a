"""Where a verb's answers go: a file, whole or absent, or standard output. What is said goes to standard error.

A file that exists is replaced only if svertka wrote it, and never if it is read: ``may_write`` decides.
"""

import csv
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TextIO

from svertka.data.ranges import told
from svertka.errors import ConfigError, NotFoundError, did_you_mean
from svertka.messages import LANGUAGES, sentences, shown, text
from svertka.schema import Notice
from svertka.util.atomic_files import read_head

BOM = "\ufeff"
PLAIN_SPACES = str.maketrans("\u00a0\u202f", "  ")
"""For ``str.translate``: not every terminal has the narrow and the unbreakable one."""
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# File names that are no valid Unicode travel as surrogates; the file system's own rule writes their true bytes.
ENCODING_ERRORS = sys.getfilesystemencodeerrors()


def may_write(path: Path, reads: Iterable[str | Path], ours: Callable[[Path], bool]) -> Path:
    """The path, if nothing of the user's would be lost by writing there. Called before anything is computed.

    Args:
        path: of an output.
        reads: what the verb reads; names of no file are passed over.
        ours: tells whether svertka wrote an existing file.

    Raises:
        ConfigError: it is a folder or a device, a file that is read under whatever name, or one that svertka
            didn't write.
    """
    if not path.exists():
        return path
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file"
        raise ConfigError(f"{path} is {what}; expected the name of a file to write.")
    if any(each.exists() and path.samefile(each) for each in (Path(read).expanduser() for read in reads if read)):
        raise ConfigError(f"{path} is one of the inputs and would be overwritten; give --out another name.")
    if path.stat().st_size and not ours(path):
        raise ConfigError(
            f"{path} exists and isn't an earlier result of this command, so it is kept; name another place, or move it."
        )
    return path


def begins(cells: Sequence[str]) -> Callable[[Path], bool]:
    """A test whether a file begins as a CSV table with these columns does, one for a spreadsheet included."""
    starts = []
    for delimiter, mark in ((",", ""), (";", BOM)):
        line = io.StringIO()
        csv.writer(line, delimiter=delimiter, lineterminator="").writerow(cells)
        starts.append((mark + line.getvalue()).encode(errors=ENCODING_ERRORS))

    def tells(path: Path) -> bool:
        return read_head(path, max(map(len, starts))).startswith(tuple(starts))

    return tells


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


def say_unlike(names: Sequence[str]) -> None:
    """A line about images that are unlike the training images, if there are any."""
    if names:
        say(phrase("unlike", n=len(names), first=shown(names[0])))


def say_samples(notes: Iterable[tuple[str, Sequence[str]]]) -> None:
    """A line about each doubt on how deep samples were read, if there are any.

    Args:
        notes: of each image, with its name.
    """
    for notice in told(notes):
        say(in_words(notice))


class ForPeople:
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
    return stream.stream if isinstance(stream, ForPeople) else stream


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """Standard output, able to write any file name.

    Raises:
        ConfigError: whoever called has closed it.
    """
    stream = as_it_is(sys.stdout)
    if stream is None:
        raise ConfigError("standard output is closed, so nobody would see the answers; name a file with --out.")
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(encoding="utf-8", errors=ENCODING_ERRORS)
    yield stream


@contextmanager
def written_whole(path: Path) -> Iterator[TextIO]:
    """A file that appears under its name only once it is complete.

    Raises:
        NotFoundError: its folder isn't there.
    """
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


Language = Literal["en", "ru"]
_spoken: list[Language] = ["en"]  # by this process: a command speaks one language from its options on


def speak(language: str) -> str:
    """Makes the terminal speak a language from here on; "" leaves it as it is. Returns the argument.

    Raises:
        ConfigError: nobody speaks it.
    """
    if language and language not in LANGUAGES:
        hint = did_you_mean(language, LANGUAGES)
        raise ConfigError(f"language is {language!r}; expected {' or '.join(LANGUAGES)}.{hint}")
    if language:
        _spoken[0] = "ru" if language == "ru" else "en"
    return language


def spoken() -> Language:
    """The language of the terminal."""
    return _spoken[0]


def phrase(key: str, **values: object) -> str:
    """A sentence of the terminal, in its language."""
    return text(f"terminal.{key}", spoken(), **values)


def in_words(*notices: Notice) -> str:
    """What notices say, in the language of the terminal."""
    return sentences(*notices, language=spoken())


def say(message: str) -> None:
    """A line for the person; standard output is for the answers."""
    print(message, file=sys.stderr)
