"""Recognises how images and labels are laid out in folders or tables, and lists them. Reads no pixels.

========================= ==========================================================================
``root/<class>/…``         class folders; folders below a class belong to it
``root/train/<class>/…``   split folders (train, val | valid | validation | dev, test), one class map for all
``table.csv`` or a folder   with ``train.csv`` or ``labels.csv`` and no class folders: see ``table``
a competition's folder      with a sample submission: see ``listing``
========================= ==========================================================================
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from svertka.config import RunConfig
from svertka.data.formats import is_image
from svertka.data.image_table import list_table
from svertka.data.listing import (
    SPLIT_FOLDERS,
    TABLE_SUFFIXES,
    Entry,
    Listing,
    find_competition,
    is_hidden,
    is_test_folder,
    natural_key,
    others_skipped,
    sort_out,
    walk,
)
from svertka.errors import ConfigError, DataError, NotFoundError
from svertka.schema import SPLIT_NAMES, Notice, SplitName

TABLE_NAMES = ("train.csv", "train.tsv", "labels.csv", "labels.tsv")


def list_files(root: Path | str, config: RunConfig | None = None) -> Listing:
    """Lists the images of a folder or table with their labels.

    Raises:
        NotFoundError: there is nothing at ``root``.
        DataError: neither class folders nor a usable table.
        ConfigError: a column that the configuration names is not in the table.
    """
    root = Path(root).expanduser().absolute()
    if not root.exists():
        raise NotFoundError(f"There is no {root}; expected a folder of images or a CSV/TSV table.")
    if root.is_file():
        if root.suffix.lower() not in TABLE_SUFFIXES:
            raise DataError(
                f"{root} is a single file; expected a folder with one folder a class, or a .csv/.tsv table."
            )
        beside = find_competition(root.parent)
        return list_table(root, config, beside if beside is not None and beside.train == root else None)
    if not root.is_dir():
        raise DataError(
            f"{root} is neither a folder nor a regular file; expected a folder of images or a CSV/TSV table."
        )
    folders = _visible_folders(root)
    competition = find_competition(root)
    if competition is not None and competition.train is not None:
        return list_table(competition.train, config, competition)
    if competition is not None:  # its test images have no labels, whatever folders they lie in
        folders = [folder for folder in folders if not is_test_folder(folder.name)]
    splits = [folder for folder in folders if folder.name.lower() in SPLIT_FOLDERS and _visible_folders(folder)]
    has_train = any(SPLIT_FOLDERS[folder.name.lower()] == "train" for folder in splits)
    if splits and (has_train or len(splits) == len(folders)):
        _refuse_columns(root, config)
        return _list_split_folders(root, splits, folders)
    table = next((root / name for name in TABLE_NAMES if (root / name).is_file()), None)
    if table is not None and not any(_visible_folders(folder) for folder in folders) and _is_beside_images(folders):
        return list_table(table, config)
    if folders and all(folder.name.lower() in SPLIT_FOLDERS for folder in folders):
        raise DataError(
            f"{root} has split folders ({', '.join(folder.name for folder in folders)}) without class folders in them; "
            f"expected {folders[0].name}/<class>/…, or a table named {TABLE_NAMES[0]} beside them."
        )
    _refuse_columns(root, config)
    return _list_class_folders(root, folders)


def _refuse_columns(root: Path, config: RunConfig | None) -> None:
    """Folders have no columns: silently ignoring one that the user named would tear groups apart."""
    for role in ("path", "label", "group", "split"):
        if config is not None and (named := getattr(config, f"{role}_column")):
            raise ConfigError(
                f"{role}_column is {named!r}, but {root} is read as folders, which have no columns; "
                "name the table instead of the folder, or use group_regex over the file names."
            )


def _is_beside_images(folders: list[Path]) -> bool:
    """A table decides unless folders look like classes: one folder, or the usual names, hold the images."""
    usual = {"train", "test", "images", "image", "imgs", "img", "data", "photos", "train_images", "test_images"}
    return len(folders) <= 1 or all(folder.name.casefold() in usual for folder in folders)


def _visible_folders(folder: Path) -> list[Path]:
    try:
        found = [path for path in folder.iterdir() if not is_hidden(path.name)]
    except OSError as error:
        raise DataError(f"{folder} cannot be listed ({error.strerror}); check its permissions.") from error
    return sorted((path for path in found if path.is_dir()), key=lambda path: natural_key(path.name))


def _list_class_folders(root: Path, folders: list[Path]) -> Listing:
    if not folders:
        raise DataError(
            f"{root} has no folders; expected one folder a class (cats/, dogs/ …), each with its images, "
            f"or a table named {TABLE_NAMES[0]} or {TABLE_NAMES[2]}."
        )
    classes = [(folder.name, None, folder) for folder in folders]
    return _listing(root, "class folders", classes, [])


def _list_split_folders(root: Path, splits: list[Path], folders: list[Path]) -> Listing:
    classes = [
        (child.name, SPLIT_FOLDERS[split.name.lower()], child) for split in splits for child in _visible_folders(split)
    ]
    notices = []
    names = sorted({name for name, _, _ in classes}, key=natural_key)
    for split in sorted({split for _, split, _ in classes}, key=SPLIT_NAMES.index):
        missing = [name for name in names if (name, split) not in {(name, part) for name, part, _ in classes}]
        if missing:
            notices.append(Notice("class_missing_in_split", {"part": split, "names": missing}, level="warning"))
    if others := [folder.name for folder in folders if folder not in splits]:
        notices.append(Notice("folders_ignored", {"names": others}, level="warning"))
    return _listing(root, "split folders", classes, notices)


def _listing(
    root: Path,
    layout: Literal["class folders", "split folders"],
    classes: Sequence[tuple[str, SplitName | None, Path]],
    notices: list[Notice],
) -> Listing:
    entries: list[Entry] = []
    skipped: Counter[str] = Counter()
    barred = [root, *(folder for _, _, folder in classes)]
    for name, split, folder in classes:
        images, others = sort_out(walk(folder, barred))
        skipped += others
        entries += [Entry(path=path.relative_to(root).as_posix(), label=name, split=split) for path in images]
        if not images:
            empty = folder.relative_to(root).as_posix()
            notices.append(Notice("class_without_images", {"folder": empty}, level="warning"))
    if skipped:
        notices.append(others_skipped(skipped))
    above = {root, *(folder.parent for _, _, folder in classes)}
    if beside := sum(not is_hidden(path.name) and is_image(path) for folder in above for path in _files(folder)):
        notices.append(Notice("images_in_no_class", {"n": beside}, level="warning"))
    entries.sort(key=lambda entry: natural_key(entry.path))
    return Listing(root=root, layout=layout, entries=tuple(entries), notices=tuple(notices))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.is_dir()]
