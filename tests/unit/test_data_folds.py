"""Folds: every image judged once, units whole, classes everywhere, test images nowhere."""

from pathlib import Path

import numpy as np
import pytest

from svertka.data.folds import make_folds
from svertka.errors import ConfigError, DataError
from svertka.schema import Catalog, ImageRecord, Split


def catalog_of(labels) -> Catalog:
    records = tuple(
        ImageRecord(
            path=f"{index}.png", label=int(label), split=None, group=None, width_px=8, height_px=8, mode="L",
            pixel_hash=str(index), perceptual_hash=0,
        )
        for index, label in enumerate(labels)
    )  # fmt: skip
    return Catalog(root=Path("/"), layout="class folders", class_names=("a", "b"), records=records)


def split_of(n, test, units=None) -> Split:
    rest = [index for index in range(n) if index not in test]
    return Split(
        train=tuple(rest[::2]), val=tuple(rest[1::2]), test=tuple(test), seed=0, units=tuple(units or range(n))
    )


@pytest.mark.parametrize("count", [2, 5])
def test_every_image_is_judged_once_and_the_test_images_never(count):
    labels = np.arange(100) % 4 == 0
    folds = make_folds(catalog_of(labels), split_of(100, range(90, 100)), count, 0.15)
    assert sorted(index for fold in folds for index in fold.test) == list(range(90))
    for fold in folds:
        assert sorted((*fold.train, *fold.val, *fold.test)) == list(range(90))
        assert labels[list(fold.test)].mean() == pytest.approx(labels[:90].mean(), abs=0.06)
        assert {True, False} == set(labels[list(fold.train)].tolist())


def test_units_stay_whole():
    units = [index // 6 for index in range(120)]
    labels = np.array(units) % 2
    for fold in make_folds(catalog_of(labels), split_of(120, (), units), 4, 0.2):
        sides = [{units[index] for index in part} for part in (fold.train, fold.val, fold.test)]
        assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]


def test_folds_do_not_depend_on_chance():
    catalog, split = catalog_of(np.arange(40) % 2), split_of(40, ())
    assert make_folds(catalog, split, 3, 0.2) == make_folds(catalog, split, 3, 0.2)


def test_too_few_images_or_folds_are_told():
    with pytest.raises(ConfigError, match="folds is 1; expected 2 or more"):
        make_folds(catalog_of(np.arange(40) % 2), split_of(40, ()), 1, 0.2)
    with pytest.raises(DataError, match="Take fewer folds"):
        make_folds(catalog_of([0] * 30 + [1]), split_of(31, ()), 5, 0.2)
