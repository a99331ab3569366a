"""Lists files and their labels in natural order, before any pixel is read; and recognises a competition's folder.

What makes a folder a competition's is its sample submission. Beside it lies a training table (``train.csv`` …) or,
where that is missing, a folder ``train`` with one folder a class. Test images are never classes: their labels are what
is asked for.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from svertka.data.formats import READABLE_SUFFIXES, is_image
from svertka.schema import Notice, Rejection, SplitName

SPLIT_FOLDERS: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
TABLE_SUFFIXES = frozenset({".csv", ".tsv"})
TRAIN_TABLES = ("train", "trainlabels", "traininglabels", "labels", "training")
_SAMPLES = ("samplesubmission", "submissionsample", "submissionformat", "samplesub", "submissiontemplate")
_TEST_FOLDERS = ("test", "testing", "testimages", "testset", "testimage", "testimgs", "testjpg", "testpng", "test1")
_HIDDEN_NAMES = frozenset({"__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "@eadir"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One file to decode. ``path`` as in ``ImageRecord.path``, ``label`` by name."""

    path: str
    label: str
    split: SplitName | None = None
    group: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What a folder or table holds, before any pixel is read. ``entries`` in natural order of the path."""

    root: Path
    layout: Literal["class folders", "split folders", "table"]
    entries: tuple[Entry, ...]
    rejected: tuple[Rejection, ...] = ()
    notices: tuple[Notice, ...] = ()


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts ``img2`` before ``img10``; ties (``Img1``, ``img1``) are broken by the text itself."""
    parts = [part for part in re.split(r"([0-9]+)", text.casefold()) if part]
    numbers = [part.lstrip("0") if part[0] in "0123456789" else None for part in parts]
    keys = [  # by the number of digits first: there may be more of them than int takes
        (1, 0, part) if number is None else (0, len(number), number)
        for part, number in zip(parts, numbers, strict=True)
    ]
    return (*keys, (2, 0, text))


def is_hidden(name: str) -> bool:
    """What systems and tools leave behind: ``.DS_Store``, ``._x.jpg``, ``__MACOSX`` and the like."""
    return name.startswith((".", "~$")) or name.casefold() in _HIDDEN_NAMES


def walk(folder: Path, barred: Iterable[Path] = ()) -> Iterator[Path]:
    """Every visible file below ``folder``, links followed, each real folder once (so link loops end).

    A folder below it that cannot be listed is yielded itself.

    Links never lead into ``barred`` folders or those above ``folder``: a link from a class back to the root would
    otherwise give every image this class's label.
    """
    seen = {_identity(other) for other in (*barred, *folder.resolve().parents)} - {_identity(folder)}
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        identity = _identity(current)
        try:
            names = sorted((path.name for path in current.iterdir() if not is_hidden(path.name)), key=natural_key)
        except OSError:
            if current != folder:
                yield current
            continue
        if identity in seen:
            continue
        seen.add(identity)
        deeper = []
        for name in names:
            path = current / name
            if path.is_dir() and path.suffix.lower() not in READABLE_SUFFIXES:
                deeper.append(path)
            else:
                yield path
        waiting.extend(reversed(deeper))


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode: what two names of one folder have in common."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def sort_out(paths: Iterable[Path]) -> tuple[list[Path], Counter[str]]:
    """What is to be decoded, and how many other files there are of each kind (their suffix, or ``"none"``).

    A folder among them is one that cannot be listed, or that bears an image's name: decoding it says so.
    """
    images: list[Path] = []
    others: Counter[str] = Counter()
    for path in paths:
        if is_image(path) or path.is_dir():
            images.append(path)
        else:
            others[path.suffix.lower() or "none"] += 1
    return images, others


def others_skipped(kinds: Counter[str]) -> Notice:
    """Says how many files of which kinds are no images."""
    return Notice("other_files_skipped", {"n": kinds.total(), "kinds": dict(sorted(kinds.items()))})


@dataclass(frozen=True, slots=True)
class Competition:
    """What a competition's folder holds beside its images.

    Attributes:
        train: the table of training images; None where class folders teach.
    """

    sample: Path
    train: Path | None


def find_competition(root: Path) -> Competition | None:
    """The competition in a folder, or None where there is no sample submission."""
    tables = {
        plain(path.stem): path
        for path in sorted(root.iterdir(), reverse=True)
        if path.suffix.lower() in TABLE_SUFFIXES and path.is_file() and not is_hidden(path.name)
    }
    sample = next((path for name, path in tables.items() if name.startswith(_SAMPLES)), None)
    if sample is None:
        return None
    return Competition(sample, next((tables[name] for name in TRAIN_TABLES if name in tables), None))


def is_test_image(relative: Path) -> bool:
    """Whether a path below a competition's folder lies in a folder of test images."""
    return any(map(is_test_folder, relative.parts[:-1]))


def is_test_folder(name: str) -> bool:
    """Whether a folder of this name holds a competition's test images."""
    return plain(name) in _TEST_FOLDERS


def plain(name: str) -> str:
    """A name without case, spaces, dashes and underscores."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())
