"""Records come back from plain values exactly, and what is no record is named with its place."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from svertka.util.from_dict import from_dict


@dataclass(frozen=True)
class Inner:
    x: float
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Outer:
    name: str
    count: int
    sure: bool
    inner: Inner
    several: tuple[Inner, ...] = ()
    pair: tuple[int, float] = (0, 0.0)
    maybe: Inner | None = None
    by_number: dict[int, Inner] = field(default_factory=dict)
    listed: list[str] = field(default_factory=list)
    folder: Path = Path("here")
    anything: Mapping[str, object] = field(default_factory=dict)
    untold: Any = None


RECORD = Outer(
    name="é",
    count=3,
    sure=True,
    inner=Inner(0.1),
    several=(Inner(1.0), Inner(float("inf"), "b")),
    pair=(1, 2.5),
    maybe=Inner(-0.0),
    by_number={7: Inner(2.0)},
    listed=["a"],
    anything={"n": [1, {"deep": None}]},
    untold=[1, "two"],
)
PLAIN = json.loads(json.dumps(asdict(RECORD), default=str))


def test_a_record_survives_json():
    assert from_dict(Outer, PLAIN) == RECORD
    assert from_dict(Outer, asdict(RECORD)) == RECORD
    least = from_dict(Outer, {"name": "", "count": 0, "sure": False, "inner": {"x": 1}})
    assert least == Outer("", 0, False, Inner(1.0)) and type(least.inner.x) is float


def test_what_is_a_record_already_is_kept():
    inner = Inner(1.0)
    assert from_dict(Outer, PLAIN | {"inner": inner}).inner is inner


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"colour": "blue"}, r"Outer\.colour is unknown; expected name, count"),
        ({"inner": {}}, r"Outer\.inner\.x is missing; expected int or float"),
        ({"inner": None}, r"Outer\.inner is None; expected dict"),
        ({"inner": [1]}, r"Outer\.inner is \[1\]; expected dict"),
        ({"several": [{"x": 1}, {"x": "1"}]}, r"Outer\.several\[1\]\.x is '1'; expected int or float"),
        ({"several": {"x": 1}}, r"Outer\.several is .*; expected list"),
        ({"pair": [1]}, r"Outer\.pair is \[1\]; expected list of 2"),
        ({"pair": [1.5, 1]}, r"Outer\.pair\[0\] is 1\.5; expected int"),
        ({"count": True}, r"Outer\.count is True; expected int"),
        ({"sure": 1}, r"Outer\.sure is 1; expected bool"),
        ({"name": 5}, r"Outer\.name is 5; expected str"),
        ({"inner": {"x": 10**400}}, r"Outer\.inner\.x is 1000.*; expected int or float"),
        ({"inner": {"x": 1, "kind": "c"}}, r"Outer\.inner\.kind is 'c'; expected 'a' or 'b'"),
        ({"by_number": {"seven": {"x": 1}}}, r"Outer\.by_number is 'seven'; expected int"),
        ({"by_number": {"7": {"x": None}}}, r"Outer\.by_number\[7\]\.x is None; expected int or float"),
        ({"by_number": [7]}, r"Outer\.by_number is \[7\]; expected dict"),
        ({"folder": 7}, r"Outer\.folder is 7; expected Path"),
    ],
)
def test_what_is_no_record_is_named_with_its_place(damage, message):
    with pytest.raises(TypeError, match=message):
        from_dict(Outer, PLAIN | damage)


@pytest.mark.parametrize("value", [None, 3, "text", [1, 2]])
def test_what_is_no_dictionary_is_no_record(value):
    with pytest.raises(TypeError, match=r"^Inner is .*; expected dict$"):
        from_dict(Inner, value)
    with pytest.raises(TypeError, match=r"^metrics is .*; expected dict$"):
        from_dict(Inner, value, "metrics")


def test_fields_of_a_newer_version_are_passed_over_at_any_depth():
    newer = PLAIN | {"more": 1, "inner": {"x": 1.0, "y": 2}, "by_number": {"7": {"x": 2.0, "z": []}}}
    newer |= {"several": [{"x": 1.0, "new": {}}], "maybe": {"x": 0.0, "new": 1}}
    found = from_dict(Outer, newer, newer=True)
    assert (found.inner, found.by_number, found.several, found.maybe) == (
        Inner(1.0),
        {7: Inner(2.0)},
        (Inner(1.0),),
        Inner(0.0),
    )
    with pytest.raises(TypeError, match=r"inner\.x is missing"):
        from_dict(Outer, newer | {"inner": {"y": 2}}, newer=True)
    with pytest.raises(TypeError, match="more is unknown"):
        from_dict(Outer, newer)
