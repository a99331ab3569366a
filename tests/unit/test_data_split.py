"""Splits: disjoint, stratified, and nothing that belongs together torn apart, for any data."""

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from svertka.config import RunConfig
from svertka.data.duplicates import near_pairs
from svertka.data.split import groups_of, make_split
from svertka.errors import ConfigError, DataError
from svertka.schema import SPLIT_NAMES, Catalog, ImageRecord, Notice, Split

STRUCTURED = 0x5555_5555_5555_5555  # a difference hash with enough bits either way


def record(
    number: int,
    label: int,
    group: str | None = None,
    same_as: int | None = None,
    split: str | None = None,
    perceptual: int | None = None,
    detail: int = 0,
    px: int = 100,
) -> ImageRecord:
    """A made-up image; unrelated numbers get unrelated hashes."""
    bits = random.Random(number if same_as is None else same_as)
    return ImageRecord(
        path=f"class{label}/{number:05}.png", label=label, split=split, group=group, width_px=px, height_px=px,
        mode="RGB", pixel_hash=f"{number if same_as is None else same_as:032x}",
        perceptual_hash=bits.getrandbits(64) if perceptual is None else perceptual, detail_hash=detail,
    )  # type: ignore[arg-type]  # fmt: skip


def catalog_of(records: list[ImageRecord], classes: int = 2) -> Catalog:
    names = tuple(f"class{label}" for label in range(classes))
    return Catalog(root=Path("/data"), layout="class folders", class_names=names, records=tuple(records))


def config(**options: object) -> RunConfig:
    return RunConfig(data="x", **options)  # type: ignore[arg-type]


def paths(catalog: Catalog, split: Split, name: str) -> set[str]:
    return {catalog.records[index].path for index in split.of(name)}  # type: ignore[arg-type]


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(5, 60), min_size=2, max_size=5),
    test=st.floats(0.05, 0.4),
    val=st.floats(0.05, 0.4),
    seed=st.integers(0, 1000),
)
def test_single_images_are_stratified_within_one(sizes: list[int], test: float, val: float, seed: int) -> None:
    records = [record(100 * label + i, label) for label, size in enumerate(sizes) for i in range(size)]
    catalog = catalog_of(records, len(sizes))
    split = make_split(catalog, config(test_fraction=test, val_fraction=val, seed=seed, near_duplicate_bits=0))
    everything = sorted([*split.train, *split.val, *split.test])
    assert everything == list(range(len(records)))
    labels = catalog.labels()
    for label, size in enumerate(sizes):
        for name, share in (("test", test), ("val", val)):
            count = (labels[list(split.of(name))] == label).sum()  # type: ignore[arg-type]
            assert count >= 1
            assert abs(count - share * size) <= 1


@settings(deadline=None, max_examples=60)
@given(data=st.data(), classes=st.integers(2, 4), seed=st.integers(0, 1000))
def test_groups_and_duplicates_stay_whole(data: st.DataObject, classes: int, seed: int) -> None:
    count = data.draw(st.integers(30, 120))
    draw = random.Random(data.draw(st.integers(0, 10_000)))
    records = []
    for number in range(count):
        group = f"g{draw.randrange(40)}" if draw.random() < 0.4 else None
        same_as = draw.randrange(number) if number and draw.random() < 0.1 else None
        records.append(record(number, number % classes, group=group, same_as=same_as))
    catalog = catalog_of(records, classes)
    try:
        split = make_split(catalog, config(seed=seed))
    except DataError as error:  # everything may hang together by chance
        assert "part" in str(error) or "No training image" in str(error)
        assume(False)
    assert sorted([*split.train, *split.val, *split.test]) == list(range(count))
    part_of = {index: name for name in SPLIT_NAMES for index in split.of(name)}
    for key in ("group", "pixel_hash"):
        parts: dict[str, set[str]] = {}
        for index, found in enumerate(records):
            if getattr(found, key) is not None:
                parts.setdefault(getattr(found, key), set()).add(part_of[index])
        assert all(len(where) == 1 for where in parts.values()), key
    assert split.leaks == ()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), shuffle=st.integers(0, 1000))
def test_same_seed_same_split_in_any_order(seed: int, shuffle: int) -> None:
    records = [record(number, number % 2, group=f"g{number // 3}") for number in range(60)]
    mixed = random.Random(shuffle).sample(records, len(records))
    one, two = catalog_of(records), catalog_of(mixed)
    for name in SPLIT_NAMES:
        options = config(seed=seed)
        assert paths(one, make_split(one, options), name) == paths(two, make_split(two, options), name)


def test_another_seed_another_split() -> None:
    catalog = catalog_of([record(number, number % 2) for number in range(60)])
    assert make_split(catalog, config(seed=1)).test != make_split(catalog, config(seed=2)).test


def test_groups_come_as_near_to_the_target_as_they_allow() -> None:
    records = [record(number, (number // 5) % 2, group=f"g{number // 20}") for number in range(1000)]
    catalog = catalog_of(records)
    split = make_split(catalog, config())
    labels = catalog.labels()
    for name, share in (("test", 0.2), ("val", 0.15)):
        for label in (0, 1):
            count = (labels[list(split.of(name))] == label).sum()  # type: ignore[arg-type]
            assert abs(count - share * 500) <= 10


def test_large_group_does_not_starve_the_parts() -> None:
    records = [record(n, n % 2, group="big") for n in range(60)] + [record(n, n % 2) for n in range(60, 120)]
    split = make_split(catalog_of(records), config())
    assert set(range(60)) <= set(split.train)
    assert len(split.test) == 24
    assert [notice.code for notice in split.notices] == ["large_unit"]


def test_every_part_gets_every_class_that_has_units_enough() -> None:
    records = [record(n, 0) for n in range(100)] + [record(200 + n, 1, group=f"g{n // 4}") for n in range(12)]
    catalog = catalog_of(records)
    split = make_split(catalog, config())
    labels = catalog.labels()
    assert all(1 in labels[list(split.of(name))] for name in SPLIT_NAMES)


def test_class_in_one_group_is_learnt_and_told() -> None:
    records = [record(n, 0) for n in range(100)] + [record(200 + n, 1, group="only") for n in range(12)]
    split = make_split(catalog_of(records), config())
    assert set(range(100, 112)) <= set(split.train)
    found = [notice.values for notice in split.notices if notice.code == "class_missing_in_part"]
    assert found == [{"part": "val", "names": ["class1"]}, {"part": "test", "names": ["class1"]}]


def test_all_in_one_group_is_an_error() -> None:
    catalog = catalog_of([record(n, n % 2, group="one") for n in range(40)])
    with pytest.raises(DataError, match=r"No image is left for the val part; all images hang together"):
        make_split(catalog, config())


# --- near duplicates ---


def test_near_needs_both_hashes() -> None:
    detail = random.Random(5).getrandbits(256)
    base = record(0, 0, perceptual=STRUCTURED, detail=detail)
    close = record(1, 0, perceptual=STRUCTURED ^ 0b111, detail=detail ^ ((1 << 32) - 1))
    far = record(2, 0, perceptual=STRUCTURED ^ 0b1111, detail=detail)
    lookalike = record(3, 0, perceptual=STRUCTURED, detail=detail ^ ((1 << 33) - 1))
    assert near_pairs((base, close), 3) == [(0, 1)]
    assert near_pairs((base, far), 3) == []
    assert near_pairs((base, far), 4) == [(0, 1)]
    assert near_pairs((base, lookalike), 3) == []


@pytest.mark.parametrize("flat", [0, 0b11111, 2**64 - 1])
def test_flat_images_are_never_near(flat: int) -> None:
    assert near_pairs(tuple(record(n, 0, perceptual=flat) for n in range(50)), 3) == []


def test_small_images_are_near_only_if_they_are_equal() -> None:
    """Digits of 28 px look alike by the thousand; the report says that near copies were not looked for."""
    alike = [record(n, n % 2, perceptual=STRUCTURED, px=32) for n in range(40)]
    assert near_pairs(tuple(alike), 3) == []
    assert near_pairs(tuple(record(n, 0, perceptual=STRUCTURED, px=33) for n in range(3)), 3) == [
        (0, 1),
        (0, 2),
        (1, 2),
    ]
    split = make_split(catalog_of([*alike, record(41, 1, same_as=0, px=32)]), config())
    assert [notice.code for notice in split.notices] == ["duplicates", "small_images"]
    assert split.notices[0].values == {"exact": 1, "near": 0, "altered": 0, "torn": 0}
    assert split.notices[1].values == {"n": 41, "px": 32}


def test_near_pairs_equal_brute_force_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("svertka.data.duplicates._CHUNK_PAIRS", 1000)
    draw = random.Random(0)
    hashes = [STRUCTURED ^ sum(1 << bit for bit in draw.sample(range(64), 3)) for _ in range(150)]
    records = tuple(record(n, 0, perceptual=value) for n, value in enumerate(hashes))
    expected = [(i, j) for i in range(150) for j in range(i + 1, 150) if (hashes[i] ^ hashes[j]).bit_count() <= 3]
    assert sorted(near_pairs(records, 3)) == expected
    assert len(expected) > 10


def test_near_duplicates_stay_on_one_side() -> None:
    records = [record(n, n % 2, perceptual=random.Random(n // 2).getrandbits(64)) for n in range(80)]
    split = make_split(catalog_of(records), config())
    part_of = {index: name for name in SPLIT_NAMES for index in split.of(name)}
    assert all(part_of[n] == part_of[n + 1] for n in range(0, 80, 2))
    assert split.notices[0] == Notice("duplicates", {"exact": 0, "near": 40, "altered": 0, "torn": 40})
    assert json.dumps(split.notices[0].values)  # no NumPy number among them


def test_same_image_under_two_labels_is_reported() -> None:
    records = [record(n, n % 2) for n in range(40)] + [record(41, 1, same_as=0)]
    (conflict,) = make_split(catalog_of(records), config()).conflicts
    assert (conflict.kind, conflict.where_a, conflict.where_b) == ("label conflict", "class0", "class1")
    assert (conflict.path_a, conflict.path_b) == ("class0/00000.png", "class1/00041.png")


# --- groups by file name ---


def test_group_regex() -> None:
    records = [replace(record(n, n % 2), path=f"class{n % 2}/p{n // 4}_{n}.png") for n in range(80)]
    catalog = catalog_of(records)
    assert groups_of(records, config(group_regex=r"^(p\d+)_"))[:5] == ["p0", "p0", "p0", "p0", "p1"]
    assert groups_of(records, config(group_regex=r"p\d+"))[4] == "p1"
    split = make_split(catalog, config(group_regex=r"^(p\d+)_"))
    part_of = {index: name for name in SPLIT_NAMES for index in split.of(name)}
    assert all(len({part_of[n + k] for k in range(4)}) == 1 for n in range(0, 80, 4))


def test_group_regex_errors() -> None:
    catalog = catalog_of([record(n, n % 2) for n in range(20)])
    with pytest.raises(ConfigError, match=r"group_regex is '\(', which is no regular expression"):
        make_split(catalog, config(group_regex="("))
    with pytest.raises(ConfigError, match=r"'patient' matches none of 20 file names; the first is '00000\.png'"):
        make_split(catalog, config(group_regex="patient"))


# --- splits that the user brought ---


def brought(*names: str, each: int = 20) -> list[ImageRecord]:
    return [record(1000 * k + n, n % 2, split=name) for k, name in enumerate(names) for n in range(each)]


def test_brought_split_is_honoured() -> None:
    records = brought("train", "val", "test")
    split = make_split(catalog_of(records), config())
    assert split.origin == "brought"
    assert split.train == tuple(range(20))
    assert split.val == tuple(range(20, 40))
    assert split.test == tuple(range(40, 60))
    assert split.leaks == ()


@pytest.mark.parametrize(("names", "carved"), [(("train", "test"), "val"), (("train", "val"), "test")])
def test_missing_part_is_carved_from_train(names: tuple[str, str], carved: str) -> None:
    records = brought(*names, each=40)
    split = make_split(catalog_of(records), config())
    assert split.origin == "completed"
    assert split.of(names[1]) == tuple(range(40, 80))  # type: ignore[arg-type]
    assert set(split.of(carved)) < set(range(40))  # type: ignore[arg-type]
    assert len(split.of(carved)) == {"val": 6, "test": 8}[carved]  # type: ignore[index,arg-type]


def test_no_training_images_is_an_error() -> None:
    with pytest.raises(DataError, match="has no training images; expected a train folder"):
        make_split(catalog_of(brought("test", "val")), config())


def leaking() -> list[ImageRecord]:
    near = record(9, 1, perceptual=STRUCTURED), record(2009, 1, perceptual=STRUCTURED ^ 1)
    records = brought("train", "val", "test")
    records += [
        record(3000, 0, same_as=2000, split="train"),
        record(3001, 0, same_as=2001, split="val"),
        replace(near[0], split="train", path="class1/near_a.png", pixel_hash="a"),
        replace(near[1], split="test", path="class1/near_b.png", pixel_hash="b"),
        record(3002, 1, group="g", split="train"),
        record(3003, 1, group="g", split="train"),
        record(3004, 1, group="g", split="val"),
    ]
    return records


def test_leaks_are_listed() -> None:
    split = make_split(catalog_of(leaking()), config())
    assert {(leak.kind, leak.path_a[7:], leak.where_a, leak.path_b[7:], leak.where_b) for leak in split.leaks} == {
        ("exact", "03000.png", "train", "02000.png", "test"),
        ("exact", "03001.png", "val", "02001.png", "test"),
        ("near", "near_a.png", "train", "near_b.png", "test"),
        ("group", "03002.png", "train", "03004.png", "val"),
        ("group", "03003.png", "train", "03004.png", "val"),
    }
    assert split.dropped == ()
    assert len(split.train) == 24


def test_drop_leaks_takes_them_out_of_train_and_val() -> None:
    catalog = catalog_of(leaking())
    split = make_split(catalog, config(drop_leaks=True))
    assert {catalog.records[index].path[7:] for index in split.dropped} == {
        "03000.png", "03001.png", "near_a.png", "03002.png", "03003.png"}  # fmt: skip
    assert split.test == make_split(catalog, config()).test
    kept = [*split.train, *split.val, *split.test, *split.dropped]
    assert sorted(kept) == list(range(len(catalog.records)))
    remaining = [catalog.records[index] for index in sorted({*split.train, *split.val, *split.test})]
    assert make_split(catalog_of(remaining), config()).leaks == ()


def test_dropping_everything_is_an_error() -> None:
    records = brought("test", "val") + [record(5000 + n, n % 2, same_as=n, split="train") for n in range(20)]
    with pytest.raises(DataError, match="No training image is left for class0, class1"):
        make_split(catalog_of(records), config(drop_leaks=True))


def test_records_without_a_split_go_to_train_and_are_told() -> None:
    records = [*brought("train", "val", "test"), record(7000, 0)]
    split = make_split(catalog_of(records), config())
    assert 60 in split.train
    assert split.notices[-1] == Notice("split_missing", {"n": 1}, "warning")


def test_many_images_are_fast() -> None:
    bits = np.random.default_rng(0).integers(0, 2**63, 8000, dtype=np.uint64)
    records = [record(n, n % 2, perceptual=int(value)) for n, value in enumerate(bits)]
    assert len(make_split(catalog_of(records), config()).test) == 1600
