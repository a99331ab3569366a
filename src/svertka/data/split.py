"""Splits images into training, validation and test sets: stratified, with groups and duplicates kept together.

Images that share a group or show the same thing (see ``duplicates``) form a unit; units are assigned, never images.
A split that the user brought is kept as it is; what leaks across it is listed, and taken out only on request.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from svertka.config import RunConfig
from svertka.data.altered import MOST, altered_pairs
from svertka.data.duplicates import SMALL_PX, comparable, exact_pairs, find_conflicts, find_leaks, is_small, near_pairs
from svertka.data.folds import stratified_group_assign
from svertka.data.names import suggest_groups
from svertka.errors import ConfigError, DataError
from svertka.schema import SPLIT_NAMES, Catalog, ImageRecord, Notice, Split, SplitName

Pairs = list[tuple[int, int]]

_LARGE_UNIT = 0.2  # of all images: such a unit decides the split by itself, so the user should know


def make_split(catalog: Catalog, config: RunConfig) -> Split:
    """Assigns the records to train, val and test, or completes and checks the split that the user brought.

    The same catalog and seed give the same split, whatever the order in which the file system lists files.

    Raises:
        ConfigError: ``group_regex`` is no pattern or matches nothing.
        DataError: the brought split has no training images, or a class has none to learn from.
    """
    alike = _find_alike(catalog.records, groups_of(catalog.records, config), config)
    brought = any(record.split for record in catalog.records)
    missing = brought and not all(any(record.split == name for record in catalog.records) for name in SPLIT_NAMES)
    parts = _complete(catalog, alike.units, config)
    leaks = find_leaks(catalog.records, parts, alike.exact, alike.near, alike.altered, alike.groups) if brought else ()
    dropped: set[int] = set()
    if config.drop_leaks:
        number = {record.path: index for index, record in enumerate(catalog.records)}
        dropped = {number[leak.path_a] for leak in leaks}
    kept = {name: tuple(sorted(set(parts[name]) - dropped)) for name in SPLIT_NAMES}
    _check_classes(catalog, kept)
    return Split(
        **kept,
        seed=config.seed,
        origin="made" if not brought else "completed" if missing else "brought",
        leaks=leaks,
        conflicts=find_conflicts(catalog, alike.exact),
        dropped=tuple(sorted(dropped)),
        grouped=any(group is not None for group in alike.groups),
        units=alike.unit_of_each,
        notices=tuple(_notices(catalog, kept, alike)),
    )


def hold_out(catalog: Catalog, fraction: float, config: RunConfig) -> Split:
    """Assigns the records to train and val alone, for a caller who keeps the test images to himself.

    Args:
        catalog: whose records carry their groups.
        fraction: of the images that go to val; 0 holds nothing out.
        config: its ``seed`` and ``near_duplicate_bits`` count.

    Raises:
        DataError: a class has no image left to learn from, or nothing could be held out.
    """
    alike = _find_alike(catalog.records, [record.group for record in catalog.records], config)
    shares: dict[SplitName, float] = {"val": fraction} if fraction else {}
    assigned = stratified_group_assign(catalog, alike.units, shares, config.seed)
    parts = {name: tuple(indices) for name, indices in assigned.items()}
    _check_classes(catalog, parts)
    return Split(
        train=parts["train"],
        val=parts.get("val", ()),
        test=(),
        seed=config.seed,
        grouped=any(group is not None for group in alike.groups),
        units=alike.unit_of_each,
    )


@dataclass(frozen=True, slots=True)
class _Alike:
    """Which records belong together: of one group, exact copies, near ones, and altered ones that are neither.

    ``units`` are the records that hang together by any of these.
    """

    groups: Sequence[str | None]
    exact: Pairs
    near: Pairs
    altered: Pairs
    units: list[list[int]]

    @property
    def unit_of_each(self) -> tuple[int, ...]:
        """Number of each record's unit."""
        numbers = {index: number for number, unit in enumerate(self.units) for index in unit}
        return tuple(numbers[index] for index in range(len(numbers)))


def _find_alike(records: Sequence[ImageRecord], groups: Sequence[str | None], config: RunConfig) -> _Alike:
    exact, near = exact_pairs(records), near_pairs(records, config.near_duplicate_bits)
    altered = sorted(set(altered_pairs(records, comparable(records))) - set(near))
    first: dict[str, int] = {}
    neighbours = [(first.setdefault(group, index), index) for index, group in enumerate(groups) if group is not None]
    return _Alike(groups, exact, near, altered, _units(len(records), [*exact, *near, *altered, *neighbours]))


def groups_of(records: Sequence[ImageRecord], config: RunConfig) -> list[str | None]:
    """The group of each record: from ``group_regex`` over the file name where it is given, else from the table.

    Raises:
        ConfigError: ``group_regex`` is no pattern, or matches none of the file names.
    """
    if not config.group_regex:
        return [record.group for record in records]
    try:
        pattern = re.compile(config.group_regex)
    except re.error as error:
        raise ConfigError(
            f"group_regex is {config.group_regex!r}, which is no regular expression ({error}); "
            r"expected one such as '^(patient\d+)_'."
        ) from error
    matches = [pattern.search(PurePosixPath(record.path).name) for record in records]
    if records and not any(matches):
        name = PurePosixPath(records[0].path).name
        raise ConfigError(
            f"group_regex {config.group_regex!r} matches none of {len(records)} file names; "
            f"the first is {name!r}. It is searched in the file name, without its folders."
        )
    captured = [match and (match.group(1) if pattern.groups else match.group(0)) for match in matches]
    return [group or record.group for group, record in zip(captured, records, strict=True)]


def _units(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Connected components (union-find with path halving)."""
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for a, b in pairs:
        parent[root(b)] = root(a)
    members: dict[int, list[int]] = defaultdict(list)
    for index in range(count):
        members[root(index)].append(index)
    return list(members.values())


def _complete(catalog: Catalog, units: list[list[int]], config: RunConfig) -> dict[SplitName, list[int]]:
    """Keeps the user's parts, if any, and carves missing ones from train, by their fraction of what train holds."""
    parts: dict[SplitName, list[int]] = {name: [] for name in SPLIT_NAMES}
    for index, record in enumerate(catalog.records):
        parts[record.split or "train"].append(index)
    if not parts["train"]:
        raise DataError("The split that came with the data has no training images; expected a train folder or value.")
    fractions: dict[SplitName, float] = {"test": config.test_fraction, "val": config.val_fraction}
    shares = {name: share for name, share in fractions.items() if not parts[name]}
    if not shares:
        return parts
    pool = set(parts["train"])
    inside = [kept for unit in units if (kept := [index for index in unit if index in pool])]
    return parts | stratified_group_assign(catalog, inside, shares, config.seed)


def _check_classes(catalog: Catalog, parts: dict[SplitName, tuple[int, ...]]) -> None:
    labels = catalog.labels()
    learnt = set(labels[list(parts["train"])].tolist())
    missing = [name for label, name in enumerate(catalog.class_names) if label not in learnt]
    if missing:
        raise DataError(
            f"No training image is left for {', '.join(missing)}; a class must have images in train. "
            "Add some, take the class out, or make the groups smaller."
        )
    for part, kept in parts.items():
        if not kept:
            raise DataError(
                f"No image is left for the {part} part; all images hang together by groups or duplicates, or were "
                "dropped as leaks. Add images, or make the groups smaller."
            )


def _notices(
    catalog: Catalog,
    parts: dict[SplitName, tuple[int, ...]],
    alike: _Alike,
) -> list[Notice]:
    notices = []
    labels = catalog.labels()
    for part in SPLIT_NAMES:
        present = set(labels[list(parts[part])].tolist())
        absent = [name for label, name in enumerate(catalog.class_names) if label not in present]
        if absent:
            notices.append(Notice("class_missing_in_part", {"part": part, "names": absent}, level="warning"))
    exact, near, altered = len(alike.exact), len(alike.near), len(alike.altered)
    if exact or near or altered:
        torn = sum(bool(labels[a] != labels[b]) for a, b in (*alike.near, *alike.altered))
        notices.append(Notice("duplicates", {"exact": exact, "near": near, "altered": altered, "torn": torn}))
    if len(catalog.records) > MOST:
        notices.append(Notice("altered_not_searched", {"n": len(catalog.records), "most": MOST}))
    if not any(alike.groups) and (suggested := suggest_groups(catalog.records)):
        notices.append(suggested)
    if small := sum(map(is_small, catalog.records)):
        notices.append(Notice("small_images", {"n": small, "px": SMALL_PX}))
    largest = max(map(len, alike.units))
    if largest > _LARGE_UNIT * len(catalog.records) and largest > 2:
        notices.append(Notice("large_unit", {"largest": largest, "images": len(catalog.records)}, level="warning"))
    unsplit = sum(record.split is None for record in catalog.records)
    if 0 < unsplit < len(catalog.records):
        notices.append(Notice("split_missing", {"n": unsplit}, level="warning"))
    return notices
