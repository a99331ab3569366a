"""Recognises the folder of a competition: training images, wanted columns, and images without labels.

What makes a folder one is its sample submission. Beside it lies a training table (``train.csv`` …) or, where that is
missing, a folder ``train`` with one folder a class. Test images are never classes: their labels are what is asked for.
"""

from dataclasses import dataclass
from pathlib import Path

from svertka.data.listing import TABLE_SUFFIXES, is_hidden

TRAIN_TABLES = ("train", "trainlabels", "traininglabels", "labels", "training")
_SAMPLES = ("samplesubmission", "submissionsample", "submissionformat", "samplesub", "submissiontemplate")
_TEST_FOLDERS = ("test", "testing", "testimages", "testset", "testimage", "testimgs", "testjpg", "testpng", "test1")


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
