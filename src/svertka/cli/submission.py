"""Writes a submission in the sample's format: its ids, columns and order, labels or probabilities. No torch."""

import csv
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svertka.bundle.predictor import AUTO, open_predictor
from svertka.cli.answers import Answers
from svertka.cli.inputs import Input, find_inputs, table_config
from svertka.cli.output import begins, may_write, phrase, say, table_to, terminal
from svertka.data.image_table import ways_to_name
from svertka.data.listing import is_test_image, plain
from svertka.data.rows import as_number, read_table
from svertka.errors import ConfigError, DataError, NotFoundError, did_you_mean, first_of

LABELS = "labels"
_POSITIVE = {"1": "0", "true": "false", "yes": "no", "positive": "negative"}

Cells = Callable[[NDArray[np.float32]], list[str]]


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample submission: header, rows, and which column holds the ids."""

    path: Path
    header: list[str]
    rows: list[list[str]]
    id_column: int

    @property
    def ids(self) -> list[str]:
        """As they are written, one a row."""
        return [row[self.id_column] for row in self.rows]

    @property
    def asked(self) -> list[str]:
        """Names of the columns that are to be filled."""
        return [name for column, name in enumerate(self.header) if column != self.id_column]

    def held(self, name: str) -> set[str]:
        """What the sample has in a column: an example of what is wanted."""
        return {row[self.header.index(name)].strip() for row in self.rows} - {""}


def submit(
    bundle: str,
    paths: Sequence[str],
    sample_file: str,
    out: str = "",
    wanted: str = "",
    threads: int = 0,
    engine: str = AUTO,
    config_file: str = "",
) -> int:
    """Writes a submission; only images that the sample asks for are read. The arguments are options of ``predict``.

    Returns:
        The exit code, 0.

    Raises:
        ConfigError: the sample's columns don't fit the classes.
        DataError: ids without an image, with several, or with one that cannot be read.
        NotFoundError: there is no sample, or a path means no file.
    """
    if not sample_file:
        raise ConfigError(f"--wanted is {wanted!r}, but it goes with --sample-submission FILE only.")
    predictor = open_predictor(bundle, threads, engine)
    inputs = find_inputs(paths, config_file)
    index = _Index(inputs)
    config = table_config(config_file)
    sample = read_sample(Path(sample_file), index, config.encoding if config else "")
    if out:
        may_write(Path(out), [sample_file, *paths, *(one.file for one in inputs)], begins(sample.header))
    cells, said = choose_cells(sample, predictor.bundle.class_names, wanted)
    images = find_images(sample, index)
    answers = Answers(predictor, list(dict.fromkeys(images)))
    filled = _fill(answers, cells)
    with table_to(out) as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(sample.header)
        for written, image in zip(sample.ids, images, strict=True):
            row = list(filled[image])
            row.insert(sample.id_column, written)
            rows.writerow(row)
    say(phrase("rows_to" if out else "rows", n=len(images), what=said, path=out))
    answers.say_doubts()
    return 0


def _fill(answers: Answers, cells: Cells) -> dict[Input, list[str]]:
    """The cells of each image.

    Raises:
        DataError: images cannot be read.
    """
    filled, broken = {}, []
    for image, result in answers:
        if result.probabilities_K is None:
            broken.append(f"{image.name} ({image.why_not or result.error})")
        else:
            filled[image] = cells(result.probabilities_K)
    if broken:
        count = f"{len(broken)} image{'s' if len(broken) > 1 else ''}"
        raise DataError(f"{count}: {first_of(broken)} cannot be read, so their rows would be missing. Replace them.")
    return filled


def read_sample(path: Path, index: "_Index", encoding: str = "") -> Sample:
    """Reads a sample submission; the ids are in the column that means most images, the first if none does.

    Args:
        path: of the sample.
        index: of the images.
        encoding: of the sample; "" finds it.

    Raises:
        NotFoundError: there is no such file.
        DataError: no rows, rows of unequal length, or nothing to fill.
    """
    if not path.is_file():
        raise NotFoundError(f"{path} is no file; expected the competition's sample submission, a CSV.")
    table = read_table(path, encoding)
    header, rows = table.header, table.rows
    for notice in table.notices:
        say(terminal().sentences(notice))
    if not rows or len(header) < 2:
        raise DataError(
            f"{path.name} has {len(header)} columns and {len(rows)} rows; expected a column of ids, at least one to "
            "fill, and one row an image."
        )
    uneven = next((number for number, row in rows.items() if len(row) != len(header)), None)
    if uneven:
        raise DataError(f"{path.name}, row {uneven}: expected {len(header)} cells as in the header. Download it again.")
    first = list(rows.values())[:100]
    known = [sum(bool(index.find(row[column])) for row in first) for column in range(len(header))]
    return Sample(path, header, list(rows.values()), known.index(max(known)))


def find_images(sample: Sample, index: "_Index") -> list[Input]:
    """The image of each id, in the sample's order.

    Raises:
        DataError: it lists the ids that no image, or more than one, answers to.
    """
    found = [index.find(name) for name in sample.ids]
    missing = [name for name, images in zip(sample.ids, found, strict=True) if not images]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(found)} ids of {sample.path.name} have no image among the {len(index)} that were "
            f"named: {first_of(missing)}. Name the folder of the competition's test images."
        )
    several = [(name, images) for name, images in zip(sample.ids, found, strict=True) if len(images) > 1]
    if several:
        name, images = several[0]
        raise DataError(
            f"{len(several)} of {len(found)} ids of {sample.path.name} have several images; {name}: "
            f"{first_of([image.name for image in images])}. Name the folder of the competition's test images alone."
        )
    return [images[0] for images in found]


class _Index:
    """Images by every end of their path, with and without suffix."""

    def __init__(self, inputs: Sequence[Input]) -> None:
        self._by_name: dict[str, dict[Path, Input]] = defaultdict(dict)
        self._count = len(inputs)
        for one in inputs:
            for name in ways_to_name(one.file.as_posix()) | ways_to_name(one.name.replace("\\", "/")):
                self._by_name[name].setdefault(one.file, one)

    def __len__(self) -> int:
        return self._count

    def find(self, name: str) -> list[Input]:
        """Images that an id means; of several, those in a folder of test images come alone."""
        images = list(self._by_name.get(name.strip().replace("\\", "/"), {}).values())
        if len(images) < 2:
            return images
        return [one for one in images if is_test_image(one.file)] or images


def choose_cells(sample: Sample, class_names: Sequence[str], wanted: str) -> tuple[Cells, str]:
    """How probabilities become the sample's columns, and that in words.

    Raises:
        ConfigError: the columns don't fit the classes.
    """
    if len(sample.asked) > 1:
        if wanted:
            raise ConfigError(
                f"--wanted is {wanted!r}, but {sample.path.name} has a column for each class and so wants every "
                "probability; leave --wanted out."
            )
        return _a_column_each(sample, class_names)
    (column,) = sample.asked
    if not wanted:
        wanted = _as_shown(sample, column, class_names)
    spelt = _as_sample_spells(sample.held(column), class_names)
    if wanted == LABELS:
        hint = f" (for a probability: --wanted {class_names[-1]})" if len(class_names) == 2 else ""
        return lambda p_K: [spelt[class_names[int(p_K.argmax())]]], f"column {column!r} holds the labels{hint}"
    wanted = next((name for name in class_names if as_number(name) == as_number(wanted)), wanted)
    if wanted not in class_names:
        raise ConfigError(
            f"--wanted is {wanted!r}; expected {LABELS}, or one of the model's classes: {first_of(class_names)}."
            f"{did_you_mean(wanted, [LABELS, *class_names])}"
        )
    place = class_names.index(wanted)
    return lambda p_K: [f"{p_K[place]:.7g}"], f"column {column!r} holds the probability of {wanted!r}"


def _as_shown(sample: Sample, column: str, class_names: Sequence[str]) -> str:
    """What a single column wants: labels, or the probability of a class."""
    held = sample.held(column)
    known = set(map(as_number, class_names))
    strange = sorted(value for value in held if as_number(value) not in known)
    if not strange:
        return LABELS
    if not all(_is_probability(value) for value in held):
        raise ConfigError(
            f"{sample.path.name} has {strange[0]!r} in the column {column!r}; the model knows the classes "
            f"{first_of(class_names)}.{did_you_mean(strange[0], class_names)} Was it trained on this competition?"
        )
    by_name = {plain(name): name for name in class_names}
    if plain(column) in by_name:
        return by_name[plain(column)]
    if len(class_names) == 2:
        by_name |= {plain(as_number(name)): name for name in class_names}
        for yes, no in _POSITIVE.items():
            if {yes, no} <= by_name.keys():
                return by_name[yes]
    raise ConfigError(
        f"{sample.path.name} wants one probability in the column {column!r}, but not plainly of which class; the model "
        f"knows {first_of(class_names)}. Say it with --wanted CLASS."
    )


def _as_sample_spells(held: set[str], class_names: Sequence[str]) -> dict[str, str]:
    """Classes that are numbers as the sample writes numbers: 1 for 1.0 where it has 0 and 1."""
    by_number = {as_number(value): value for value in held}
    whole = all(as_number(value) == value for value in held) and any(map(str.isdecimal, held))
    return {name: by_number.get(as_number(name), as_number(name) if whole else name) for name in class_names}


def _is_probability(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _a_column_each(sample: Sample, class_names: Sequence[str]) -> tuple[Cells, str]:
    places: dict[str, int] = {}
    for column in sample.asked:
        alike = (
            [place for place, name in enumerate(class_names) if name == column]
            or [place for place, name in enumerate(class_names) if as_number(name) == as_number(column)]
            or [place for place, name in enumerate(class_names) if plain(name) == plain(column)]
        )
        if len(alike) == 1:
            places[column] = alike[0]
    strange = [column for column in sample.asked if column not in places]
    left = [name for place, name in enumerate(class_names) if place not in places.values()]
    if strange or left:
        parts = [f"columns that are no class of the model: {first_of(strange)}"] if strange else []
        parts += [f"classes of the model without a column: {first_of(left)}"] if left else []
        hint = did_you_mean(strange[0], left) if strange else ""
        raise ConfigError(
            f"{sample.path.name} doesn't fit the model; {'; '.join(parts)}.{hint} Was it trained on this competition?"
        )
    order = [places[column] for column in sample.asked]
    return lambda p_K: [f"{p:.7g}" for p in p_K[order].tolist()], "one column of probabilities a class"
