"""The bundle in the browser sees the pixels that Python sees, and gives the answers of ``svertka predict``."""

import base64
from pathlib import Path

import numpy as np
import pytest
from worker_page import open_page, write_page

from svertka.bundle.predictor import open_predictor, predict_files
from svertka.data.decode import load_noted
from svertka.page.file_kinds import kinds
from svertka.schema import Preprocess

WIDTH_PX, HEIGHT_PX = 32, 23
KINDS = kinds(WIDTH_PX, HEIGHT_PX)
"""As wide as the tiny bundle's square: padding leaves each pixel as it is."""


@pytest.fixture(scope="module")
def tiny(write_tiny_bundle, tmp_path_factory):
    preprocess = Preprocess(size_px=WIDTH_PX, resize="pad")
    return write_tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle", preprocess=preprocess)


@pytest.fixture(scope="module")
def predictor(tiny):
    return open_predictor(tiny, 1)


@pytest.fixture(scope="module")
def opened(browser, tiny, tmp_path_factory):
    html = write_page(tmp_path_factory.mktemp("page") / "worker.html", tiny.directory)
    with open_page(browser, html) as page:
        yield page


@pytest.mark.parametrize("name", KINDS)
def test_pixels_and_answers_are_those_of_python(opened, tiny, predictor, tmp_path: Path, name):
    path = tmp_path / name
    path.write_bytes(KINDS[name]())
    square_SSC, notes = load_noted(path, tiny.preprocess)
    seen = opened.ask("maps", path.read_bytes())["result"]
    found_SSC = np.frombuffer(base64.b64decode(seen["square"]), np.uint8).reshape(square_SSC.shape)
    assert np.abs(found_SSC.astype(int) - square_SSC).max() == 0

    (expected,) = predict_files(predictor, path)
    answer = opened.ask("predict", path.read_bytes())["result"]
    assert answer["label"] == expected.label
    assert list(answer["probabilities"]) == list(tiny.class_names)
    np.testing.assert_allclose(list(answer["probabilities"].values()), expected.probabilities_K, atol=1e-6)
    assert answer["notes"] == list(notes)


def test_nothing_is_asked_of_a_network(opened):
    assert opened.opened["result"] is None
    assert [url for url in opened.requests if not url.startswith(("blob:", "file:"))] == []
    assert opened.complaints == []
