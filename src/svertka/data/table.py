"""A CSV or TSV table of images: which columns hold what, and where the files lie."""

import csv
import io
import os
from pathlib import Path, PurePosixPath

from svertka.config import RunConfig
from svertka.data.decode import READABLE_SUFFIXES
from svertka.data.files import SPLIT_FOLDERS, Entry, Listing, natural_key, walk
from svertka.errors import ConfigError, DataError, NotFoundError, did_you_mean
from svertka.schema import Notice, Rejection, SplitName

# Compared without case, spaces, dashes and underscores; earlier names win.
_USUAL_NAMES = {
    "path": "path filepath imagepath file filename image imagename imagefile img imageid imgid id name файл путь",
    "label": "label class target category y classname labelname species breed diagnosis dx метка класс",
    "group": "group groupid patient patientid subject subjectid пациент группа",
    "split": "split subset fold partition set выборка",
}
_IMAGE_FOLDERS = ("images", "image", "imgs", "img", "train_images", "train", "data", "photos")
_UNLABELLED_FOLDERS = ("test_images", "test", *_IMAGE_FOLDERS)  # as competitions name them


def list_table(table: Path, config: RunConfig | None = None) -> Listing:
    """Lists the images that a table names. Files beside them that it doesn't name are left alone.

    Args:
        table: CSV or TSV; the delimiter is found, UTF-8 (with or without BOM) or Windows-1251.
        config: may name the columns and the folder of the images.

    Raises:
        DataError: no header, no rows, or no column of paths or labels.
        ConfigError: a column that the configuration names is not there.
        NotFoundError: the folder of images that the configuration names is not there.
    """
    config = config or RunConfig(data=str(table))
    header, rows = _read(table)
    columns = {
        "path": _column(table, header, "path", config.path_column),
        "label": _column(table, header, "label", config.label_column),
        "group": _column(table, header, "group", config.group_column),
        "split": _column(table, header, "split", config.split_column),
    }
    for role in ("path", "label"):
        if columns[role] is None:
            raise _no_column(table, header, role, f"Name it with {role}_column.")
    notices: list[Notice] = []
    if columns["split"] is not None and not config.split_column:
        values = {_cell(row, columns["split"]).casefold() for row in rows} - {""}
        if values.isdisjoint(SPLIT_FOLDERS):  # numbers of folds, most likely
            notices.append(Notice("split_column_ignored", {"names": [header[columns["split"]]]}))
            columns["split"] = None
    root = _image_root(table, config)
    find = _Finder(root, table.parent, _IMAGE_FOLDERS)
    entries: list[Entry] = []
    rejected: list[Rejection] = []
    first_rows: dict[str, Entry] = {}
    for number, row in enumerate(rows, start=2):
        cells = {role: _cell(row, index) for role, index in columns.items()}
        entry = _entry(find, cells, number)
        if isinstance(entry, Rejection):
            rejected.append(entry)
        elif entry.path not in first_rows:
            first_rows[entry.path] = entry
            entries.append(entry)
        elif contradiction := _contradiction(first_rows[entry.path], entry, number):
            rejected.append(contradiction)
    if not entries and not rejected:
        raise DataError(f"{table.name} has a header but no rows; expected one row an image.")
    entries.sort(key=lambda entry: natural_key(entry.path))
    used = {role: header[index] for role, index in columns.items() if index is not None}
    notices.insert(0, Notice("table_columns", {"table": table.name, "columns": used}))
    return Listing(root=root, layout="table", entries=tuple(entries), rejected=tuple(rejected), notices=tuple(notices))


def list_paths(table: Path) -> list[tuple[str, Path]]:
    """Names that a table of unlabelled images holds, and the file that each means; ``list_table`` finds them alike.

    A name that means no file stands for one of that name beside the table.

    Raises:
        DataError: the table cannot be read, or has no column of paths.
    """
    header, rows = _read(table)
    column = _column(table, header, "path", "")
    if column is None:
        raise _no_column(table, header, "path", "Rename the column that holds the paths to 'path'.")
    folder = table.absolute().parent
    find = _Finder(folder, folder, _UNLABELLED_FOLDERS)
    return [(name, folder / (find(name) or name)) for row in rows if (name := _cell(row, column))]


def _no_column(table: Path, header: list[str], role: str, advice: str) -> DataError:
    return DataError(
        f"{table.name} has no column that looks like the {role} (columns: {', '.join(header)}); "
        f"usual names are {', '.join(_USUAL_NAMES[role].split()[:5])}. {advice}"
    )


def _read(table: Path) -> tuple[list[str], list[list[str]]]:
    try:
        data = table.read_bytes()
    except OSError as error:
        raise DataError(f"{table} cannot be read ({error.strerror}); check its permissions.") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1251", errors="replace")
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    if not first:
        raise DataError(f"{table.name} is empty; expected a header and one row an image.")
    # csv.Sniffer guesses from letter counts and is fooled by paths; the header alone decides better.
    delimiter = max(",;\t|", key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataError(f"{table.name} is no table that can be read ({error}); expected CSV or TSV text.") from error
    return [cell.strip() for cell in rows[0]], rows[1:]


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _column(table: Path, header: list[str], role: str, named: str) -> int | None:
    """Index of a column: the one that is named, else by its usual names, else None."""
    if named:
        if named in header:
            return header.index(named)
        listed = ", ".join(header)
        hint = did_you_mean(named, header)
        raise ConfigError(f"{role}_column is {named!r}, but {table.name} has the columns {listed}.{hint}")
    plain = [_plain(name) for name in header]
    return next((plain.index(name) for name in _USUAL_NAMES[role].split() if name in plain), None)


def _cell(row: list[str], index: int | None) -> str:
    return row[index].strip() if index is not None and index < len(row) else ""


def _entry(find: "_Finder", cells: dict[str, str], number: int) -> Entry | Rejection:
    named = cells["path"]
    if not named:
        return Rejection(path=f"row {number}", reason="no_path", detail=f"row {number} of the table names no file")
    path = find(named)
    if path is None:
        return Rejection(path=named, reason="missing", detail=f"row {number} names it, but there is no such file")
    if not cells["label"]:
        return Rejection(path=path, reason="no_label", detail=f"row {number} has an empty label")
    split: SplitName | None = None
    if cells["split"]:
        split = SPLIT_FOLDERS.get(cells["split"].casefold())
        if split is None:
            detail = f"row {number} puts it into split {cells['split']!r}; expected train, val or test"
            return Rejection(path=path, reason="unknown_split", detail=detail)
    return Entry(path=path, label=cells["label"], split=split, group=cells["group"] or None)


def _contradiction(first: Entry, second: Entry, number: int) -> Rejection | None:
    """What is wrong with a later row about the same file; None where it only repeats the first."""
    for reason, name in (("label_conflict", "label"), ("split_conflict", "split"), ("group_conflict", "group")):
        old, new = getattr(first, name), getattr(second, name)
        if old != new:
            detail = f"row {number} gives it the {name} {new or ''!r}, an earlier row {old or ''!r}"
            return Rejection(path=second.path, reason=reason, detail=detail)
    return None


def _image_root(table: Path, config: RunConfig) -> Path:
    if not config.images:
        return table.parent
    root = Path(config.images).expanduser()
    for folder in (root, table.parent / root):
        if folder.is_dir():
            return folder.absolute()
    raise NotFoundError(f"images is {config.images!r}, but there is no such folder; name the folder of the images.")


def _ways_to_name(path: str) -> set[str]:
    """Every end of a path, with and without its suffix: a/b.png is found by b.png, by b and by a/b too."""
    parts = path.split("/")
    ends = {"/".join(parts[start:]) for start in range(len(parts))}
    return ends | {str(PurePosixPath(end).with_suffix("")) for end in ends}


class _Finder:
    """From what a table says to a path relative to the root: as written, in the usual folders, by name or stem."""

    def __init__(self, root: Path, table_folder: Path, usual: tuple[str, ...]) -> None:
        self._root = root
        self._usual = [folder for name in usual if (folder := root / name).is_dir()]
        self._folders = [root, table_folder, *self._usual]
        self._by_name: dict[str, str] | None = None

    def __call__(self, named: str) -> str | None:
        named = named.replace("\\", "/")
        for folder in self._folders:
            path = folder / named
            try:
                if path.is_file():
                    return self._relative(path)
            except (OSError, ValueError):  # too long, or a null byte: no such file
                return None
        if self._by_name is None:
            self._by_name = self._index()
        return self._by_name.get(named)

    def _index(self) -> dict[str, str]:
        """Every end of every image's path, with and without suffix; the usual folders come first.

        A name that two files bear finds neither: guessing would give an image another's label.
        """
        index: dict[str, str] = {}
        for folder in [*self._usual, self._root]:
            here: dict[str, str] = {}
            twice: set[str] = set()
            for path in walk(folder):
                if path.suffix.lower() not in READABLE_SUFFIXES:
                    continue
                relative = self._relative(path)
                for key in _ways_to_name(relative):
                    if here.setdefault(key, relative) != relative:
                        twice.add(key)
            index = {key: path for key, path in here.items() if key not in twice} | index
        return index

    def _relative(self, path: Path) -> str:
        path = Path(os.path.normpath(path))
        return path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else path.as_posix()
