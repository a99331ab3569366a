"""Reads a CSV or TSV file as header and rows: detects encoding, delimiter and columns, and decodes one-hot labels."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from svertka.data.encodings import DecodedText, read_text
from svertka.data.formats import READABLE_SUFFIXES
from svertka.data.listing import plain
from svertka.errors import ConfigError, DataError, did_you_mean, first_of
from svertka.schema import Notice
from svertka.util.atomic_files import read_file

# Compared without case, spaces, dashes and underscores; earlier names win.
USUAL_NAMES = {
    "path": "path filepath imagepath file filename image imagename imagefile img imageid imgid id name файл путь",
    "label": "label class target category y classname labelname species breed diagnosis dx метка класс",
    "group": "group groupid patient patientid subject subjectid пациент группа",
    "split": "split subset fold partition set выборка",
}
ONE_HOT = "class named by a column"
# How tables begin that svertka writes; those columns hold file names as the file system does, whatever their bytes.
_OURS = (
    ("path", "label", "confidence"),
    ("path", "label", "predicted", "confidence"),
    ("path", "label", "split", "group", "width_px"),
    ("path", "split", "unit"),
    ("path", "reason", "detail"),
)
_OF_FILES = ("path", "error", "detail")
# What pandas reads as a missing value unless it is told not to.
_MISSING = frozenset({"#n/a", "#n/a n/a", "#na", "-1.#ind", "-1.#qnan", "1.#ind", "1.#qnan"})
_MISSING |= {"-nan", "nan", "<na>", "n/a", "na", "null", "none"}
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it lies in a file.

    Attributes:
        header: names of the columns, without spaces around them.
        rows: cells by the row's number as a spreadsheet shows it: from 1, the header and empty rows counted.
        notices: what had to be guessed.
    """

    name: str
    header: list[str]
    rows: dict[int, list[str]]
    notices: tuple[Notice, ...] = ()

    def column(self, role: str, named: str) -> int | None:
        """Index of a column: the one that is named, else by its usual names, else None.

        Raises:
            ConfigError: the one that is named isn't there.
            DataError: it is there twice, or the table has no header.
        """
        named = named.strip()
        if not named:
            names = [plain(name) for name in self.header]
            usual = next((name for name in USUAL_NAMES[role].split() if name in names), None)
            return None if usual is None else names.index(usual)
        if self.header.count(named) == 1:
            return self.header.index(named)
        if named in self.header:
            raise DataError(f"{self.name} has {self.header.count(named)} columns named {named!r}; rename all but one.")
        self.check_header()
        listed = ", ".join(self.header)
        hint = did_you_mean(named, self.header)
        raise ConfigError(f"{role}_column is {named!r}, but {self.name} has the columns {listed}.{hint}")

    def check_header(self) -> None:
        """Refuses a table whose first row is an image's already.

        Raises:
            DataError: it shows that row.
        """
        first = self.header[:4]
        named = [cell for cell in first if Path(cell.replace("\\", "/")).suffix.lower() in READABLE_SUFFIXES]
        again = any(
            len(self.rows) > 1 and cell and cell in {cell_of(row, place) for row in self.rows.values()}
            for place, cell in enumerate(first)
        )
        if named or again or not any(re.search(r"[^\W\d_]", cell) for cell in first):
            raise DataError(
                f"{self.name}: there is no header row, as the first row is {', '.join(first)}; expected names of the "
                "columns. Write a first row such as path,label above it."
            )

    def no_column(self, role: str, advice: str) -> DataError:
        """The error that a column is missing; that of a missing header, if this is why."""
        try:
            self.check_header()
        except DataError as error:
            return error
        return DataError(
            f"{self.name} has no column that looks like the {role} (columns: {', '.join(self.header)}); "
            f"usual names are {', '.join(USUAL_NAMES[role].split()[:5])}. {advice}"
        )


def cell_of(row: Sequence[str], index: int | None) -> str:
    """A cell without spaces around it; empty where the row or the table is too short."""
    return row[index].strip() if index is not None and index < len(row) else ""


def looks_missing(label: str) -> bool:
    """Whether other programs would take a cell for an empty one."""
    return label.casefold() in _MISSING


def read_table(file: Path, encoding: str = "") -> Table:
    """Reads a CSV or TSV file.

    Args:
        file: the delimiter is found.
        encoding: "" means that it is found, see ``encodings``.

    Raises:
        DataError: it cannot be read, is empty, or may be read in several ways.
        ConfigError: the encoding is unknown, or isn't the file's.
    """
    try:
        data = read_file(file)
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}); check its permissions.") from error
    ours = None if encoding else _ours(data, file.name)
    if ours is not None:
        return ours
    text = read_text(data, file.name, encoding)
    table = _parsed(text.text, file.name)
    return replace(table, notices=_encoding_notice(text, file.name)) if text.guessed else table


def _ours(data: bytes, name: str) -> Table | None:
    """A table that svertka wrote with names of files that are no UTF-8; None if it isn't one."""
    try:
        text = data.decode("utf-8-sig", "surrogateescape")
        text.encode()
    except UnicodeEncodeError:
        table = _parsed(text, name)
    else:
        return None
    if not any(tuple(table.header[: len(begin)]) == begin for begin in _OURS):
        return None
    others = [place for place, column in enumerate(table.header) if column not in _OF_FILES]
    cells = [*table.header, *(cell_of(row, place) for row in table.rows.values() for place in others)]
    return None if any("\udc80" <= letter <= "\udcff" for cell in cells for letter in cell) else table


def _encoding_notice(text: DecodedText, name: str) -> tuple[Notice, ...]:
    found = re.findall(r"[^,;|\t\r\n\"]*[^\x00-\x7f,;|\t\r\n\"][^,;|\t\r\n\"]*", text.text)
    names = [cell.strip() for cell in dict.fromkeys(found)][:_EXAMPLES]
    return (Notice("table_encoding", {"table": name, "encoding": text.encoding, "names": names}),)


def _parsed(text: str, name: str) -> Table:
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    if not first:
        raise DataError(f"{name} is empty; expected a header and one row an image.")
    # csv.Sniffer guesses from letter counts and is fooled by paths; the header alone decides better.
    delimiter = max(",;\t|", key=first.count)
    try:
        numbered = enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), start=1)
        rows = {number: row for number, row in numbered if any(cell.strip() for cell in row)}
    except csv.Error as error:  # its words are for programmers
        raise DataError(f"{name} is no table that can be read; expected CSV or TSV text.") from error
    if not rows:
        raise DataError(f"{name} is empty; expected a header and one row an image.")
    header = rows.pop(min(rows))
    return Table(name, [cell.strip() for cell in header], rows)


# --- one column a class ------------------------------------------------------------------------------------------


def with_named_class(table: Table, places: Sequence[int], why: str, advice: str) -> Table:
    """A table of one column a class with one column of labels more: of these columns, the one that holds 1.

    Args:
        table: with the columns.
        places: of the columns.
        why: that they are read so.
        advice: what else may be done.

    Raises:
        DataError: a row has no 1 in them, several, or anything but 0 and 1.
    """
    names = [table.header[place] for place in places]
    rows = {}
    for number, row in table.rows.items():
        cells = [cell_of(row, place) for place in places]
        if sorted(map(_as_bit, cells)) != [0] * (len(cells) - 1) + [1]:
            raise DataError(
                f"row {number} of {table.name} has {first_of(cells, 8)} in the columns {first_of(names, 8)} {why}; "
                "expected one 1 and otherwise 0, for one class an image. Images of several classes at once cannot be "
                f"learnt; {advice}, or drop such rows."
            )
        rows[number] = [*row, *[""] * (len(table.header) - len(row)), names[list(map(_as_bit, cells)).index(1)]]
    return replace(table, header=[*table.header, ONE_HOT], rows=rows)


def one_hot_columns(table: Table, taken: Sequence[int | None]) -> list[int]:
    """Columns that hold nothing but 0 and 1, if there are at least two of them beside those that are taken."""
    places = [
        place
        for place in range(len(table.header))
        if place not in taken and {_as_bit(cell_of(row, place)) for row in table.rows.values()} == {0, 1}
    ]
    return places if len(places) > 1 else []


def _as_bit(cell: str) -> int:
    """0 or 1 as they are written: 1, 1.0; 2 for everything else."""
    match = re.fullmatch(r"\+?0*([01])(?:\.0*)?", cell)
    return int(match[1]) if match else 2


# --- numbers as labels -------------------------------------------------------------------------------------------


def as_number(text: str) -> str:
    """A number as it is written most shortly: 1 for 1.0; other text as it is."""
    match = re.fullmatch(r"([+-]?[0-9]+)\.([0-9]*?)0*", text)
    return text if match is None else match[1] + (f".{match[2]}" if match[2] else "")


def same_numbers(labels: Counter[str]) -> dict[str, str]:
    """Labels that are the same number as another one (1.0 beside 1), and the shortest way to write it."""
    ways = Counter(as_number(label) for label in labels)
    return {label: as_number(label) for label in labels if ways[as_number(label)] > 1 and as_number(label) != label}
