import csv
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from svertka.bundle.classifier_graph import attach_head
from svertka.cli.evaluate import _figures, check_class_names, evaluate
from svertka.data.decode import decode
from svertka.data.fingerprint import pixel_hash
from svertka.errors import BundleError, ConfigError, DataError
from svertka.evaluate import from_json, load_predictions
from svertka.features.linear_head import LinearHead
from svertka.schema import Estimate


@pytest.fixture
def labelled(colour_folder, tmp_path):
    """The colours, with a green image that is labelled red and a file that is no image."""
    root = shutil.copytree(colour_folder, tmp_path / "labelled")
    shutil.copy(root / "green" / "green2.png", root / "red" / "in truth green.png")
    (root / "blue" / "bad.png").write_bytes(b"")
    return root


def test_new_data_are_judged(tiny_bundle, labelled, tmp_path, capsys):
    out = tmp_path / "made" / "here"
    assert evaluate(str(tiny_bundle.directory), str(labelled), str(out), threads=1) == 0
    printed = capsys.readouterr().out
    assert "! Files that were left out: 1 of 8 (empty file: 1)." in printed
    assert "blue/bad.png: empty, the file has zero bytes" in printed
    assert "7 images, temperature 2" in printed
    assert "accuracy                  0.857   " in printed
    evaluation = from_json(json.loads((out / "metrics.json").read_text("utf-8")))
    assert evaluation.n == 7
    assert evaluation.class_names == ("blue", "green", "red")
    assert evaluation.confusion_KK == ((2, 0, 0), (0, 2, 0), (0, 1, 2))
    assert evaluation.temperature == 2.0
    predictions = load_predictions(out / "predictions.csv")
    assert predictions.paths[-1] == "red/red10.png"
    wrong = predictions.logits_NK.argmax(axis=1) != predictions.labels_N
    assert [path for path, is_wrong in zip(predictions.paths, wrong, strict=True) if is_wrong] == [
        "red/in truth green.png"
    ]


def test_classes_are_matched_by_name_and_missing_ones_told(tiny_bundle, labelled, capsys):
    shutil.rmtree(labelled / "blue")
    assert evaluate(str(tiny_bundle.directory), str(labelled), threads=1) == 0
    printed = capsys.readouterr().out
    assert "! No test image shows “blue”." in printed
    assert printed.count("“blue”") == 1  # said once
    assert "accuracy                  0.800   " in printed


def test_unknown_classes_are_an_error(tiny_bundle, labelled):
    (labelled / "red").rename(labelled / "reds")
    with pytest.raises(ConfigError, match=r"doesn't know: reds; it knows blue, green, red\. Did you mean red"):
        evaluate(str(tiny_bundle.directory), str(labelled), threads=1)


def test_a_file_in_the_place_of_results_is_an_error(tiny_bundle, labelled, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(ConfigError, match=r"out is a file; expected a folder for metrics\.json"):
        evaluate(str(tiny_bundle.directory), str(labelled), str(tmp_path / "out"))


def test_known_classes_pass_in_any_order():
    check_class_names(("red", "blue"), ("blue", "green", "red"))


def test_only_the_test_part_is_judged(tiny_bundle, labelled, tmp_path, capsys):
    root = tmp_path / "splits"
    shutil.copytree(labelled, root / "train")
    for name, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        (root / "test" / name).mkdir(parents=True)
        Image.new("RGB", (64, 64), colour).save(root / "test" / name / "one.png")
    assert evaluate(str(tiny_bundle.directory), str(root), threads=1) == 0
    printed = capsys.readouterr().out
    assert "The data name a test part: its 2 of 9 images are judged, the rest is not." in printed
    assert "2 images, temperature 2" in printed


def test_images_that_the_model_learnt_from_are_counted(write_tiny_bundle, labelled, tmp_path, capsys):
    learnt = [pixel_hash(decode(labelled / "red" / name).image) for name in ("red2.png", "red10.png")]
    bundle = write_tiny_bundle(tmp_path / "bundle", training_hashes=learnt)
    assert evaluate(str(bundle.directory), str(labelled), str(tmp_path / "out"), threads=1) == 0
    printed = capsys.readouterr().out
    assert "! Images that were in the model's own training data: 2 of 7 (the first: red/red2.png)" in printed
    notices = json.loads((tmp_path / "out" / "metrics.json").read_text("utf-8"))["notices"]
    assert "seen_in_training" in [notice["code"] for notice in notices]


def test_predictions_are_in_the_order_of_the_catalog(tiny_bundle, labelled, tmp_path):
    evaluate(str(tiny_bundle.directory), str(labelled), str(tmp_path / "out"), threads=1)
    with (tmp_path / "out" / "predictions.csv").open(encoding="utf-8", newline="") as lines:
        paths = [row["path"] for row in csv.DictReader(lines)]
    assert paths[:4] == ["blue/blue2.png", "blue/blue10.png", "green/green2.png", "green/green10.png"]


def test_a_run_or_bundle_keeps_its_own_figures(tiny_bundle, labelled):
    before = sorted(path.name for path in tiny_bundle.directory.iterdir())
    with pytest.raises(ConfigError, match="is a run or a bundle, whose own figures would be overwritten"):
        evaluate(str(tiny_bundle.directory), str(labelled), str(tiny_bundle.directory))
    assert sorted(path.name for path in tiny_bundle.directory.iterdir()) == before


def test_a_configuration_says_how_to_read_a_table(tiny_bundle, labelled, tmp_path, capsys):
    (labelled / "truth.csv").write_text("where,species\nred/red10.png,red\nblue/blue2.png,blue\n")
    (tmp_path / "table.toml").write_text('path_column = "where"\nlabel_column = "species"\n')
    table, bundle = str(labelled / "truth.csv"), str(tiny_bundle.directory)
    with pytest.raises(DataError, match="no column that looks like the path"):
        evaluate(bundle, table, threads=1)
    assert evaluate(bundle, table, config_file=str(tmp_path / "table.toml"), threads=1) == 0
    assert "2 images, temperature 2" in capsys.readouterr().out


def test_results_never_replace_the_table_that_was_read(tiny_bundle, labelled, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "predictions.csv").write_text("my own")
    with pytest.raises(ConfigError, match=r"predictions\.csv exists and isn't an earlier result"):
        evaluate("no-model", "no-data", str(tmp_path / "mine"))
    assert (tmp_path / "mine" / "predictions.csv").read_text() == "my own"
    table = tmp_path / "predictions.csv"
    table.write_text("image,label\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"predictions.csv is one of the inputs and would be overwritten"):
        evaluate(str(tiny_bundle.directory), str(table), str(tmp_path))
    assert table.read_text(encoding="utf-8") == "image,label\n"


def test_classes_that_are_numbers_are_matched_as_numbers(write_tiny_bundle, labelled, tmp_path, capsys):
    bundle = write_tiny_bundle(tmp_path / "numbers", class_names=("0", "1", "2"))
    rows = [f"{path.relative_to(labelled)},{number}.0" for number, name in enumerate(("blue", "green", "red"))
            for path in sorted((labelled / name).glob(f"{name}*.png"))]  # fmt: skip
    (labelled / "t.csv").write_text("\n".join(["path,label", *rows]))
    assert evaluate(str(bundle.directory), str(labelled / "t.csv"), threads=1) == 0
    assert "accuracy                  1.000   " in capsys.readouterr().out


def test_three_warnings_stand_before_the_figures_and_intervals_have_width(
    write_tiny_bundle, labelled, tmp_path, capsys
):
    (labelled / "red" / "in truth green.png").unlink()
    shutil.rmtree(labelled / "blue")
    (labelled / "red" / "bad.png").write_bytes(b"")
    (labelled / "lost.png").write_bytes((labelled / "red" / "red2.png").read_bytes())
    learnt = [pixel_hash(decode(labelled / "red" / "red2.png").image)]
    bundle = write_tiny_bundle(tmp_path / "bundle", training_hashes=learnt)
    assert evaluate(str(bundle.directory), str(labelled), threads=1) == 0
    before, after = capsys.readouterr().out.split("\n\n4 images, temperature 2\n\n")
    warnings = [line for line in before.splitlines() if line.startswith("! ")]
    assert len(warnings) == 3 and warnings[0].startswith("! Images that were in the model's own training data: 1 of 4")
    assert before.splitlines()[-1] == "2 more warnings below the figures."
    assert "! Files that were left out: 1 of 5" in after and "lies beside the class folders" in after
    assert not re.search(r"(\d\.\d{3}) to \1", after)
    assert _figures("roc_auc", Estimate(1.0, 1.0, 1.0, 4)).startswith("1.000     no interval: ")
    assert "blue         0  –" in after  # of no image nothing is known


def test_of_two_classes_one_is_found(mean_colour_graph, write_tiny_bundle, colour_folder, tmp_path, capsys):
    """The bundle says which; the command line may say otherwise."""
    head = LinearHead(np.zeros(3, np.float32), np.ones(3, np.float32), np.eye(3, dtype=np.float32)[[2, 0]],
                      np.zeros(2, np.float32))  # fmt: skip
    images = np.zeros((1, 32, 32, 3), np.uint8)
    bundle = write_tiny_bundle(
        tmp_path / "two",
        graph=attach_head(mean_colour_graph, head, 1.0),
        class_names=("blue", "red"),
        temperature=1.0,
        check_images_NSSC=images,
        reference_NK=np.full((1, 2), 0.5),
        positive="blue",
    )
    data = tmp_path / "data"
    for name in ("blue", "red"):
        shutil.copytree(colour_folder / name, data / name)
    shutil.copy(data / "blue" / "blue2.png", data / "blue" / "third.png")  # now red is the rarer
    out = tmp_path / "out"
    assert evaluate(str(bundle.directory), str(data), str(out), threads=1) == 0
    assert "The class to be found is “blue”: ROC AUC" in capsys.readouterr().out
    assert [curve["name"] for curve in json.loads((out / "metrics.json").read_text("utf-8"))["roc"]] == ["blue"]
    assert evaluate(str(bundle.directory), str(data), threads=1, positive="red") == 0
    assert "The class to be found is “red”: ROC AUC" in capsys.readouterr().out
    with pytest.raises(
        ConfigError, match=r"positive is 'bleu'; expected the class to be found, .* Did you mean blue\?"
    ):
        evaluate(str(bundle.directory), str(data), threads=1, positive="bleu")
    (bundle.directory / "manifest.json").write_text(
        (bundle.directory / "manifest.json").read_text("utf-8").replace('"positive": "blue"', '"positive": 5'), "utf-8"
    )
    with pytest.raises(BundleError, match="positive is 5; expected one of two class names"):
        evaluate(str(bundle.directory), str(data), threads=1)
