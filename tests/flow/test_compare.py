"""A tiny folder is advised on and compared; an interruption keeps what was judged."""

import csv
import json
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from svertka.cli.compare import compare as verb
from svertka.config import FineTune, RunConfig
from svertka.errors import ConfigError
from svertka.model_selection.compare import compare
from svertka.model_selection.contenders import make_contenders

PROGRAM = [sys.executable, "-c", "from svertka.cli.main import main; main()"]
SETTINGS = "size_px = 32\nthreads = 1\n[finetune]\nmax_epochs = 1\nmin_epochs = 1\nmeasure_flips = false\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory, shapes_folder):
    folder = tmp_path_factory.mktemp("compare")
    shapes_folder(folder / "photos", count=20)
    (folder / "tiny.toml").write_text(SETTINGS)
    return folder


def svertka(place, *arguments):
    return subprocess.run([*PROGRAM, *arguments], cwd=place, capture_output=True, text=True, check=False)


def test_advice_is_printed_with_cell_reason_and_numbers(place):
    done = svertka(place, "advise", "photos", "--config", "tiny.toml")
    assert done.returncode == 0, done.stderr
    assert "[probe]" in done.stdout
    assert "little data (32 images to learn from, 16 in the rarest class)" in done.stdout
    assert "svertka train photos --strategy probe" in done.stdout


def test_advice_in_russian_and_as_json(place):
    done = svertka(place, "advise", "photos", "--config", "tiny.toml", "--language", "ru")
    assert "Данных мало (для обучения изображений 32" in done.stdout
    found = json.loads(svertka(place, "advise", "photos", "--config", "tiny.toml", "--format", "json").stdout)
    assert found["strategy"] == "probe"
    assert found["whole"]["probe"]["n"] == 32
    assert len(found["reasons"]) == 2


def test_comparison_leaves_table_figures_and_picture(place):
    done = svertka(
        place, "compare", "photos", "--strategies", "probe,lp-ft", "--folds", "2", "--minutes", "0.5",
        "--config", "tiny.toml", "--out", "ways",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "test images took no part" in done.stdout
    names = {"comparison.csv", "comparison.json", "comparison.svg", "comparison.png"}
    assert {path.name for path in (place / "ways").iterdir()} == names
    rows = list(csv.DictReader((place / "ways/comparison.csv").read_text().splitlines()))
    assert {row["name"] for row in rows} == {"probe", "lp-ft"}
    (tuned,) = (row for row in rows if row["name"] == "lp-ft")
    assert tuned["versus_cheapest"] == "probe"
    assert tuned["verdict_against_cheapest"] in ("better", "worse", "no difference shown")
    assert "<svg" in (place / "ways/comparison.svg").read_text()


def test_what_has_no_time_is_said_and_the_probe_has_all_folds(place, tmp_path):
    recipe = FineTune(max_epochs=1, min_epochs=1, measure_flips=False)
    config = RunConfig(data=str(place / "photos"), size_px=32, threads=1, minutes=1e-4, finetune=recipe)
    kept = []
    found = compare(config, make_contenders("probe,lp-ft", "", config.backbone), 3, tmp_path, keep=kept.append)
    by_name = {standing.name: standing for standing in found.standings}
    assert by_name["probe"].folds == (0, 1, 2)
    assert by_name["probe"].accuracy.n == found.images == 32
    assert by_name["lp-ft"].folds == ()
    assert by_name["lp-ft"].accuracy is None
    assert not found.complete
    assert found.set_aside == 8
    assert [len(each.standings[0].folds) for each in kept] == [1, 2, 3]
    assert list(tmp_path.iterdir()) == []


def test_folds_of_a_configuration_are_for_train_alone(place, monkeypatch):
    """Else each trial would train a network a fold of its own."""
    seen = []

    def race(config, *rest):
        seen.append(config)
        raise KeyboardInterrupt

    (place / "folds.toml").write_text(SETTINGS.replace("threads", "folds = 5\nthreads"))
    monkeypatch.setattr("svertka.model_selection.compare.compare", race)
    with pytest.raises(SystemExit):
        verb(str(place / "photos"), "probe", folds=2, out=str(place / "plain"), config_file=str(place / "folds.toml"))
    assert [config.folds for config in seen] == [0]


def test_a_test_part_that_was_brought_is_never_judged(tmp_path, shapes_folder):
    for part, count, seed in (("train", 12, 0), ("test", 9, 1)):
        shapes_folder(tmp_path / "photos" / part, count=count, seed=seed)
    config = RunConfig(data=str(tmp_path / "photos"), size_px=32, threads=1)
    found = compare(config, make_contenders("probe", "", config.backbone), 2, tmp_path / "work")
    assert (found.images, found.set_aside) == (24, 18)
    assert found.standings[0].accuracy.n == 24


def test_ctrl_c_keeps_what_was_judged(place):
    command = ["compare", "photos", "--folds", "5", "--minutes", "9", "--config", "tiny.toml", "--out", "stopped"]
    listening = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with (place / "output.txt").open("w") as output:
        process = subprocess.Popen([*PROGRAM, *command], cwd=place, stdout=output, stderr=output, preexec_fn=listening)
    while not (place / "stopped/comparison.png").exists():
        assert process.poll() is None, (place / "output.txt").read_text()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert "what had been judged is kept" in (place / "output.txt").read_text()
    assert not [path for path in (place / "stopped").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("strategies", "backbones", "names"),
    [
        ("probe,lp-ft", "", ["probe", "lp-ft"]),
        ("", "resnet18,resnet34", ["resnet18", "resnet34"]),
        ("probe,lp-ft", "vgg11,resnet18", ["vgg11 probe", "vgg11 lp-ft", "resnet18 probe", "resnet18 lp-ft"]),
    ],
)
def test_candidates_are_named_by_what_differs(strategies, backbones, names):
    assert [each.name for each in make_contenders(strategies, backbones, "efficientnet_lite0")] == names


@pytest.mark.parametrize(
    ("strategies", "backbones", "said"),
    [
        ("prob", "", "strategy 'prob' is unknown.*Did you mean probe?"),
        ("auto", "", "strategy 'auto' is unknown"),
        ("probe,probe", "", "stands twice"),
        ("probe", "resnet18,resnet18", "stands twice"),
    ],
)
def test_wrong_candidates_are_refused(strategies, backbones, said):
    with pytest.raises(ConfigError, match=said):
        make_contenders(strategies, backbones, "efficientnet_lite0")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("advise", "nowhere"), "nowhere"),
        (("advise", "photos", "--format", "xml"), "expected text or json"),
        (("compare", "photos", "--folds", "1"), "expected 2 or more"),
        (("compare", "photos", "--strategies", "lp-tf"), "Did you mean lp-ft?"),
    ],
)
def test_an_error_is_one_line_and_makes_nothing(place, arguments, said):
    before = sorted(place.iterdir())
    done = svertka(place, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert sorted(place.iterdir()) == before
