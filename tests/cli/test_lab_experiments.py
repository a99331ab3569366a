"""``svertka lab`` with whole networks: pictures, CSV, two sentences; and a partial CSV after Ctrl-C."""

import csv
import shutil
from dataclasses import dataclass

import pytest
from PIL import Image
from test_main import svertka

from svertka.cli.lab import experiment
from svertka.cli.progress import TerminalProgress
from svertka.errors import ConfigError, NotFoundError


def rows(path):
    with path.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_gradients(tmp_path):
    done = svertka("lab", "gradients", "--data", "digits", "--depths", 8, "--steps", 1, "--out", tmp_path / "g")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("At the start, on its way from the last convolution to the first of 7")
    assert len(rows(tmp_path / "g/gradients.csv")) == 3 * 2 * 2 * 8
    assert "<title>Gradients by depth</title>" in (tmp_path / "g/gradients.svg").read_text(encoding="utf-8")


def test_race_on_a_folder(tmp_path, shapes_folder):
    data = shapes_folder(tmp_path / "shapes", count=12)
    done = svertka("lab", "race", "lenet5", "resnet20", "--data", data, "--epochs", 1, "--out", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    assert [row["network"] for row in rows(tmp_path / "r/race.csv")] == ["lenet5", "resnet20"]
    assert "peak memory is between" in done.stdout and "s/epoch" in done.stdout
    assert (tmp_path / "r/race.svg").is_file()


def test_first_layer_of_the_embedded_network(tmp_path, colour_folder):
    data = tmp_path / "images"
    shutil.copytree(colour_folder, data)
    (data / "red/broken.png").write_bytes(b"no image")
    done = svertka("lab", "first-layer", "efficientnet_lite0", "--data", data, "--out", tmp_path / "f")
    assert done.returncode == 0, done.stderr
    assert "32 filters of 3 × 3 × 3" in done.stdout and f"6 images of {data}" in done.stdout
    assert "broken.png is left out: not_an_image" in done.stderr
    assert len(rows(tmp_path / "f/first_layer.csv")) == 32 * 8
    with Image.open(tmp_path / "f/first_layer.png") as picture:
        assert picture.width > 800


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("race", "resnet19"), "architecture 'resnet19' is unknown. Did you mean"),
        (("race", "lenet5", "--target", "90"), "--target is 90; expected an accuracy above 0, at most 1"),
        (("race", "lenet5", "--data", "digits", "--download"), "--download fetches CIFAR-10, but --data is 'digits'"),
        (("degradation", "--data", "nowhere"), "nowhere does not exist; expected cifar10, digits, elpv, or a folder"),
    ],
)
def test_bad_input_is_one_line(tmp_path, arguments, message):
    done = svertka("lab", *arguments, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split()) and len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_interrupted_experiments_keep_what_they_had(tmp_path, capsys):
    @dataclass(frozen=True)
    class Row:
        value: int

    def measure():
        yield from (Row(1), Row(2))
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stopped:
        experiment.collect(measure(), tmp_path / "rows.csv", TerminalProgress())
    assert stopped.value.code == 130
    assert "2 rows" in capsys.readouterr().err
    assert [row["value"] for row in rows(tmp_path / "rows.csv")] == ["1", "2"]


def test_where_an_experiment_cannot_be_kept(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"--out is the file .*; expected a folder"):
        experiment.folder(str(tmp_path / "file"))
    with pytest.raises(NotFoundError, match="missing does not exist; expected a folder to make here in"):
        experiment.folder(str(tmp_path / "missing/here"))
