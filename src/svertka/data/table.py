"""A CSV or TSV table of images: which columns hold what, and where the files lie."""

import csv
import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

from svertka.config import RunConfig
from svertka.data.competition import Competition, plain
from svertka.data.files import SPLIT_FOLDERS, Entry, Listing, natural_key
from svertka.data.finder import Finder
from svertka.errors import ConfigError, DataError, NotFoundError, did_you_mean
from svertka.schema import Notice, Rejection

# Compared without case, spaces, dashes and underscores; earlier names win.
_USUAL_NAMES = {
    "path": "path filepath imagepath file filename image imagename imagefile img imageid imgid id name файл путь",
    "label": "label class target category y classname labelname species breed diagnosis dx метка класс",
    "group": "group groupid patient patientid subject subjectid пациент группа",
    "split": "split subset fold partition set выборка",
}
_IMAGE_FOLDERS = ("images", "image", "imgs", "img", "train_images", "train", "data", "photos")
_UNLABELLED_FOLDERS = ("test_images", "test", *_IMAGE_FOLDERS)  # as competitions name them


def list_table(table: Path, config: RunConfig | None = None, competition: Competition | None = None) -> Listing:
    """Lists the images that a table names. Files beside them that it doesn't name are left alone.

    Args:
        table: CSV or TSV; the delimiter is found, UTF-8 (with or without BOM) or Windows-1251.
        config: may name the columns and the folder of the images.
        competition: that the table is the training table of; its sample submission then says which column is the label.

    Raises:
        DataError: no header, no rows, no column of paths or labels, or a split that is none.
        ConfigError: a column that the configuration names is not there.
        NotFoundError: the folder of images that the configuration names is not there.
    """
    config = config or RunConfig(data=str(table))
    header, rows = read_rows(table)
    notices: list[Notice] = []
    if competition is not None:
        header, rows, config = _as_the_sample_says(competition, header, rows, config)
        notices.append(Notice("competition", {"table": table.name, "sample": competition.sample.name}))
    columns = {
        "path": _column(table, header, "path", config.path_column),
        "label": _column(table, header, "label", config.label_column),
        "group": _column(table, header, "group", config.group_column),
        "split": _column(table, header, "split", config.split_column),
    }
    for role in ("path", "label"):
        if columns[role] is None:
            raise _no_column(table, header, role, f"Name it with {role}_column in a file for --config.")
    if columns["split"] is not None:
        values = {_value(row, columns["split"]).casefold() for row in rows.values()} - {""}
        if not config.split_column and values.isdisjoint(SPLIT_FOLDERS):  # numbers of folds, most likely
            notices.append(Notice("split_column_ignored", {"names": [header[columns["split"]]]}))
            columns["split"] = None
        else:
            labelled = [row for row in rows.values() if _value(row, columns["label"])]
            _check_splits(table, header[columns["split"]], [_value(row, columns["split"]) for row in labelled])
    root = _image_root(table, config)
    find = Finder(root, table.parent, _IMAGE_FOLDERS, with_test_images=competition is None)
    entries: list[Entry] = []
    rejected: list[Rejection] = []
    first_rows: dict[str, Entry] = {}
    for number, row in rows.items():
        cells = {"path": _cell(row, columns["path"])}
        cells |= {role: _value(row, columns[role]) for role in ("label", "group", "split")}
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
    header, rows = read_rows(table)
    column = _column(table, header, "path", "")
    if column is None:
        raise _no_column(table, header, "path", "Rename the column that holds the paths to 'path'.")
    folder = table.absolute().parent
    find = Finder(folder, folder, _UNLABELLED_FOLDERS)
    return [(name, folder / (find(name) or name)) for row in rows.values() if (name := _cell(row, column))]


def _no_column(table: Path, header: list[str], role: str, advice: str) -> DataError:
    return DataError(
        f"{table.name} has no column that looks like the {role} (columns: {', '.join(header)}); "
        f"usual names are {', '.join(_USUAL_NAMES[role].split()[:5])}. {advice}"
    )


def read_rows(table: Path) -> tuple[list[str], dict[int, list[str]]]:
    """Header (without spaces around the names) and rows of a CSV or TSV table, by their numbers.

    Numbers are those that a spreadsheet shows: from 1, the header and empty rows counted, though left out here.

    Raises:
        DataError: it cannot be read, or is empty.
    """
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
        numbered = enumerate(csv.reader(io.StringIO(text), delimiter=delimiter), start=1)
        rows = {number: row for number, row in numbered if any(cell.strip() for cell in row)}
    except csv.Error as error:  # its words are for programmers
        raise DataError(f"{table.name} is no table that can be read; expected CSV or TSV text.") from error
    if not rows:
        raise DataError(f"{table.name} is empty; expected a header and one row an image.")
    header = rows.pop(min(rows))
    return [cell.strip() for cell in header], rows


def _as_the_sample_says(
    competition: Competition, header: list[str], rows: dict[int, list[str]], config: RunConfig
) -> tuple[list[str], dict[int, list[str]], RunConfig]:
    """A competition's training table with one column of labels, and a configuration that names its columns.

    The columns that the sample submission asks for are the labels: one column holds them as they are; of several, one
    for each class, the one that holds 1 names the class.
    """
    asked, _ = read_rows(competition.sample)
    path_column, label_column = config.path_column, config.label_column
    if not path_column and asked[0] in header and _column(competition.sample, header, "path", "") is None:
        path_column = asked[0]
    shared = [name for name in asked[1:] if name in header]
    if not label_column and len(shared) == 1:
        label_column = shared[0]
    elif not label_column and len(shared) > 1:
        places = [header.index(name) for name in shared]
        label_column = "class named by a column"
        header = [*header, label_column]
        rows = {n: [*row, _named_class(competition, row, places, shared, n)] for n, row in rows.items()}
    return header, rows, replace(config, path_column=path_column, label_column=label_column)


def _named_class(competition: Competition, row: list[str], places: list[int], names: list[str], number: int) -> str:
    cells = [_cell(row, place) for place in places]
    try:
        chosen = [name for name, cell in zip(names, cells, strict=True) if float(cell) == 1]
        others = [cell for cell in cells if float(cell) not in (0, 1)]
    except ValueError:
        chosen, others = [], cells
    if len(chosen) != 1 or others:
        raise DataError(
            f"row {number} of the training table has {', '.join(cells)} in the columns {', '.join(names)} that "
            f"{competition.sample.name} asks for; expected one 1 and otherwise 0, for one class an image. Images of "
            "several classes at once cannot be learnt; name another column as label_column, or drop such rows."
        )
    return chosen[0]


def _column(table: Path, header: list[str], role: str, named: str) -> int | None:
    """Index of a column: the one that is named, else by its usual names, else None."""
    if named:
        if named in header:
            return header.index(named)
        listed = ", ".join(header)
        hint = did_you_mean(named, header)
        raise ConfigError(f"{role}_column is {named!r}, but {table.name} has the columns {listed}.{hint}")
    names = [plain(name) for name in header]
    return next((names.index(name) for name in _USUAL_NAMES[role].split() if name in names), None)


def _check_splits(table: Path, name: str, values: list[str]) -> None:
    """Stops at a split that is none: leaving its rows out would quietly cost the person a whole part.

    Raises:
        DataError: it names the value.
    """
    unknown = Counter(value for value in values if value and value.casefold() not in SPLIT_FOLDERS)
    if unknown:
        value, count = unknown.most_common(1)[0]
        raise DataError(
            f"column {name!r} of {table.name} has {value!r} in {count} of {len(values)} rows; expected train, val or "
            f"test, or nothing where svertka is to choose.{did_you_mean(value.casefold(), SPLIT_FOLDERS)} Correct it, "
            "or rename the column if it is none of splits."
        )


def _cell(row: list[str], index: int | None) -> str:
    return row[index].strip() if index is not None and index < len(row) else ""


def _value(row: list[str], index: int | None) -> str:
    """A cell other than the path; ``nan`` is how programs write that nothing is known."""
    cell = _cell(row, index)
    return "" if cell.casefold() == "nan" else cell


def _entry(find: Finder, cells: dict[str, str], number: int) -> Entry | Rejection:
    named = cells["path"]
    if not named:
        return Rejection(path=f"row {number}", reason="no_path", detail=f"row {number} of the table names no file")
    path = find(named)
    if path is None:
        return Rejection(path=named, reason="missing", detail=f"row {number} names it, but there is no such file")
    if not cells["label"]:
        return Rejection(path=path, reason="no_label", detail=f"row {number} has an empty label")
    split = SPLIT_FOLDERS[cells["split"].casefold()] if cells["split"] else None
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
