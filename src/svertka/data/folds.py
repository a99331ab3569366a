"""Stratified assignment of groups of images to parts, and cross-validation folds made with it.

Of the folds every image is judged once, units stay whole, and the test images stay aside.

Shapes: U units, P parts (train first), K classes.
"""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from svertka.errors import ConfigError, DataError
from svertka.schema import Catalog, Split, SplitName


def stratified_group_assign(
    catalog: Catalog, units: list[list[int]], shares: dict[SplitName, float], seed: int
) -> dict[SplitName, list[int]]:
    """Assigns units (lists of record indices) to the parts that ``shares`` names, and the rest to ``"train"``.

    Units of several images go first, largest first, each to where it brings the class counts closest to their
    targets; single images then fill each class up to its rounded target, which is within one image of the exact
    one when all units are single. Last, a class that a part lacks is given its smallest unit, if train keeps one.
    """
    names: list[SplitName] = ["train", *shares]
    # Independent of the order of the records: sort by path, then draw.
    by_path = sorted(([*unit] for unit in units), key=lambda unit: min(catalog.records[i].path for i in unit))
    drawn = [by_path[i] for i in np.random.default_rng(seed).permutation(len(by_path))]
    labels, classes = catalog.labels(), len(catalog.class_names)
    counts_UK = np.array([np.bincount(labels[unit], minlength=classes) for unit in drawn]).reshape(-1, classes)
    target_PK = _targets(counts_UK, list(shares.values()))
    part_U = np.full(len(drawn), -1)
    have_PK = np.zeros_like(target_PK)
    for unit in np.argsort(-counts_UK.sum(1), kind="stable"):
        count_K = counts_UK[unit]
        if count_K.sum() > 1:
            part = _best_part(have_PK, target_PK, count_K)
        else:
            short_P = (target_PK - have_PK)[:, count_K.argmax()]
            part = 1 + int(short_P[1:].argmax()) if (short_P[1:] > 0).any() else 0
        part_U[unit] = part
        have_PK[part] += count_K
    _cover(counts_UK, part_U, len(names))
    return {
        name: sorted(index for unit, at in zip(drawn, part_U, strict=True) if at == part for index in unit)
        for part, name in enumerate(names)
    }


def _targets(counts_UK: NDArray[np.int64], shares: list[float]) -> NDArray[np.int64]:
    """Images of each class in each part, train first; at least one where the class has enough units to go round."""
    total_K, units_K = counts_UK.sum(0), (counts_UK > 0).sum(0)
    enough_K = units_K > len(shares)
    parts = [np.maximum(np.floor(share * total_K + 0.5).astype(np.int64), enough_K) for share in shares]
    return np.stack([total_K - sum(parts), *parts])


def _best_part(have_PK: NDArray[np.int64], target_PK: NDArray[np.int64], count_K: NDArray[np.int64]) -> int:
    """The part where adding ``count_K`` lowers the squared distance to the targets most (relative to their size)."""
    change_PK = (2 * (have_PK - target_PK) * count_K + count_K**2) / (target_PK + 1)
    return int(change_PK.sum(1).argmin())


def _cover(counts_UK: NDArray[np.int64], part_U: NDArray[np.int64], parts: int) -> None:
    """Moves units, in place, so that every part has every class that has units enough. Train comes first."""
    for part in range(parts):
        for label in range(counts_UK.shape[1]):
            has_U = counts_UK[:, label] > 0
            if (has_U & (part_U == part)).any():
                continue
            for unit in sorted(np.flatnonzero(has_U), key=lambda unit: counts_UK[unit].sum()):
                if _leaves_no_gap(counts_UK, part_U, int(unit), to_train=part == 0):
                    part_U[unit] = part
                    break


def _leaves_no_gap(counts_UK: NDArray[np.int64], part_U: NDArray[np.int64], unit: int, *, to_train: bool) -> bool:
    """Whether the part that gives ``unit`` away keeps another of each of its classes (train may always take)."""
    if to_train:
        return True
    stays_U = part_U == part_U[unit]
    stays_U[unit] = False
    return bool((counts_UK[stays_U].sum(0) > 0)[counts_UK[unit] > 0].all())


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
        assigned = stratified_group_assign(catalog, rest, {"test": 1 / left}, split.seed + left)
        parts.append(assigned["test"])
        judged = set(assigned["test"])
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
    assigned = stratified_group_assign(catalog, _units(split, frozenset(part)), {"val": val_fraction}, split.seed)
    labels = catalog.labels()
    learnt, judged = set(labels[assigned["train"]].tolist()), set(labels[part].tolist())
    missing = [name for label, name in enumerate(catalog.class_names) if label not in learnt]
    if missing or not judged or not assigned["val"]:
        lacking = f"class {missing[0]!r}" if missing else "some fold"
        raise DataError(
            f"{count} folds leave too little: {lacking} has too few images (or groups) to learn from and to judge. "
            "Take fewer folds, or add images."
        )
    return Split(
        train=tuple(assigned["train"]), val=tuple(assigned["val"]), test=tuple(part), seed=split.seed, units=split.units
    )
