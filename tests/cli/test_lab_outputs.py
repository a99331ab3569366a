"""What the lab and ``models`` may replace: their own earlier results, never an input or another file of the user's."""

import importlib
import os
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from test_main import svertka

from svertka.cli import output
from svertka.cli.lab import experiment
from svertka.cli.lab.conv import conv
from svertka.cli.lab.feature_maps import feature_maps
from svertka.cli.lab.filters import filters
from svertka.cli.lab.first_layer import first_layer
from svertka.cli.models import models
from svertka.cli.progress import TerminalProgress
from svertka.engine.network import write_arrays
from svertka.errors import ConfigError

scratch = importlib.import_module("svertka.cli.lab.scratch")  # its verb has the same name


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def photo(path):
    Image.fromarray(np.arange(20 * 30 * 3, dtype=np.uint16).reshape(20, 30, 3).astype(np.uint8)).save(path)
    return path


def run_conv(image, out):
    conv(str(image), "sobel_x", "1", "same", flip=False, at="", out=str(out))


@pytest.mark.parametrize("verb", ["conv", "filters", "feature-maps"])
def test_an_image_is_never_replaced_by_what_is_drawn_of_it(tmp_path, verb):
    before = photo(tmp_path / "filters.png").read_bytes()
    (tmp_path / "feature_maps.png").write_bytes(before)
    name = "feature_maps.png" if verb == "feature-maps" else "filters.png"
    done = svertka("lab", verb, name, *(["--out", name] if verb == "conv" else []), cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == f"svertka: {name} is one of the inputs and would be overwritten; give --out another name.\n"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "filters.png": before, "feature_maps.png": before,
    }  # fmt: skip


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_another_spelling_of_an_input_is_the_input(here, link):
    before = photo(here / "photo.png").read_bytes()
    link(here / "photo.png", here / "same.png")
    (here / "folder").mkdir()
    for out in ("same.png", "./photo.png", "folder/../photo.png", str(here / "photo.png")):
        with pytest.raises(ConfigError, match="is one of the inputs and would be overwritten"):
            run_conv("photo.png", out)
    with pytest.raises(ConfigError, match="is one of the inputs"):
        run_conv("same.png", "photo.png")
    assert (here / "photo.png").read_bytes() == before


def test_a_drawing_is_no_place_for_a_drawing_of_itself(here):
    run_conv(photo(here / "photo.png"), "sobel.png")
    run_conv("photo.png", "sobel.png")  # again: its own earlier result
    with pytest.raises(ConfigError, match="is one of the inputs"):
        run_conv("sobel.png", "sobel.png")
    with pytest.raises(ConfigError, match="is one of the inputs"):
        feature_maps("photo.png", "sobel.png", 0, "sobel.png")


def test_a_picture_of_the_users_stays_whoever_would_draw(here):
    photo("photo.png")
    before = photo(here / "mine.png").read_bytes()
    for draw in (
        lambda: run_conv("photo.png", "mine.png"),
        lambda: filters("photo.png", [], "mine.png"),
        lambda: feature_maps("photo.png", "", 0, "mine.png"),
        lambda: models(["lenet5"], "table", "", False, "mine.png", False, ""),
    ):
        with pytest.raises(ConfigError, match=r"mine\.png exists and isn't an earlier result .* so it is kept"):
            draw()
    assert (here / "mine.png").read_bytes() == before


@pytest.mark.parametrize("end", ["svg", "png"])
def test_a_diagram_replaces_a_diagram(here, end, capsys):
    draw = ["lenet5"], "table", "", False, f"net.{end}", False, ""
    models(*draw)
    first = (here / f"net.{end}").read_bytes()
    models(*draw)
    assert (here / f"net.{end}").read_bytes() == first
    assert [path.name for path in here.iterdir()] == [f"net.{end}"]  # nothing half-written is left


def test_a_comparison_replaces_a_comparison_and_nothing_else(here, capsys):
    compare = ["compare", "lenet5", "vgg11"], "table", "", False, "", False, "pictures"
    models(*compare)
    models(*compare)
    (here / "pictures/timeline.svg").write_text("<svg><title>My own</title></svg>")
    drawn = (here / "pictures/accuracy.svg").read_text(encoding="utf-8")
    capsys.readouterr()
    with pytest.raises(ConfigError, match=r"timeline\.svg exists and isn't an earlier result"):
        models(["compare", "resnet18"], "table", "", False, "", False, "pictures")
    assert (here / "pictures/accuracy.svg").read_text(encoding="utf-8") == drawn
    assert capsys.readouterr().out == ""


@dataclass(frozen=True)
class Row:
    epoch: int
    error: float


def test_an_experiment_replaces_its_own_table_only(here):
    drawn, csv = experiment.files("out", "lab.svg", Row, [""])
    assert (drawn.name, csv.name) == ("lab.svg", "lab.csv") and not drawn.parent.exists()
    experiment.collect([Row(1, 0.5)], csv, TerminalProgress())
    assert experiment.files("out", "lab.svg", Row, [""]) == (drawn, csv)
    with pytest.raises(ConfigError, match=r"lab\.csv is one of the inputs"):
        experiment.files("out", "lab.svg", Row, ["out/lab.csv"])
    for mine in ("epoch,error,note\n1,2,3\n", "epoch\n1\n", "my list"):
        csv.write_text(mine)
        with pytest.raises(ConfigError, match=r"lab\.csv exists and isn't an earlier result"):
            experiment.files("out", "lab.svg", Row, [""])
    csv.unlink()
    drawn.write_text("<svg/>")
    with pytest.raises(ConfigError, match=r"lab\.svg exists and isn't"):
        experiment.files("out", "lab.svg", Row, [""])


def test_an_experiment_that_measures_nothing_keeps_the_table_of_the_last_one(here, capsys):
    (here / "lab.csv").write_text("epoch,error\n1,0.5\n")

    def stopped():
        raise KeyboardInterrupt
        yield

    with pytest.raises(SystemExit):
        experiment.collect(stopped(), here / "lab.csv", TerminalProgress())
    assert (here / "lab.csv").read_text() == "epoch,error\n1,0.5\n"
    assert "nothing was measured" in capsys.readouterr().err


def test_an_experiment_does_not_start_where_it_could_not_end(here):
    (here / "degradation").mkdir()
    (here / "degradation/degradation.csv").write_text("mine")
    done = svertka("lab", "degradation", "--data", "digits", cwd=here)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "isn't an earlier result" in done.stderr


def test_images_that_a_first_layer_is_shown_stay(here):
    (here / "images").mkdir()
    before = photo(here / "images/first_layer.png").read_bytes()
    with pytest.raises(ConfigError, match=r"first_layer\.png is one of the inputs"):
        first_layer("efficientnet_lite0", "none", "images", 0, "images")
    assert (here / "images/first_layer.png").read_bytes() == before


@pytest.mark.parametrize("name", ["filters.png", "mistakes.png", "weights.safetensors"])
def test_scratch_keeps_what_is_not_its_own(here, name):
    if name.endswith("png"):
        photo(here / name)
    else:
        write_arrays(here / name, {"mine": np.ones(3, np.float32)})
    before = (here / name).read_bytes()
    with pytest.raises(ConfigError, match="exists and isn't an earlier result"):
        scratch.scratch(".", "lenet5", "", 1, 0)
    assert (here / name).read_bytes() == before


def test_weights_of_either_network_of_the_lab_may_go(here):
    for build in (scratch.lenet.lenet5, scratch.lenet.lenet5_1998):
        build(0).save(here / "weights.safetensors")
        assert output.may_write(here / "weights.safetensors", is_result=scratch._are_weights)
    (here / "weights.safetensors").write_bytes(b"no weights")
    with pytest.raises(ConfigError):
        output.may_write(here / "weights.safetensors", is_result=scratch._are_weights)


def test_a_folder_is_no_name_for_a_file_and_an_empty_file_holds_nothing(here):
    (here / "folder.png").mkdir()
    with pytest.raises(ConfigError, match="is a folder; expected the name of a file"):
        run_conv(photo(here / "photo.png"), "folder.png")
    (here / "empty.png").touch()
    run_conv("photo.png", "empty.png")
