"""What an older svertka left is still good: its run folders load, report and go on, its bundles predict the same.

``tests/golden`` holds what commit a5cbf4d wrote, before modules moved and strategies were renamed; see its README. Only
the command line and names of the package itself are used here, so the test outlives inner modules.

Another processor rounds otherwise: labels must be equal and probabilities agree to 1e-4 (``LOOSE`` times as much where
a deep network learns from its first step). ``SVERTKA_BIT_FOR_BIT=1``, on a machine like that which wrote the answers,
asks for every digit.
"""

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import svertka

GOLDEN = Path(__file__).parents[1] / "golden"
BIT_FOR_BIT = os.environ.get("SVERTKA_BIT_FOR_BIT") == "1"
PLACE = '"/golden/photos"'
"""Where the images lay, as the golden files name it; a test puts its own folder there."""

SIDE_PX, COUNT, CLASSES = 40, 16, ("disc", "rings", "square")
RENAMED = {"finetune": "lp-ft", "plain": "full", "gradual": "gradual-unfreezing"}
KILLED = ("scratch", "finetune", "lenet5-finetune", "plain", "gradual", "folds")
"""Runs that were killed, each with the strategy of its ``config.toml``; all but ``finetune`` have learnt something."""
FINISHED = ("finished/scratch", "finished/auto", *(f"resumed/{name}" for name in KILLED))
TOLERANCES = {"confidence": 1e-4, "p:": 1e-4, "logit:": 1e-3, "distance_percentile": 0.5}
LOOSE = 200
"""Times as much is allowed where AdamW's first steps, each the sign of a gradient, magnify rounding: with AVX2 in place
of AVX-512 the probabilities of ``finetune`` differ by 2e-3, those of all other runs by 1e-6."""


def picture(kind, number):
    """One bright shape on noise: its bytes come from a hash, so that no version of NumPy draws another."""
    stream = hashlib.shake_256(f"{kind} {number}".encode()).digest(SIDE_PX * SIDE_PX * 3 + 6)
    image = np.frombuffer(stream, np.uint8, SIDE_PX * SIDE_PX * 3).reshape(SIDE_PX, SIDE_PX, 3) // 3
    left, top, radius, *colour = stream[-6:]
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    across, down, radius = x - 12 - left % 16, y - 12 - top % 16, 7 + radius % 4
    squared = across**2 + down**2
    inside = {
        "disc": squared <= radius**2,
        "rings": (squared <= radius**2) & (squared >= (radius - 3) ** 2),
        "square": np.maximum(abs(across), abs(down)) <= radius,
    }[kind]
    image[inside] = [120 + channel % 136 for channel in colour]
    return image


def draw(root):
    """The images that the golden files were made from."""
    for kind in CLASSES:
        (root / kind).mkdir(parents=True)
        for number in range(COUNT):
            Image.fromarray(picture(kind, number)).save(root / kind / f"{kind}-{number:02}.png")
    return root


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("golden") / "photos")


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def old_digest(run, settings):
    """What ``start.json`` says of settings, images and split, as the old code computed it: frozen here."""
    settings = re.sub(r"^out = .*$", 'out = ""', settings, count=1, flags=re.MULTILINE)
    parts = {
        row["path"]: row["split"] for row in rows_of(run / "split.csv") if row["split"] in ("train", "val", "test")
    }
    rows = [
        (row["path"], row["pixel_hash"], CLASSES.index(row["label"]), parts.get(row["path"]))
        for row in rows_of(run / "catalog.csv")
    ]
    return hashlib.blake2b((settings + json.dumps([CLASSES, rows])).encode(), digest_size=16).hexdigest()


def settled(name, photos, folder):
    """A copy of a golden run as the old code would have left it, had the images lain in ``photos``."""
    shutil.copytree(GOLDEN / name, folder)
    here = json.dumps(str(photos), ensure_ascii=False)
    config, start, record = folder / "config.toml", folder / "start.json", folder / "run.json"
    old_settings = config.read_bytes().decode()
    begun = json.loads(start.read_bytes())
    assert begun["digest"] == old_digest(folder, old_settings), "the frozen formula is not the old code's"
    settings = old_settings.replace(PLACE, here)
    assert settings != old_settings
    config.write_bytes(settings.encode())
    start.write_text(json.dumps(begun | {"digest": old_digest(folder, settings)}), "utf-8")
    if record.exists():
        record.write_bytes(record.read_bytes().replace(PLACE.encode(), here.encode()))
    return folder


def call(*arguments, cwd, code=0):
    """``svertka ARGUMENTS`` in a process of its own; what it said."""
    program = [sys.executable, "-c", "from svertka.cli import main; main()", *map(str, arguments)]
    done = subprocess.run(program, cwd=cwd, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def assert_same(found, golden, *, exact=BIT_FOR_BIT, loose=1):
    """Two tables of predictions agree in every column that the golden one has; others may have come since."""
    found, golden = rows_of(found), rows_of(golden)
    assert len(found) == len(golden) > 0
    for new, old in zip(found, golden, strict=True):
        assert old.keys() <= new.keys()
        for name, value in old.items():
            tolerance = next((most for start, most in TOLERANCES.items() if name.startswith(start)), None)
            if exact or tolerance is None or not value:
                assert new[name] == value, (old["path"], name)
            else:
                assert float(new[name]) == pytest.approx(float(value), abs=loose * tolerance), (old["path"], name)


def is_now(name, old):
    """Whether this is the old strategy, under its old name or its new one."""
    return name in (old, RENAMED.get(old))


@pytest.mark.parametrize("run", [*(f"killed/{name}" for name in KILLED), *FINISHED])
def test_the_images_are_drawn_as_they_were(run):
    golden = {row["path"]: row["pixel_hash"] for row in rows_of(GOLDEN / run / "catalog.csv")}
    drawn = {
        f"{kind}/{kind}-{number:02}.png": hashlib.sha256(
            f"RGB {SIDE_PX} × {SIDE_PX}".encode() + picture(kind, number).tobytes()
        ).hexdigest()[:32]
        for kind in CLASSES
        for number in range(COUNT)
    }
    assert drawn == golden


# --- finished runs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FINISHED)
def test_a_finished_run_is_read_and_reported(name, photos, tmp_path):
    run = settled(name, photos, tmp_path / "run")
    stored, metrics = (json.loads((run / file).read_bytes()) for file in ("run.json", "metrics.json"))
    record = svertka.load_run(run)
    config = tomllib.loads((GOLDEN / name / "config.toml").read_text("utf-8"))
    assert is_now(record.config.strategy, config["strategy"])
    assert (record.config.seed, record.config.backbone) == (config["seed"], config["backbone"])
    assert is_now(record.decision.strategy, stored["decision"]["strategy"])
    assert len(record.decision.val_scores) == len(stored["decision"]["val_scores"])
    assert record.catalog.class_names == CLASSES
    assert len(record.catalog.records) == COUNT * len(CLASSES)
    assert len(record.history) == len(rows_of(run / "history.csv"))
    assert len(record.phases) == len(rows_of(run / "phases.csv"))
    predictions = rows_of(run / "predictions.csv")
    assert list(record.test.paths) == [row["path"] for row in predictions]
    logits_NK = [[float(row[f"logit:{kind}"]) for kind in CLASSES] for row in predictions]
    np.testing.assert_array_equal(record.test.logits_NK, np.array(logits_NK, np.float32))
    for metric, estimate in metrics["metrics"].items():
        assert record.evaluation.metrics[metric].value == estimate["value"], metric
    for language in ("en", "ru"):
        call("report", "run", "--language", language, cwd=tmp_path)
        page = (run / "report.html").read_text("utf-8")
        assert f'<html lang="{language}"' in page
        assert all(kind in page for kind in CLASSES)
        for notice in (
            *stored["notices"],
            *stored["decision"]["reasons"],
        ):  # what can't be said is its code in brackets
            assert f"[{notice['code'].replace('_', ' ')}]" not in page


@pytest.mark.parametrize("name", sorted(RENAMED))
def test_an_old_name_of_a_strategy_is_taken_in_python(name):
    """This is the reading only; ``test_a_killed_run_goes_on`` trains by each of them."""
    assert is_now(svertka.RunConfig(data="photos", strategy=name).strategy, name)


# --- killed runs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_run_goes_on(name, photos, tmp_path):
    run, golden = settled(f"killed/{name}", photos, tmp_path / "run"), GOLDEN / "resumed" / name
    call("train", "--resume", "run", cwd=tmp_path)
    assert_same(run / "predictions.csv", golden / "predictions.csv", loose=LOOSE if name == "finetune" else 1)
    history, old = rows_of(run / "history.csv"), rows_of(golden / "history.csv")
    assert len(history) == len(old)
    if name != "finetune":  # the seconds of an epoch never come twice: it went on and did not begin anew
        assert history[0]["seconds"] == old[0]["seconds"]
    record = svertka.load_run(run)
    assert is_now(record.config.strategy, tomllib.loads((golden / "config.toml").read_text("utf-8"))["strategy"])
    assert "resumed" in {notice.code for notice in record.notices}
    assert record.started == json.loads((run / "start.json").read_bytes())["started"]


@pytest.mark.parametrize(
    ("old", "new"),
    [('strategy = "gradual"', 'strategy = "plain"'), ("seed = 0", "seed = 1"), ("batch_size = 8", "batch_size = 9")],
)
def test_a_killed_run_with_other_settings_is_refused(old, new, photos, tmp_path):
    """Old digests are taken for what they say, not waved through."""
    run = settled("killed/gradual", photos, tmp_path / "run")
    settings = (run / "config.toml").read_bytes().decode()
    assert old in settings
    (run / "config.toml").write_bytes(settings.replace(old, new).encode())
    assert "have changed since it was started" in call("train", "--resume", "run", cwd=tmp_path, code=2)


# --- bundles -----------------------------------------------------------------------------------------------------

BUNDLE, FORMAT_1 = GOLDEN / "finished" / "scratch" / "bundle", GOLDEN / "bundle_format_1"


@pytest.mark.parametrize(
    ("bundle", "options", "answer"),
    [
        (BUNDLE, [], "predict.csv"),
        (BUNDLE, ["--top-k", "2"], "predict-top-2.csv"),
        (BUNDLE, ["--engine", "numpy"], "predict.csv"),
        (FORMAT_1, [], "format-1.csv"),
    ],
)
def test_a_bundle_predicts_the_same(bundle, options, answer, photos, tmp_path):
    out = tmp_path / "found.csv"
    call("predict", bundle, "photos", "--threads", "1", "--out", out, *options, cwd=photos.parent)
    assert_same(out, GOLDEN / "answers" / answer, exact=BIT_FOR_BIT and "numpy" not in options)


@pytest.mark.parametrize(("bundle", "answer"), [(BUNDLE, "predict.csv"), (FORMAT_1, "format-1.csv")])
def test_a_bundle_predicts_the_same_in_python(bundle, answer):
    predictor = svertka.open_predictor(bundle, threads=1)
    assert predictor.bundle.class_names == CLASSES
    images = np.stack([picture(kind, number) for kind in CLASSES for number in range(COUNT)])
    probabilities_NK = predictor.infer(images)[1]
    golden = [[float(row[f"p:{kind}"]) for kind in CLASSES] for row in rows_of(GOLDEN / "answers" / answer)]
    np.testing.assert_allclose(probabilities_NK, golden, atol=1e-6 if BIT_FOR_BIT else 1e-4)


def test_a_bundle_is_evaluated_the_same(photos, tmp_path):
    call("evaluate", BUNDLE, "photos", "--threads", "1", "--out", tmp_path / "found", cwd=photos.parent)
    found, golden = tmp_path / "found", GOLDEN / "answers" / "evaluate"
    assert_same(found / "predictions.csv", golden / "predictions.csv")
    new, old = (json.loads((folder / "metrics.json").read_bytes())["metrics"] for folder in (found, golden))
    for name in ("accuracy", "balanced_accuracy", "roc_auc", "log_loss"):
        for part, value in old[name].items():
            assert new[name][part] == pytest.approx(value, abs=0 if BIT_FOR_BIT else 1e-3), (name, part)
