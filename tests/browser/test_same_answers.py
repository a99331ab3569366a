"""The bundle in the browser sees the pixels that Python sees, and gives the answers of ``svertka predict``."""

import base64
from pathlib import Path

import numpy as np
import pytest
from PIL import features
from worker_page import open_page, write_page

from svertka.bundle.predictor import open_predictor, predict_files
from svertka.data.decode import load_noted
from svertka.page.file_kinds import BY_BROWSER, kinds
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
    if name.startswith("avif") and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    path = tmp_path / name
    path.write_bytes(KINDS[name]())
    square_SSC, notes = load_noted(path, tiny.preprocess)
    seen = opened.ask("maps", path.read_bytes())["result"]
    found_SSC = np.frombuffer(base64.b64decode(seen["square"]), np.uint8).reshape(square_SSC.shape)
    apart = np.abs(found_SSC.astype(int) - square_SSC)
    if name in BY_BROWSER:
        assert apart.max() <= 40  # 16 to 235 taken for 0 to 255, or not, and rounding
        return
    assert apart.max() == 0

    (expected,) = predict_files(predictor, path)
    answer = opened.ask("predict", path.read_bytes())["result"]
    assert answer["label"] == expected.label
    assert list(answer["probabilities"]) == list(tiny.class_names)
    np.testing.assert_allclose(list(answer["probabilities"].values()), expected.probabilities_K, atol=1e-6)
    assert answer["notes"] == list(notes)


def _hostile() -> dict[str, bytes]:
    """Files that are cut off, damaged, too large or no images."""
    found = {"empty": b"", "text": b"hello world", "svg": b'<?xml version="1.0"?><svg/>', "pdf": b"%PDF-1.4 and more"}
    found["psd"] = b"8BPS\0\1" + bytes(60)
    found["heic"] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50)
    found["video"] = b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(50)
    found["random"] = bytes(range(200, 256)) + bytes(9)
    for name in ("jpeg_420", "jpeg_progressive", "png", "webp_lossy", "avif", "gif", "bmp", "tiff_raw"):
        if name == "avif" and not features.check("avif"):
            continue
        whole = KINDS[name]()
        found |= {f"{name} cut at {share}": whole[: int(len(whole) * share)] for share in (0.3, 0.6, 0.95)}
    whole = bytearray(KINDS["png"]())
    found["png without its last two bytes"] = bytes(whole[:-2])
    found["jpeg without its end"] = KINDS["jpeg_422"]()[:-2]
    whole[len(whole) // 2] ^= 0x5A
    found["png damaged"] = bytes(whole)
    return found


HOSTILE = _hostile()


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_read_is_refused_for_the_same_reason(opened, predictor, tmp_path: Path, name):
    path = tmp_path / "file"
    path.write_bytes(HOSTILE[name])
    (expected,) = predict_files(predictor, [path])
    reply = opened.ask("predict", HOSTILE[name])
    rejected = reply.get("rejected", {})
    reason, detail = rejected.get("reason", ""), rejected.get("detail", "")
    assert reason == expected.error.partition(":")[0]
    assert (reply.get("result") or {"notes": []})["notes"] == list(expected.notes)
    assert not reason or detail


@pytest.mark.parametrize("content", [b"P6 2 2 255\n" + bytes(12), b"\0\0\1\0\1\0" + bytes(30)], ids=["PNM", "ICO"])
def test_what_only_python_reads_is_named(opened, content):
    rejected = opened.ask("predict", content)["rejected"]
    assert rejected["reason"] == "unsupported"
    assert "save it as PNG, TIFF or JPEG" in rejected["detail"]


def test_more_pixels_than_allowed_are_refused_by_the_header(opened):
    for name in ("jpeg_420", "png", "webp_lossy", "gif", "bmp", "tiff_raw"):
        reply = opened.ask("predict", KINDS[name](), max_pixels=700)
        assert reply["rejected"]["reason"] == "too_large", name
        assert f"{WIDTH_PX} × {HEIGHT_PX}" in reply["rejected"]["detail"]


def test_nothing_is_asked_of_a_network(opened):
    assert opened.opened["result"] is None
    assert [url for url in opened.requests if not url.startswith(("blob:", "file:"))] == []
    assert opened.complaints == []
