"""The cases that the browser's code is held to are what Python computes."""

import base64
import json
from pathlib import Path

import numpy as np
import PIL
import pytest

pytest.importorskip("onnx")

from svertka.data.decode import decode
from svertka.page.golden import cases
from svertka.schema import ValueRange

COMMITTED = Path(__file__).parents[2] / "web" / "test" / "golden"


@pytest.fixture(scope="module")
def found():
    if int(PIL.__version__.split(".")[0]) < 13:
        pytest.skip("the committed cases are those of Pillow 13, which resamples tall images in another order")
    return json.loads(json.dumps(cases()))


def test_there_is_a_file_for_each_kind_of_case(found):
    assert {path.stem for path in COMMITTED.glob("*.json")} == found.keys()


@pytest.mark.parametrize("name", ["resize", "preprocess", "files", "numbers", "cam", "network"])
def test_committed_cases_are_what_python_computes(found, name):
    committed = json.loads((COMMITTED / f"{name}.json").read_text(encoding="utf-8"))
    assert_same(committed, found[name], name)


def test_committed_files_are_read_as_they_say(tmp_path):
    """Encoders write other bytes from one version to the next; what the bytes mean stays."""
    for case in json.loads((COMMITTED / "files.json").read_text(encoding="utf-8")):
        path = tmp_path / "file"
        path.write_bytes(base64.b64decode(case["file"]))
        found = decode(path, ranges=[ValueRange(**known) for known in case["ranges"]])
        assert [list(found.image.size), found.image.mode] == [case["size"], case["mode"]], case["name"]
        assert np.asarray(found.image).tobytes() == base64.b64decode(case["pixels"]), case["name"]
        assert [*found.notes, *found.scaling] == case["notes"], case["name"]


def assert_same(one: object, other: object, where: str) -> None:
    """Equal, but for the last digits of fractions, which differ from one processor to the next."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys(), where
        for name in one.keys() - {"file"}:
            assert_same(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, list) and isinstance(other, list):
        assert len(one) == len(other), where
        for at, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{where}[{at}]")
    elif isinstance(one, float) and isinstance(other, float):
        assert one == pytest.approx(other, abs=1e-4, rel=1e-5), where
    else:
        assert one == other, where
