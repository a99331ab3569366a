"""``svertka explain``: what it refuses, and what it says."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from svertka.cli.explain import explain
from svertka.errors import ConfigError, NotFoundError


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(path)
    return str(path)


def test_a_network_without_maps_is_explained_by_occlusion(tiny_bundle, photo, tmp_path, capsys):
    assert explain(str(tiny_bundle.directory), [photo, photo], str(tmp_path / "out")) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"index.html"} | {
        f"photo{number}{what}.png" for number in ("", "-2") for what in ("", "-occlusion-1", "-occlusion-2")
    }
    html = (tmp_path / "out/index.html").read_text(encoding="utf-8")
    assert "so there is no exact Grad-CAM" in html
    assert "Page: " in capsys.readouterr().out


def test_nothing_readable_is_an_exit_code(tiny_bundle, tmp_path, capsys):
    (tmp_path / "bad.png").write_bytes(b"no image at all")
    assert explain(str(tiny_bundle.directory), [str(tmp_path / "bad.png")], str(tmp_path / "out")) == 2
    assert "bad.png could not be read: not_an_image" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_too_many_images_are_refused(tiny_bundle, photo, tmp_path):
    with pytest.raises(ConfigError, match=r"51 images were named; a page holds 50 at most. Choose some of them"):
        explain(str(tiny_bundle.directory), [photo] * 51, str(tmp_path / "out"))


def test_an_unknown_language_is_refused(tiny_bundle, photo, tmp_path):
    with pytest.raises(ConfigError, match="language is 'de'; expected en or ru"):
        explain(str(tiny_bundle.directory), [photo], str(tmp_path / "out"), "de")


def test_a_place_that_cannot_be_made_is_refused(tiny_bundle, photo, tmp_path):
    with pytest.raises(NotFoundError, match="is a file; expected a folder for the page"):
        explain(str(tiny_bundle.directory), [photo], photo)
    with pytest.raises(NotFoundError, match="does not exist; expected a folder to make out in"):
        explain(str(tiny_bundle.directory), [photo], str(tmp_path / "nowhere/out"))


def test_no_picture_of_ours_replaces_one_of_the_users(tiny_bundle, photo, tmp_path, monkeypatch):
    before = Path(photo).read_bytes()
    with pytest.raises(ConfigError, match="holds other files, which pictures might overwrite; name a new folder"):
        explain(str(tiny_bundle.directory), [photo], str(Path(photo).parent))
    monkeypatch.chdir(Path(photo).parent)
    with pytest.raises(ConfigError, match="holds other files"):
        explain(str(tiny_bundle.directory), [Path(photo).name], ".")
    assert Path(photo).read_bytes() == before
    for _ in range(2):  # a page of ours may be made again
        assert explain(str(tiny_bundle.directory), [photo], str(tmp_path / "pages")) == 0
    with pytest.raises(ConfigError, match="holds other files"):
        explain(str(tiny_bundle.directory), [str(tmp_path / "pages" / Path(photo).name)], str(tmp_path / "pages"))
