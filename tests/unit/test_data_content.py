"""An image that comes as bytes is read as the file of them is: same pixels, notes and reasons."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_data_corpus import CASES, Case

from svertka.bundle.predictor import open_predictor, predict_content, predict_files
from svertka.data.decode import load_content, load_noted, pixels_of
from svertka.errors import ImageRejected
from svertka.schema import Preprocess, ValueRange

PREPROCESS = Preprocess(size_px=32, ranges=(ValueRange(mode="I;16", low=16, high=4095),))


def outcome(read, *arguments, **options):
    try:
        pixels, notes = read(*arguments, PREPROCESS, **options)
    except ImageRejected as rejected:
        return rejected.reason, rejected.detail, ()
    return pixels.tobytes(), "", notes


@pytest.mark.parametrize("case", CASES, ids=[case.name[:40] for case in CASES])
def test_bytes_are_read_as_the_file_is(case: Case, tmp_path: Path) -> None:
    if sys.platform == "win32" and case.name in {"dangling.jpg", "loop.jpg", "pipe.jpg"}:
        pytest.skip("needs POSIX links and pipes")
    path = tmp_path / case.name
    case.make(path)
    if not path.is_file():
        pytest.skip("no regular file has no bytes")
    of_file = outcome(load_noted, path)
    assert outcome(load_content, path.read_bytes(), suffix=path.suffix.lower()) == of_file


def test_the_limit_of_pixels_holds_for_bytes(colour_folder) -> None:
    content = (colour_folder / "red" / "red2.png").read_bytes()  # 40 × 32
    assert load_content(content, PREPROCESS, max_pixels=1280)[0].shape == (32, 32, 3)
    with pytest.raises(ImageRejected, match=r"40 × 32 = 0.0 megapixels") as caught:
        load_content(content, PREPROCESS, max_pixels=1279)
    assert caught.value.reason == "too_large"


def test_a_prediction_of_bytes_is_that_of_the_file(tiny_bundle, colour_folder) -> None:
    predictor = open_predictor(tiny_bundle, threads=1)
    for path in sorted(colour_folder.rglob("*.png")):
        (of_file,) = predict_files(predictor, path)
        of_bytes = predict_content(predictor, path.read_bytes())
        assert of_bytes.label == of_file.label
        assert np.array_equal(of_bytes.probabilities_K, of_file.probabilities_K)
        assert np.array_equal(of_bytes.logits_K, of_file.logits_K)
        assert of_bytes.notes == of_file.notes


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF", "GIF", "BMP", "JPEG2000"])
def test_pixels_are_known_without_decoding(kind: str) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (37, 23)).save(stream, kind)
    assert pixels_of(stream.getvalue()) == 37 * 23
    assert pixels_of(stream.getvalue()[:8]) == 0


def test_what_only_decoding_tells_counts_as_the_most() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (32, 32)).save(stream, "ICO")
    assert pixels_of(stream.getvalue(), max_pixels=1000) == 1000
