"""Tasks that are answered by files: each passed by right evidence and refused where it is wrong."""

import json
import shutil
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest

from svertka.course.checker import check
from svertka.course.evidence_tasks import LAP_COLUMNS, plain
from svertka.course.task_list import find_task
from svertka.course.wording import verdict_lines
from svertka.errors import ConfigError, NotFoundError
from svertka.evaluate.intervals import share
from svertka.evaluate.paired import paired_gain
from svertka.messages.translator import Translator
from svertka.report.explain_page import Activations, Explained, write_explanation
from svertka.schema import Comparison, Estimate, Explanation, LeaderboardRow, Versus

RUNS = Path(__file__).parents[1] / "golden/finished"


def judged(path, name):
    verdict = check(find_task(name), path)
    for language in ("en", "ru"):
        lines = list(verdict_lines(verdict, Translator(language)))
        assert lines and max(map(len, lines)) <= 80
    return [finding.code for finding in verdict.findings if not finding.right], verdict


def refused_by(path, name):
    codes, verdict = judged(path, name)
    assert not verdict.passed
    return codes[0]


def sheet(place, name, **fields_of_it):
    path = place / find_task(name).file
    path.write_text(
        "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in fields_of_it.items())
    )
    return path


# --- race ------------------------------------------------------------------------------------------------------------


def race_table(folder, right=(900, 700), epochs=3, **changes):
    rows = [",".join(LAP_COLUMNS)]
    for network, seconds, hits in (("resnet18", 2.0, right[0]), ("vgg16", 5.0, right[1])):
        rows += [
            f"{network},11173962,{epoch},{seconds},{seconds * epoch},0.5,{hits - 10 * (epochs - epoch)},1000,900"
            for epoch in range(1, epochs + 1)
        ]
    text = "\n".join(rows) + "\n"
    for before, after in changes.get("replaced", ()):
        assert before in text
        text = text.replace(before, after)
    (folder / "race.csv").write_text(text)


RACE = {
    "csv": "race.csv", "quicker": "ResNet-18", "times": "2,5", "better": "resnet18",
    "sentence": "ResNet-18 ends at 90.0 %, VGG-16 at 70.0 %, and takes 2.5 times as long.",
}  # fmt: skip


def test_a_race_passes(tmp_path):
    race_table(tmp_path)
    assert judged(sheet(tmp_path, "race", **RACE), "race")[1].passed


def test_a_race_without_a_shown_difference_passes_in_russian(tmp_path):
    race_table(tmp_path, right=(905, 900))
    said = RACE | {"better": "не показано", "sentence": "ResNet-18: 90,5 %, VGG-16: 90,0 %, различие не показано."}
    assert judged(sheet(tmp_path, "race", **said), "race")[1].passed


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"quicker": "vgg16"}, "quicker"),
        ({"times": 3}, "times"),
        ({"better": "vgg16"}, "better"),
        ({"better": "not shown"}, "better"),
        ({"sentence": "ResNet-18 is better than VGG-16."}, "sentence_figure"),
        ({"sentence": "ResNet-18 ends at 90.0 %, the other at 70.0 %."}, "sentence_name"),
        ({"sentence": ""}, "sheet_empty"),
        ({"csv": "absent.csv"}, "no_race"),
    ],
)
def test_a_race_with_a_wrong_answer_is_refused(tmp_path, changed, code):
    race_table(tmp_path)
    assert refused_by(sheet(tmp_path, "race", **RACE | changed), "race") == code


def test_a_claim_that_intervals_do_not_show_is_met_with_a_value_that_both_allow(tmp_path):
    race_table(tmp_path, right=(905, 900))
    said = RACE | {"sentence": "resnet18 90.5, vgg16 90.0"}
    _, verdict = judged(sheet(tmp_path, "race", **said), "race")
    (bad,) = [finding for finding in verdict.findings if not finding.right]
    assert bad.code == "none_better"
    both = bad.values["value"]
    assert all(share(hits, 1000).low < both < share(hits, 1000).high for hits in (900, 905))


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("network,", "net,", "no_race"),
        ("vgg16", "lenet5", "race_without"),
        ("vgg16,11173962,3,", "vgg16,11173962,4,", "race_unequal"),
        (",700,1000,", ",700,500,", "race_row"),
        (",700,1000,", ",700,2000,", "race_unequal"),
        (",5.0,15.0,", ",5.0,nan,", "race_row"),
        (",5.0,15.0,", ",-5.0,15.0,", "race_row"),
        (",5.0,15.0,", ",five,15.0,", "race_row"),
    ],
)
def test_a_table_that_is_no_race_is_refused(tmp_path, before, after, code):
    race_table(tmp_path, replaced=[(before, after)])
    assert refused_by(sheet(tmp_path, "race", **RACE), "race") == code


def test_columns_are_those_that_the_race_writes():
    pytest.importorskip("torch")
    from svertka.lab.race import Lap

    assert tuple(field.name for field in fields(Lap)) == LAP_COLUMNS


def test_names_are_compared_without_dashes():
    assert plain("ResNet-18") == plain("resnet 18") == "resnet18"


# --- strategies ------------------------------------------------------------------------------------------------------

STRATEGIES = {"folder": "ways", "verdict": "better", "sentence": "The probe has 80.0 %, fine-tuning 90.0 %."}


def comparison(folder, difference=0.1, low=0.05, high=0.15, **changes):
    def row(name, strategy, accuracy, versus=None):
        return LeaderboardRow(
            name=name, backbone="efficientnet_lite0", strategy=strategy, folds=(0, 1), accuracy=accuracy,
            log_loss=Estimate(0.4, 0.3, 0.5, 100), versus_cheapest=versus,
        )  # fmt: skip

    found = Versus(other="probe", difference=Estimate(difference, low, high, 100), verdict="better")
    standings = (
        row("lp-ft", "lp-ft", Estimate(0.9, 0.83, 0.94, 100), found),
        row("probe", "probe", Estimate(0.8, 0.71, 0.87, 100)),
    )
    made = Comparison(
        standings=standings, images=100, set_aside=25, folds=2, seed=0, minutes=1.0, seconds=2.0, complete=True
    )
    (folder / "ways").mkdir(exist_ok=True)
    (folder / "ways/comparison.json").write_text(json.dumps(asdict(replace(made, **changes))))


def test_strategies_pass(tmp_path):
    comparison(tmp_path)
    assert judged(sheet(tmp_path, "strategies", **STRATEGIES), "strategies")[1].passed
    in_russian = {"verdict": "лучше", "sentence": "Извлечение признаков: 80,0 %, тонкая настройка: 90,0 %."}
    assert judged(sheet(tmp_path, "strategies", **STRATEGIES | in_russian), "strategies")[1].passed


@pytest.mark.parametrize(
    ("interval", "verdict", "code"),
    [
        ((-0.02, 0.2), "better", "verdict_none"),
        ((-0.2, -0.02), "better", "verdict_worse"),
        ((0.05, 0.15), "not shown", "verdict_better"),
        ((0.05, 0.15), "probably", "verdict_word"),
    ],
)
def test_a_verdict_is_held_to_the_interval(tmp_path, interval, verdict, code):
    comparison(tmp_path, low=interval[0], high=interval[1])
    assert refused_by(sheet(tmp_path, "strategies", **STRATEGIES | {"verdict": verdict}), "strategies") == code


def test_a_comparison_that_is_none_is_refused(tmp_path):
    path = sheet(tmp_path, "strategies", **STRATEGIES)
    assert refused_by(path, "strategies") == "no_comparison"
    comparison(tmp_path, standings=())
    assert refused_by(path, "strategies") == "no_pair"
    comparison(tmp_path, set_aside=0)
    assert refused_by(path, "strategies") == "no_test_set"
    comparison(tmp_path, folds=5)  # judged on two of them
    assert refused_by(path, "strategies") == "no_pair"
    (tmp_path / "ways/comparison.json").write_text("[" * 10_000)
    assert refused_by(path, "strategies") == "no_comparison"


def test_a_sentence_without_its_figures_is_refused(tmp_path):
    comparison(tmp_path)
    said = STRATEGIES | {"sentence": "Fine-tuning (90.0 %) is better."}
    assert refused_by(sheet(tmp_path, "strategies", **said), "strategies") == "sentence_figure"


def test_the_interval_of_the_task_is_the_one_of_compare():
    worse, better = np.zeros(100), np.r_[np.ones(30), np.zeros(70)]
    assert paired_gain(worse, better).estimate.low > 0


# --- activations -----------------------------------------------------------------------------------------------------

ACTIVATIONS = {"folder": "explained", "sees_px": [3, 19, 1147, 0], "edges": 1, "objects": 4}


@pytest.fixture(params=["en", "ru"])
def explained(tmp_path, request):
    rng = np.random.default_rng(0)
    stages = tuple(
        Activations(
            stage=number, level="first", channels=8, field_px=px, numbers=(0, 1),
            maps_CHW=rng.random((2, 4, 4), np.float32),
        )
        for number, px in enumerate(ACTIVATIONS["sees_px"], 1)
    )  # fmt: skip
    image = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    told = Explanation(path="cat.png", why="asked", truth=None, probabilities=(0.9, 0.1), heats=())
    (tmp_path / "explained").mkdir()
    write_explanation(
        tmp_path / "explained", [Explained(name="cat", image_SSC=image, explanation=told, stages=stages)],
        class_names=("cat", "dog"), bundle="pets", filters_OCKL=None, language=request.param,
    )  # fmt: skip
    return tmp_path


def test_activations_pass(explained):
    assert judged(sheet(explained, "activations", **ACTIVATIONS), "activations")[1].passed


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"sees_px": [3, 19, 1147]}, "fields_count"),
        ({"sees_px": [3, 17, 1147, 0]}, "field"),
        ({"edges": 4}, "stage_edges"),
        ({"objects": 1}, "stage_objects"),
        ({"objects": 9}, "stage_objects"),
        ({"objects": 3.5}, "stage_objects"),
        ({"folder": "."}, "no_explanation"),
    ],
)
def test_activations_that_are_wrong_are_refused(explained, changed, code):
    assert refused_by(sheet(explained, "activations", **ACTIVATIONS | changed), "activations") == code


def test_a_page_without_its_pictures_is_refused(explained):
    (explained / "explained/cat-stage2.png").unlink()
    assert refused_by(sheet(explained, "activations", **ACTIVATIONS), "activations") == "no_stage_picture"


# --- pipeline and classifier -----------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path):
    return shutil.copytree(RUNS / "auto", tmp_path / "run")


def swapped(path, before, after, count=1):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, count))


def test_a_run_passes(run):
    assert judged(run, "pipeline")[1].passed
    assert judged(run, "classifier")[1].passed


def test_a_run_from_random_weights_is_a_pipeline_but_no_transfer():
    assert judged(RUNS / "scratch", "pipeline")[1].passed
    assert refused_by(RUNS / "scratch", "classifier") == "from_scratch"


def test_a_run_with_one_image_in_two_parts_is_refused(run):
    first, second = (run / "catalog.csv").read_text().splitlines()[1:3]
    swapped(run / "catalog.csv", second.split(",")[7], first.split(",")[7])  # the hash of its pixels
    assert refused_by(run, "pipeline") == "same_image"


def test_a_run_that_judged_a_training_image_is_refused(run):
    swapped(run / "predictions.csv", "disc/disc-01.png", "disc/disc-00.png")
    assert refused_by(run, "pipeline") == "judged_other"


def test_a_run_that_judged_an_image_twice_or_not_at_all_is_refused(run):
    rows = (run / "predictions.csv").read_text().splitlines(keepends=True)
    (run / "predictions.csv").write_text("".join([*rows, rows[1]]))
    assert refused_by(run, "pipeline") == "judged_twice"
    (run / "predictions.csv").write_text("".join(rows[:-1]))
    assert refused_by(run, "pipeline") == "judged_few"


def test_a_run_whose_figures_were_changed_is_refused(run):
    metrics = json.loads((run / "metrics.json").read_text())
    accuracy = metrics["metrics"]["accuracy"]
    before = dict(accuracy)
    accuracy |= {"value": 0.9, "low": 0.85, "high": 0.95}
    (run / "metrics.json").write_text(json.dumps(metrics))
    assert refused_by(run, "pipeline") == "accuracy_other"
    accuracy |= before | {"low": before["value"]}
    (run / "metrics.json").write_text(json.dumps(metrics))
    assert refused_by(run, "pipeline") == "no_interval"


def test_a_run_with_leaks_or_without_a_part_is_refused(run):
    facts = json.loads((run / "run.json").read_text())
    leak = {
        "kind": "near",
        "path_a": "disc/disc-00.png",
        "where_a": "train",
        "path_b": "disc/disc-01.png",
        "where_b": "test",
    }
    facts["split"]["leaks"] = [leak]
    (run / "run.json").write_text(json.dumps(facts))
    assert refused_by(run, "pipeline") == "leaks"
    (run / "split.csv").write_text((run / "split.csv").read_text().replace(",val,", ",train,"))
    assert refused_by(run, "pipeline") == "part_empty"


def test_what_is_no_run_is_refused(tmp_path):
    assert refused_by(tmp_path, "pipeline") == "no_run"
    assert refused_by(tmp_path, "classifier") == "no_run"


OWN = {"csv": "mine.csv", "accuracy": 0.9, "low": "0,826", "high": 0.945}


def own_table(folder, wrong=10, **changes):
    rows = ["split,path,label,predicted"]
    rows += [
        f"{part},{part}/{n}.png,{'cat' if n % 2 else 'dog'}," for part in ("train", "validation") for n in range(20)
    ]
    for n in range(100):
        label, other = ("cat", "dog") if n % 2 else ("dog", "cat")
        rows.append(f"test,test/{n}.png,{label},{other if n < wrong else label}")
    text = "\n".join(rows) + "\n"
    for before, after in changes.get("replaced", ()):
        assert before in text
        text = text.replace(before, after, 1)
    (folder / "mine.csv").write_text(text)


@pytest.mark.parametrize("name", ["pipeline", "classifier"])
@pytest.mark.parametrize("stated", [OWN, OWN | {"accuracy": 90, "low": 82.6, "high": 94.5}])
def test_predictions_of_a_script_pass(tmp_path, name, stated):
    own_table(tmp_path)
    assert judged(sheet(tmp_path, name, **stated), name)[1].passed


@pytest.mark.parametrize("name", ["pipeline", "classifier"])
@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("test,test/5.png", "test,train/5.png", "same_image"),
        ("test,test/5.png", "test,./train/5.png", "same_image"),
        ("test,test/5.png", "test,test/6.png", "judged_twice"),
        ("test/50.png,dog,dog", "test/50.png,dog,", "judged_few"),
        ("test/50.png,dog,dog", "test/50.png,dog,cow", "unknown_class"),
        ("predicted", "said", "no_column"),
        ("test,test/5.png", "exam,test/5.png", "bad_row"),
    ],
)
def test_predictions_that_prove_nothing_are_refused(tmp_path, name, before, after, code):
    own_table(tmp_path, replaced=[(before, after)])
    assert refused_by(sheet(tmp_path, name, **OWN), name) == code


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"accuracy": 0.95}, "accuracy_other"),
        ({"low": 0.9, "high": 0.9}, "no_interval"),
        ({"low": 0.1, "high": 1.0}, "no_interval"),
        ({"low": 0.89, "high": 0.91}, "no_interval"),
        ({"csv": "absent.csv"}, "no_predictions"),
        ({"low": "about 80 or 90"}, "sheet_empty"),
    ],
)
def test_figures_that_the_predictions_do_not_bear_are_refused(tmp_path, changed, code):
    own_table(tmp_path)
    assert refused_by(sheet(tmp_path, "pipeline", **OWN | changed), "pipeline") == code


def test_a_classifier_no_better_than_the_commonest_class_is_refused(tmp_path):
    own_table(tmp_path, wrong=45)
    stated = OWN | {"accuracy": 0.55, "low": 0.452, "high": 0.644}
    assert judged(sheet(tmp_path, "pipeline", **stated), "pipeline")[1].passed
    assert refused_by(sheet(tmp_path, "classifier", **stated), "classifier") == "above_commonest"


# --- kaggle ----------------------------------------------------------------------------------------------------------

KAGGLE = {"submission": "mine.csv", "sample": "sample.csv"}
SAMPLE = "id,cat\n1,0.5\n2,0.5\n3,0.5\n"
MINE = "id,cat\n1,0.9\n2,0.1\n3,0.25\n"


def submitted(folder, sample=SAMPLE, mine=MINE):
    (folder / "sample.csv").write_text(sample)
    (folder / "mine.csv").write_text(mine)
    return sheet(folder, "kaggle", **KAGGLE)


@pytest.mark.parametrize(
    ("sample", "mine"),
    [
        (SAMPLE, MINE),
        ("id,breed\na,cat\nb,cat\n", "id,breed\na,dog\nb,cat\n"),
        ("id,n\n1,0\n2,0\n", "id,n\n1,7\n2,3\n"),
    ],
)
def test_a_submission_passes(tmp_path, sample, mine):
    assert judged(submitted(tmp_path, sample, mine), "kaggle")[1].passed


@pytest.mark.parametrize(
    ("mine", "code"),
    [
        ("id,dog\n1,0.9\n2,0.1\n3,0.2\n", "columns"),
        ("cat,id\n0.9,1\n0.1,2\n0.2,3\n", "columns"),
        ("id,cat\n1,0.9\n2,0.1\n", "id_missing"),
        ("id,cat\n1,0.9\n2,0.1\n2,0.2\n", "id_twice"),
        ("id,cat\n1,0.9\n2,0.1\n3,0.2\n4,0.2\n", "id_strange"),
        ("id,cat\n1,0.9\n3,0.2\n2,0.1\n", "id_order"),
        ("id,cat\n1,0.9\n2,\n3,0.2\n", "row_empty"),
        (SAMPLE, "only_the_sample"),
        ("id,cat\n1,0.9\n2,1.5\n3,0.2\n", "no_share"),
        ("id,cat\n1,0.9\n2,dog\n3,0.2\n", "not_a_number"),
        ("id,cat\n1,0.9\n2,nan\n3,0.2\n", "not_a_number"),
        ("", "no_table"),
    ],
)
def test_a_submission_that_does_not_fit_is_refused(tmp_path, mine, code):
    assert refused_by(submitted(tmp_path, mine=mine), "kaggle") == code


def test_numbers_are_no_labels(tmp_path):
    path = submitted(tmp_path, "id,breed\na,cat\nb,cat\n", "id,breed\na,1\nb,2\n")
    assert refused_by(path, "kaggle") == "no_word"


# --- sheets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("first = ", "sheet"),
        ("a = " + "[" * 3000, "sheet"),
        ("first = true\nsecond = 63", "sheet_empty"),
        ("", "sheet_field"),
    ],
)
def test_a_sheet_that_is_none_is_refused(tmp_path, text, code):
    (tmp_path / "sizes.toml").write_text(text)
    assert refused_by(tmp_path / "sizes.toml", "sizes") == code


def test_a_folder_is_handed_in_only_where_a_run_is_wanted(tmp_path):
    with pytest.raises(ConfigError, match=r"is a folder; expected the file race\.toml"):
        check(find_task("race"), tmp_path)
    with pytest.raises(NotFoundError, match="expected what you hand in for race"):
        check(find_task("race"), tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="task is 'conv2d'; expected one of convolution2d"):
        find_task("conv2d")
