"""Folds for comparing ways of learning: every image is judged once, units stay whole, the test images stay aside."""

from collections import defaultdict

from svertka.data.deal import deal
from svertka.errors import ConfigError, DataError
from svertka.schema import Catalog, Split


def make_folds(catalog: Catalog, split: Split, count: int, val_fraction: float) -> tuple[Split, ...]:
    """Cuts what a split may learn from (train and val) into folds, each a split of its own.

    Args:
        catalog: whose records the split numbers.
        split: its test part is in no fold.
        count: of folds.
        val_fraction: of the images that a fold learns from; epochs and temperatures are chosen on them, never on the
            images that judge.

    Returns:
        One split a fold: ``test`` holds the images that judge, ``train`` and ``val`` the others.

    Raises:
        ConfigError: fewer than two folds.
        DataError: a class has too few units for so many folds.
    """
    if count < 2:
        raise ConfigError(f"folds is {count}; expected 2 or more.")
    rest = _units(split)
    parts: list[list[int]] = []
    for left in range(count, 1, -1):
        dealt = deal(catalog, rest, {"test": 1 / left}, split.seed + left)
        parts.append(dealt["test"])
        judged = set(dealt["test"])
        rest = [unit for unit in rest if unit[0] not in judged]
    parts.append([index for unit in rest for index in unit])
    return tuple(_fold(catalog, split, sorted(part), count, val_fraction) for part in parts)


def _units(split: Split, without: frozenset[int] = frozenset()) -> list[list[int]]:
    """Units of the images that may be learnt from."""
    members: dict[int, list[int]] = defaultdict(list)
    for index in sorted((*split.train, *split.val)):
        if index not in without:
            members[split.units[index]].append(index)
    return list(members.values())


def _fold(catalog: Catalog, split: Split, part: list[int], count: int, val_fraction: float) -> Split:
    dealt = deal(catalog, _units(split, frozenset(part)), {"val": val_fraction}, split.seed)
    labels = catalog.labels()
    learnt, judged = set(labels[dealt["train"]].tolist()), set(labels[part].tolist())
    missing = [name for label, name in enumerate(catalog.class_names) if label not in learnt]
    if missing or not judged or not dealt["val"]:
        lacking = f"class {missing[0]!r}" if missing else "some fold"
        raise DataError(
            f"{count} folds leave too little: {lacking} has too few images (or groups) to learn from and to judge. "
            "Take fewer folds, or add images."
        )
    return Split(
        train=tuple(dealt["train"]), val=tuple(dealt["val"]), test=tuple(part), seed=split.seed, units=split.units
    )
