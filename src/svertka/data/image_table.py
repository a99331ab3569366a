"""A table of images: which columns hold what, and where the files lie."""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath

from svertka.config import RunConfig
from svertka.data.formats import UNSUPPORTED_SUFFIXES, is_image
from svertka.data.listing import SPLIT_FOLDERS, Competition, Entry, Listing, is_test_image, natural_key, walk
from svertka.data.rows import (
    ONE_HOT,
    USUAL_NAMES,
    Table,
    cell_of,
    looks_missing,
    one_hot_columns,
    read_table,
    same_numbers,
    with_named_class,
)
from svertka.errors import DataError, NotFoundError, did_you_mean
from svertka.schema import Notice, Rejection

_IMAGE_FOLDERS = ("images", "image", "imgs", "img", "train_images", "train", "data", "photos")
_UNLABELLED_FOLDERS = ("test_images", "test", *_IMAGE_FOLDERS)  # as competitions name them


def ways_to_name(path: str) -> set[str]:
    """Every end of a path, with and without its suffix: a/b.png is found by b.png, by b and by a/b too."""
    parts = path.split("/")
    ends = {"/".join(parts[start:]) for start in range(len(parts))}
    return ends | {str(PurePosixPath(end).with_suffix("")) for end in ends}


class Finder:
    """From what a table says to a path relative to the root: as written, in the usual folders, by name or stem."""

    def __init__(
        self, root: Path, table_folder: Path, usual: tuple[str, ...], *, with_test_images: bool = True
    ) -> None:
        self._root = root
        self._with_test_images = with_test_images
        self._usual = [folder for name in usual if (folder := root / name).is_dir()]
        self._folders = [root, table_folder, *self._usual]
        self._by_name: dict[str, str] | None = None
        self._several: dict[str, tuple[str, ...]] = {}

    def __call__(self, named: str) -> str | None:
        """The file of a name, relative to the root where it lies below; None if there is none, or more than one."""
        for name in dict.fromkeys((named, named.strip(), named.strip().replace("\\", "/"))):
            for folder in self._folders:
                path = folder / name
                try:
                    if path.is_file():
                        return self._relative(path)
                except (OSError, ValueError):  # too long, or a null byte: no such file
                    return None
        if self._by_name is None:
            self._by_name = self._index()
        return self._by_name.get(name)

    def two_files(self, named: str) -> str:
        """For a name that means none because several bear it: which; otherwise ""."""
        several = self._several.get(named.strip().replace("\\", "/"), ())
        return f"two files match: {' and '.join(several)}" if several else ""

    def _index(self) -> dict[str, str]:
        """Every end of every image's path, with and without suffix; the usual folders come first.

        A name that two files bear finds neither: guessing would give an image another's label.
        """
        index: dict[str, str] = {}
        for folder in [*self._usual, self._root]:
            here: dict[str, str] = {}
            twice: dict[str, tuple[str, ...]] = {}
            for path in walk(folder):
                if path.suffix.lower() in UNSUPPORTED_SUFFIXES or not is_image(path):
                    continue
                relative = self._relative(path)
                if not self._with_test_images and is_test_image(Path(relative)):
                    continue  # an unlabelled image may bear the name of a labelled one
                for key in ways_to_name(relative):
                    if (first := here.setdefault(key, relative)) != relative:
                        twice.setdefault(key, (first, relative))
            index = {key: path for key, path in here.items() if key not in twice} | index
            self._several |= twice
        return index

    def _relative(self, path: Path) -> str:
        path = Path(os.path.normpath(path))
        return path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else path.as_posix()


def list_table(file: Path, config: RunConfig | None = None, competition: Competition | None = None) -> Listing:
    """Lists the images that a table names. Files beside them that it doesn't name are left alone.

    Args:
        file: CSV or TSV; delimiter and encoding are found, see ``rows``.
        config: may name the columns, the encoding and the folder of the images.
        competition: that the table is the training table of; its sample submission then says which column is the label.

    Raises:
        DataError: no header, no rows, no column of paths or labels, a split that is none, or bytes that may be read in
            several ways.
        ConfigError: a column that the configuration names is not there, or the encoding is another.
        NotFoundError: the folder of images that the configuration names is not there.
    """
    config = config or RunConfig(data=str(file))
    table = read_table(file, config.encoding)
    notices: list[Notice] = []
    if competition is not None:
        notices.append(Notice("competition", {"table": table.name, "sample": competition.sample.name}))
        table, config = _as_the_sample_says(competition, table, config, notices)
    columns = {role: table.column(role, getattr(config, f"{role}_column")) for role in USUAL_NAMES}
    if columns["path"] is not None and columns["label"] is None:
        table, columns["label"] = _one_hot(table, columns, notices)
    for role in ("path", "label"):
        if columns[role] is None:
            raise table.no_column(role, f"Name it with {role}_column in a file for --config.")
    if columns["split"] is not None:
        _check_or_drop_split(table, columns, config, notices)
    root = _image_root(file, config)
    find = Finder(root, file.parent, _IMAGE_FOLDERS, with_test_images=competition is None)
    spellings = _read_labels(table, columns["label"], notices)
    rejected: list[Rejection] = []
    entries: dict[str, Entry] = {}
    for number, row in table.rows.items():
        label = cell_of(row, columns["label"])
        cells = {"path": _raw(row, columns["path"]), "label": spellings.get(label, label)}
        cells |= {role: _known(cell_of(row, columns[role])) for role in ("group", "split")}
        entry = _entry(find, cells, number)
        if isinstance(entry, Rejection):
            rejected.append(entry)
        elif contradiction := _contradiction(entries.setdefault(entry.path, entry), entry, number):
            rejected.append(contradiction)
    if not entries and not rejected:
        raise DataError(f"{table.name} has a header but no rows; expected one row an image.")
    in_order = tuple(entries[path] for path in sorted(entries, key=natural_key))
    names = {role: table.header[index] for role, index in columns.items() if index is not None}
    used = {role: name for role, name in names.items() if name != ONE_HOT}
    notices = [Notice("table_columns", {"table": table.name, "columns": used}), *table.notices, *notices]
    return Listing(root=root, layout="table", entries=in_order, rejected=tuple(rejected), notices=tuple(notices))


def list_paths(file: Path, config: RunConfig | None = None) -> tuple[list[tuple[str, Path, str]], tuple[Notice, ...]]:
    """Names that a table of unlabelled images holds, and the file that each means; ``list_table`` finds them alike.

    A name that means no file stands for one of that name beside the table.

    Returns:
        Names, files, and "two files match: …" where two bear the name, otherwise ""; then what had to be guessed.

    Raises:
        DataError: the table cannot be read, or has no column of paths.
        ConfigError: a column that the configuration names is not there, or the encoding is another.
        NotFoundError: the folder of images that the configuration names is not there.
    """
    config = config or RunConfig(data=str(file))
    table = read_table(file, config.encoding)
    column = table.column("path", config.path_column)
    if column is None:
        raise table.no_column("path", "Name it with path_column in a file for --config.")
    folder = _image_root(file.absolute(), config)
    find = Finder(folder, file.absolute().parent, _UNLABELLED_FOLDERS)
    named = [_raw(row, column) for row in table.rows.values() if cell_of(row, column)]
    found = [(name.strip(), find(name), find.two_files(name)) for name in named]
    return [(name, folder / (path or name), "" if path else why_not) for name, path, why_not in found], table.notices


def _as_the_sample_says(
    competition: Competition, table: Table, config: RunConfig, notices: list[Notice]
) -> tuple[Table, RunConfig]:
    """A competition's training table with one column of labels, and a configuration that names its columns.

    The columns that the sample submission asks for are the labels: one column holds them as they are; of several, one
    for each class, the one that holds 1 names the class.
    """
    asked = read_table(competition.sample, config.encoding).header
    path_column, label_column = config.path_column, config.label_column
    if not path_column and asked[0] in table.header and table.column("path", "") is None:
        path_column = asked[0]
    shared = [name for name in asked[1:] if name in table.header]
    if not label_column and len(shared) == 1:
        label_column = shared[0]
    elif not label_column and len(shared) > 1:
        places = [table.header.index(name) for name in shared]
        why = f"that {competition.sample.name} asks for"
        table = with_named_class(table, places, why, "name another column as label_column")
        label_column = table.header[-1]
        notices.append(Notice("one_hot", {"names": shared}))
    return table, replace(config, path_column=path_column, label_column=label_column)


def _one_hot(table: Table, columns: dict[str, int | None], notices: list[Notice]) -> tuple[Table, int | None]:
    """A table without a column of labels, with one that its columns of 0 and 1 make up; as it is if it has none."""
    places = one_hot_columns(table, list(columns.values()))
    if not places:
        return table, None
    names = [table.header[place] for place in places]
    why = f"(there is no column named {', '.join(USUAL_NAMES['label'].split()[:2])} or the like)"
    table = with_named_class(table, places, why, "name the column of labels with label_column in a file for --config")
    notices.append(Notice("one_hot", {"names": names}))
    return table, len(table.header) - 1


def _check_or_drop_split(
    table: Table, columns: dict[str, int | None], config: RunConfig, notices: list[Notice]
) -> None:
    """Drops a column that was only guessed and names no part; else stops at a value that is none.

    Leaving those rows out would quietly cost the person a whole part.

    Raises:
        DataError: it names the value.
    """
    place = columns["split"]
    assert place is not None
    values = {_known(cell_of(row, place)).casefold() for row in table.rows.values()} - {""}
    if not config.split_column and values.isdisjoint(SPLIT_FOLDERS):  # numbers of folds, most likely
        notices.append(Notice("split_column_ignored", {"names": [table.header[place]]}))
        columns["split"] = None
        return
    labelled = [_known(cell_of(row, place)) for row in table.rows.values() if cell_of(row, columns["label"])]
    unknown = Counter(value for value in labelled if value and value.casefold() not in SPLIT_FOLDERS)
    if unknown:
        value, count = unknown.most_common(1)[0]
        raise DataError(
            f"column {table.header[place]!r} of {table.name} has {value!r} in {count} of {len(labelled)} rows; "
            "expected train, val or test, or nothing where svertka is to choose."
            f"{did_you_mean(value.casefold(), SPLIT_FOLDERS)} Correct it, or rename the column if it is none of splits."
        )


def _read_labels(table: Table, place: int | None, notices: list[Notice]) -> dict[str, str]:
    """How labels are spelt anew: those that are one number become one class. What may surprise is noted."""
    labels = Counter(label for row in table.rows.values() if (label := cell_of(row, place)))
    if names := [label for label in labels if looks_missing(label)]:
        notices.append(Notice("labels_like_missing", {"names": names}))
    spellings = same_numbers(labels)
    if spellings:
        notices.append(Notice("same_numbers", {"names": list(spellings)}))
    return spellings


def _raw(row: list[str], index: int | None) -> str:
    """A cell with the spaces around it, which names of files may have."""
    return row[index] if index is not None and index < len(row) else ""


def _known(cell: str) -> str:
    """A group or part; ``nan`` is how programs write that there is none."""
    return "" if cell.casefold() == "nan" else cell


def _entry(find: Finder, cells: dict[str, str], number: int) -> Entry | Rejection:
    named = cells["path"].strip()
    if not named:
        return Rejection(path=f"row {number}", reason="no_path", detail=f"row {number} of the table names no file")
    path = find(cells["path"])
    if path is None:
        two_files = find.two_files(named)
        detail = f"row {number} names it, but {two_files or 'there is no such file'}"
        return Rejection(path=named, reason="two_files" if two_files else "missing", detail=detail)
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
