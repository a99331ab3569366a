"""The bundle in the browser gives the answers of ``svertka predict``, for each kind of file."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from worker_page import open_page, write_page

from svertka.bundle.predictor import open_predictor, predict_files


@pytest.fixture(scope="module")
def tiny(write_tiny_bundle, tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="module")
def opened(browser, tiny, tmp_path_factory):
    html = write_page(tmp_path_factory.mktemp("page") / "worker.html", tiny.directory)
    with open_page(browser, html) as page:
        yield page


def photo(width: int = 61, height: int = 47) -> Image.Image:
    """Smooth colours with some grain: what is coded as photographs are."""
    y, x = np.mgrid[0:height, 0:width]
    smooth = np.stack([255 * x / width, 255 * y / height, 128 + 100 * np.sin(x / 5 + y / 7)], axis=2)
    grain = np.random.default_rng(1).normal(0, 6, smooth.shape)
    return Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


KINDS = {
    "jpeg": lambda: encoded(photo(), "JPEG", quality=90),
    "png": lambda: encoded(photo(), "PNG"),
    "webp": lambda: encoded(photo(), "WEBP", lossless=True),
}


@pytest.mark.parametrize("name", KINDS)
def test_answers_are_those_of_python(opened, tiny, tmp_path: Path, name):
    path = tmp_path / name
    path.write_bytes(KINDS[name]())
    (expected,) = predict_files(open_predictor(tiny, 1), path)
    assert expected.error == ""
    answer = opened.ask("predict", path.read_bytes())["result"]
    assert answer["label"] == expected.label
    assert list(answer["probabilities"]) == list(tiny.class_names)
    np.testing.assert_allclose(list(answer["probabilities"].values()), expected.probabilities_K, atol=1e-5)
    assert answer["notes"] == list(expected.notes)


def test_nothing_is_asked_of_a_network(opened):
    assert opened.opened["result"] is None
    assert [url for url in opened.requests if not url.startswith(("blob:", "file:"))] == []
    assert opened.complaints == []
