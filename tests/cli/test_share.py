"""``svertka share``: what it writes, what it refuses, and that nothing but pixels of a sample travels."""

import base64
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin

from svertka.cli.share import MOST_SAMPLES, neighbours, share
from svertka.data.decode import decode
from svertka.errors import BundleError, ConfigError, NotFoundError
from svertka.page import single_file
from svertka.page.page_samples import bare_image, without_metadata
from svertka.schema import Preprocess

SECRET = b"Ada Lovelace, 59.93 N 30.31 E"


@pytest.fixture
def bundle(tiny_bundle):
    return str(tiny_bundle.directory)


def samples_of(page: Path) -> list[dict[str, str]]:
    (found,) = re.findall(r'<script id="svertka" type="application/json">(.*?)</script>', page.read_text("utf-8"))
    return json.loads(found)["samples"]


def picture(width: int = 40, height: int = 24, mode: str = "RGB") -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    smooth = np.stack([255 * x / width, 255 * y / height, 128 + 90 * np.sin(x / 5)], axis=2)
    return Image.fromarray(smooth.astype(np.uint8)).convert(mode)


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[ExifTags.Base.Orientation] = orientation
    found[ExifTags.Base.Artist] = SECRET.decode()
    found.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAreaInformation] = SECRET
    return found


def test_one_file_is_written_and_said(bundle, tmp_path, capsys):
    share(bundle, str(tmp_path / "model.html"))
    page = tmp_path / "model.html"
    size = page.stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == ["model.html"]
    said = capsys.readouterr().err
    assert said == f"Written to {page} ({size / 1e6:.1f} MB). It opens by double click and needs no network.\n"
    assert single_file.is_single_file(page)
    assert samples_of(page) == []


def test_the_same_call_gives_the_same_bytes_and_replaces_its_page(bundle, tmp_path):
    page = tmp_path / "model.html"
    share(bundle, str(page))
    before = page.read_bytes()
    share(bundle, str(page))
    assert page.read_bytes() == before


def test_the_machine_that_trained_stays_at_home(bundle, tmp_path):
    share(bundle, str(tmp_path / "model.html"))
    text = (tmp_path / "model.html").read_text("utf-8")
    assert "Linux x86_64" not in text and '"versions' not in text and "training_hashes" not in text


def test_a_file_of_the_users_is_kept(bundle, tmp_path):
    page = tmp_path / "mine.html"
    page.write_text("<p>mine</p>")
    with pytest.raises(ConfigError, match="isn't an earlier result of this command, so it is kept"):
        share(bundle, str(page))
    assert page.read_text() == "<p>mine</p>"


@pytest.mark.parametrize("name", ["model", "model.zip", "model.html.gz"])
def test_another_suffix_is_refused(bundle, tmp_path, name):
    with pytest.raises(ConfigError, match=r"--out is .*; expected a name that ends in \.html or \.htm\."):
        share(bundle, str(tmp_path / name))


def test_a_folder_that_is_not_there_is_refused(bundle, tmp_path):
    with pytest.raises(NotFoundError, match=r"nowhere does not exist; expected a folder to write model\.html into"):
        share(bundle, str(tmp_path / "nowhere/model.html"))


def test_a_damaged_bundle_leaves_no_page(bundle, tmp_path):
    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    (copy / "model.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match=r"model\.onnx has 0 bytes"):
        share(str(copy), str(tmp_path / "model.html"))
    assert not (tmp_path / "model.html").exists()


def test_a_model_too_large_for_a_page_is_refused(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(single_file, "MOST_BYTES", 100)
    with pytest.raises(
        ConfigError, match=r"model\.onnx has 0 MB; a page holds 0 MB at most.*Use svertka serve instead"
    ):
        share(bundle, str(tmp_path / "model.html"))
    assert not (tmp_path / "model.html").exists()


def test_samples_are_in_the_page_with_their_names_and_pixels(bundle, colour_folder, tmp_path):
    page = tmp_path / "model.html"
    share(bundle, str(page), [str(colour_folder / "red"), str(colour_folder / "blue/blue2.png")])
    found = samples_of(page)
    assert [one["name"] for one in found] == ["red2.png", "red10.png", "blue2.png"]
    with Image.open(io.BytesIO(base64.b64decode(found[2]["data"]))) as image:
        assert image.getpixel((0, 0)) == (30, 20, 230)


def test_a_sample_that_cannot_be_used_is_left_out_and_said(bundle, colour_folder, tmp_path, capsys, monkeypatch):
    (tmp_path / "bad.png").write_bytes(b"no image")
    Image.effect_noise((60, 60), 90).save(tmp_path / "large.png")
    monkeypatch.setattr("svertka.cli.share.MOST_SAMPLE_BYTES", 2000)
    names = [str(tmp_path / "bad.png"), str(tmp_path / "large.png"), str(colour_folder / "red/red2.png")]
    share(bundle, str(tmp_path / "model.html"), names)
    assert [one["name"] for one in samples_of(tmp_path / "model.html")] == ["red2.png"]
    said = capsys.readouterr().err
    assert "bad.png could not be read: not_an_image" in said
    assert "large.png would take 0.0 MB of the page, more than 0 MB, and is left out" in said
    assert "Samples in the page: 1 of 3 images;" in said


def test_of_many_samples_some_are_taken_evenly(bundle, tmp_path, capsys):
    for number in range(30):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number}.png")
    share(bundle, str(tmp_path / "model.html"), [str(tmp_path)])
    names = [int(one["name"].removesuffix(".png")) for one in samples_of(tmp_path / "model.html")]
    assert (len(names), names[0], names[-1]) == (MOST_SAMPLES, 0, 29)
    assert set(np.diff(names).tolist()) == {2, 3}
    assert "Samples in the page: 12 of 30 images; it takes 12 at most, evenly spread." in capsys.readouterr().err


@pytest.mark.parametrize(("readable", "expected"), [(range(0, 30, 2), 12), (range(20, 30), 10), (range(0), 0)])
def test_readable_images_take_the_place_of_others(bundle, tmp_path, capsys, readable, expected):
    for number in range(30):
        (tmp_path / f"{number}.png").write_bytes(b"no image")
    for number in readable:
        Image.new("L", (8, 8), number).save(tmp_path / f"{number}.png")
    share(bundle, str(tmp_path / "model.html"), [str(tmp_path)])
    names = [int(one["name"].removesuffix(".png")) for one in samples_of(tmp_path / "model.html")]
    assert len(names) == expected and names == sorted(names) and set(names) <= set(readable)
    assert f"Samples in the page: {expected} of 30 images;" in capsys.readouterr().err


def test_another_image_comes_from_beside_the_one_that_cannot_be_read(bundle, tmp_path):
    for number in range(100):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number}.png")
    (tmp_path / "45.png").write_bytes(b"no image")
    share(bundle, str(tmp_path / "model.html"), [str(tmp_path)])
    names = [int(one["name"].removesuffix(".png")) for one in samples_of(tmp_path / "model.html")]
    assert names == [0, 9, 18, 27, 36, 44, 54, 63, 72, 81, 90, 99]


@pytest.mark.parametrize("count", [0, 1, 12, 13, 25, 100])
def test_every_image_is_a_neighbour_of_one_that_is_chosen(count):
    parts = neighbours(count, 12)
    assert sorted(place for part in parts for place in part) == list(range(count))
    firsts = [part[0] for part in parts]
    assert len(firsts) == min(count, 12) and firsts[:1] == list(range(count))[:1]
    assert not firsts or firsts[-1] == count - 1
    assert all(abs(place - part[0]) <= count / 22 + 1 for part in parts for place in part)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_keeps_its_pixels_and_which_way_up_they_are_and_nothing_else(tmp_path, mode, orientation):
    path = tmp_path / "photo.jpg"
    picture(mode=mode).save(path, exif=exif(orientation), comment=SECRET, icc_profile=SECRET, quality=90)
    with path.open("ab") as file:
        file.write(SECRET)  # behind the end, as makers of cameras do it
    bare = tmp_path / "bare.jpg"
    bare.write_bytes(bare_image(path, Preprocess()))
    assert bare.read_bytes().startswith(b"\xff\xd8\xff")
    assert SECRET not in bare.read_bytes() and b"Ada" not in bare.read_bytes()
    before, after = decode(path), decode(bare)
    assert before.image.tobytes() == after.image.tobytes() and before.image.size == after.image.size
    with Image.open(bare) as found:
        assert dict(found.getexif()) == ({} if orientation == 1 else {ExifTags.Base.Orientation: orientation})


@pytest.mark.parametrize("options", [{"progressive": True}, {"restart_marker_blocks": 1}, {"subsampling": 0}])
def test_jpegs_of_all_kinds_lose_nothing_of_their_pixels(tmp_path, options):
    path = tmp_path / "photo.jpg"
    picture(200, 120).save(path, exif=exif(1), **options)
    bare = bare_image(path, Preprocess())
    with Image.open(io.BytesIO(bare)) as found, Image.open(path) as original:
        assert found.tobytes() == original.tobytes()
    assert SECRET not in bare


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "GIF", "AVIF"])
def test_other_kinds_become_pngs_of_their_pixels(tmp_path, kind):
    path = tmp_path / f"picture.{kind.lower()}"
    options: dict[str, object] = {"exif": exif(1)} if kind in ("WEBP", "AVIF", "TIFF") else {}
    if kind == "PNG":
        notes = PngImagePlugin.PngInfo()
        notes.add_text("Author", SECRET.decode())
        options = {"pnginfo": notes, "exif": exif(6), "icc_profile": SECRET}
    if kind == "GIF":
        options = {"comment": SECRET}
    picture().save(path, kind, **options)
    bare = bare_image(path, Preprocess())
    assert SECRET not in bare and b"Ada" not in bare
    with Image.open(io.BytesIO(bare)) as found:
        assert found.format == "PNG"
        assert found.info == {}
        assert found.tobytes() == decode(path).image.tobytes()


def test_a_jpeg_that_ends_too_early_is_not_taken_apart():
    content = io.BytesIO()
    picture().save(content, "JPEG")
    for length in (2, 3, 20, len(content.getvalue()) - 2):
        with pytest.raises(ValueError, match="no marker stands at byte"):
            without_metadata(content.getvalue()[:length])
