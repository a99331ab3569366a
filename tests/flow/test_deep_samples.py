"""16-bit images of two classes, one a sixteenth as bright: training, bundle and prediction scale all alike."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from svertka import ImageClassifier
from svertka.bundle.bundle import load_bundle
from svertka.cli.evaluate import evaluate
from svertka.cli.predict import predict
from svertka.config import RunConfig
from svertka.pipeline import run
from svertka.runs import folder
from svertka.schema import ValueRange

CLASSES = {"bright": (32_000, 20_000), "dim": (2_000, 1_250)}
RANGE = ValueRange(mode="I;16", low=0.0, high=65535.0)


def cloud(rng):
    """Smooth noise from -1 to 1."""
    coarse = Image.fromarray(rng.normal(size=(5, 5)).astype(np.float32)).resize((48, 48), Image.Resampling.BICUBIC)
    values = np.asarray(coarse) + rng.normal(size=(48, 48)) / 10
    return values / np.abs(values).max()


def write(root, count, seed):
    rng = np.random.default_rng(seed)
    for name, (mean, spread) in CLASSES.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            values = (mean + spread * cloud(rng)).astype(np.uint16)
            Image.fromarray(values).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("deep")
    write(root / "learn", 20, seed=0)
    write(root / "new", 10, seed=1)
    return root


@pytest.fixture(scope="module")
def record(place):
    config = RunConfig(data=str(place / "learn"), out=str(place / "run"), size_px=32, threads=1, strategy="probe")
    return run(config)


def predicted(place, paths, capsys, engine="auto"):
    capsys.readouterr()
    assert predict(str(place / "run"), [str(path) for path in paths], threads=1, engine=engine) == 0
    out, said = capsys.readouterr()
    return list(csv.DictReader(io.StringIO(out))), said


def test_the_set_decides_and_the_bundle_keeps_it(place, record):
    assert record.catalog.ranges == (RANGE,)
    assert load_bundle(place / "run").preprocess.ranges == (RANGE,)
    assert record.insight.preprocess.ranges == (RANGE,)
    assert [notice.code for notice in record.notices if notice.code.startswith("value")] == [
        "value_range",
        "value_range_mixed",  # nothing tells a dark class of 16 bits from one of 12
    ]
    again = folder.load_run(place / "run")
    assert again.catalog.ranges == record.catalog.ranges
    assert [image.span for image in again.catalog.records] == [image.span for image in record.catalog.records]
    assert record.evaluation.metrics["accuracy"].value == 1.0


@pytest.mark.parametrize("engine", ["onnx", "numpy"])
def test_new_images_are_told_apart(place, record, capsys, engine):
    rows, said = predicted(place, [place / "new"], capsys, engine)
    assert len(rows) == 20
    assert [row for row in rows if row["label"] not in row["path"]] == []
    assert "range" not in said


def test_what_does_not_fit_is_told(place, record, tmp_path, capsys):
    rng = np.random.default_rng(2)
    Image.fromarray(rng.integers(0, 200, (48, 48), dtype=np.uint16)).save(tmp_path / "another_scale.png")
    Image.fromarray(rng.random((48, 48)).astype(np.float32)).save(tmp_path / "floats.tif")
    Image.fromarray(rng.integers(0, 255, (48, 48), dtype=np.uint8)).save(tmp_path / "usual.png")
    rows, said = predicted(place, [tmp_path], capsys)
    assert len(rows) == 3
    assert (
        f"perhaps they have another scale, such as 0 to 1 rather than 0 to 255. Images: 1 (the first: {tmp_path}"
        in said
    )
    assert "another_scale.png" in said
    assert "The model has no range for images of this kind" in said and "floats.tif" in said
    assert "usual.png" not in said


def test_evaluate_scales_alike(place, record, capsys):
    capsys.readouterr()
    assert evaluate(str(place / "run"), str(place / "new"), threads=1) == 0
    assert "accuracy                  1.000" in capsys.readouterr().out


def test_estimators_scale_alike(place, tmp_path):
    files = sorted((place / "learn").glob("*/*.png"))
    with pytest.warns(UserWarning, match="All are scaled alike, 0 to 65535"):
        model = ImageClassifier(size_px=32, threads=1).fit(files, [file.parent.name for file in files])
    new = sorted((place / "new").glob("*/*.png"))
    assert (model.predict(new) == [file.parent.name for file in new]).all()
    model.save(tmp_path / "bundle")
    assert load_bundle(tmp_path / "bundle").preprocess.ranges == (RANGE,)
    again = ImageClassifier.load(tmp_path / "bundle")
    assert np.abs(again.predict_proba(new) - model.predict_proba(new)).max() < 1e-4
    floats = tmp_path / "floats.tif"
    Image.fromarray(np.random.default_rng(0).random((48, 48)).astype(np.float32)).save(floats)
    with pytest.warns(UserWarning, match="The model has no range for images of this kind"):
        model.predict([floats])
