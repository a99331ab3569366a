"""Groups in file names: which are proposed, and with which pattern."""

import re
from pathlib import Path

import pytest

from svertka.config import RunConfig
from svertka.data.names import suggest_groups
from svertka.data.split import groups_of, make_split
from svertka.messages import sentences
from svertka.schema import Catalog, ImageRecord


def records_of(names: list[str], group: str | None = None) -> list[ImageRecord]:
    return [
        ImageRecord(
            path=f"class{number % 2}/{name}", label=number % 2, split=None, group=group, width_px=100, height_px=100,
            mode="RGB", pixel_hash=str(number), perceptual_hash=0,
        )
        for number, name in enumerate(names)
    ]  # fmt: skip


NUMBERS = range(90)


@pytest.mark.parametrize(
    ("names", "pattern", "groups"),
    [
        ([f"module{n // 9}_cell{n % 9}.png" for n in NUMBERS], r"^(module\d+)", 10),
        ([f"patient{n // 3}-{n:04}.png" for n in NUMBERS], r"^(patient\d+)", 30),
        ([f"scene-{n % 15:02} ({n}).jpg" for n in NUMBERS], r"^(scene\-\d+)", 15),
        ([f"IMG_{n:04}_Patient{n % 10}.jpg" for n in NUMBERS], r"(?<![^\W\d_])(Patient\d+)", 10),
        ([f"{n // 5}_{n:05}.jpg" for n in NUMBERS], r"^(\d+)_", 18),
        ([f"снимок_{n}_больной{n % 6}.png" for n in NUMBERS], r"(?<![^\W\d_])(больной\d+)", 6),
    ],
)
def test_groups_are_proposed(names: list[str], pattern: str, groups: int) -> None:
    records = records_of(names)
    notice = suggest_groups(records)
    assert notice is not None and notice.level == "warning"
    assert notice.values["regex"] == pattern
    assert notice.values["groups"] == groups
    taken = groups_of(records, RunConfig(data="x", group_regex=pattern))
    assert len(set(taken)) == groups and notice.values["example"] in taken


@pytest.mark.parametrize(
    "names",
    [
        [f"img_{n:04}.png" for n in NUMBERS],
        [f"{n:05}.png" for n in NUMBERS],
        [f"cell{n:04}.png" for n in NUMBERS],
        [f"DSC{n:04}.JPG" for n in NUMBERS],
        [f"{'cat' if n % 2 else 'dog'}.{n}.jpg" for n in NUMBERS],
        [f"digit{n % 2}_{n}.png" for n in NUMBERS],  # the class
        [f"{n % 2}_{n}.png" for n in NUMBERS],
        [f"batch1_{n}.png" for n in NUMBERS],
        [f"sheet{n}_view1.png" for n in NUMBERS],  # one image each
        [f"tile_x{n % 9}_y{n // 9}.png" for n in NUMBERS],
        [f"{hash((n, 'a')) % 16**12:012x}.png" for n in NUMBERS],
        [f"{n % 80 + 1}_{n % 2}_{n % 5}_2017011{n % 9}{n:06}.jpg" for n in NUMBERS],  # age, sex, …
    ],
)
def test_running_numbers_and_classes_are_no_groups(names: list[str]) -> None:
    assert suggest_groups(records_of(names)) is None


def test_the_proposal_is_made_where_nobody_named_groups() -> None:
    names = [f"module{n // 9}_cell{n % 9}.png" for n in NUMBERS]

    def told(records: list[ImageRecord], regex: str = "") -> list[str]:
        kept = tuple(records)
        catalog = Catalog(root=Path("/x"), layout="class folders", class_names=("a", "b"), records=kept)
        split = make_split(catalog, RunConfig(data="x", group_regex=regex))
        return [sentences(notice) for notice in split.notices if notice.code == "groups_suggested"]

    (sentence,) = told(records_of(names))
    assert re.search(r"--group-regex '\^\(module\\d\+\)'", sentence)
    assert told(records_of(names), r"^(module\d+)") == []
