"""``evaluate`` on ordinary and on degenerate predictions; nothing that is not a number may leak."""

import json
import math
import subprocess
import sys
import time
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svertka.errors import ConfigError, DataError
from svertka.evaluate import MAJORITY, class_to_find, evaluate, fit_temperature, from_json, to_json
from svertka.evaluate.calibration import Confidences, calibration_error
from svertka.evaluate.intervals import difference, share
from svertka.evaluate.predictions import probabilities
from svertka.schema import Notice, Predictions

NAMES = {
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "roc_auc",
    "average_precision",
    "log_loss",
    "log_loss_uncalibrated",
    "calibration_error",
    "calibration_error_uncalibrated",
}


def made(logits, labels, names=None):
    logits = np.asarray(logits, dtype=np.float32)
    names = names or tuple(f"class {k}" for k in range(logits.shape[1]))
    paths = tuple(f"{i}.png" for i in range(len(labels)))
    return Predictions(logits_NK=logits, labels_N=np.asarray(labels, dtype=np.int64), paths=paths, class_names=names)


def drawn(n, classes, seed, signal=1.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), labels] += signal
    return made(logits, labels)


def numbers(value):
    """Every float of a record, with its way there."""
    if is_dataclass(value):
        for field in fields(value):
            yield from ((f"{field.name}.{way}", x) for way, x in numbers(getattr(value, field.name)))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from ((f"{key}.{way}", x) for way, x in numbers(item))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, float):
        yield "", value


def assert_sound(evaluation):
    for way, x in numbers(evaluation):
        assert math.isfinite(x), way
    everything = [*evaluation.metrics.values(), *(e for b in evaluation.baselines.values() for e in b.values())]
    everything += [e for s in evaluation.per_class for e in (s.precision, s.recall, s.f1)]
    for estimate in everything:
        assert estimate.low <= estimate.value <= estimate.high, estimate
    json.dumps(to_json(evaluation), allow_nan=False)


def codes(evaluation):
    return {notice.code for notice in evaluation.notices}


def test_ordinary_predictions_have_every_figure_and_baselines():
    predictions = drawn(300, 3, 0)
    evaluation = evaluate(predictions, temperature=2.0, baselines={"probe": drawn(300, 3, 1)}, majority_class=1)
    assert_sound(evaluation)
    assert set(evaluation.metrics) == NAMES
    assert set(evaluation.baselines["probe"]) == NAMES
    assert list(evaluation.baselines) == [MAJORITY, "probe"]
    majority = evaluation.baselines[MAJORITY]
    assert majority["accuracy"].value == pytest.approx((predictions.labels_N == 1).mean())
    assert majority["balanced_accuracy"].value == pytest.approx(1 / 3)
    assert majority["roc_auc"].value == pytest.approx(0.5)
    assert not any("loss" in name or "calibration" in name for name in majority)
    assert evaluation.metrics["log_loss"].value != evaluation.metrics["log_loss_uncalibrated"].value
    assert evaluation.n == 300
    assert evaluation.temperature == 2.0
    assert evaluation.notices == ()
    for name, estimate in evaluation.metrics.items():
        assert estimate.low <= estimate.value < estimate.high, name


def test_temperature_changes_no_predicted_label_and_no_ranking_of_two_classes():
    predictions = drawn(200, 2, 0)
    plain, warm = evaluate(predictions).metrics, evaluate(predictions, temperature=7.0).metrics
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "average_precision"):
        assert plain[name] == warm[name], name


def test_perfect_separation_says_that_resampling_shows_no_doubt():
    labels = np.arange(200) % 2
    evaluation = evaluate(made(np.eye(2)[labels] * 9, labels))
    assert_sound(evaluation)
    assert evaluation.metrics["roc_auc"].value == 1.0
    assert evaluation.metrics["accuracy"].low == pytest.approx(0.9812, abs=1e-4)
    assert codes(evaluation) == {"no_mistakes"}


def test_probabilities_that_round_to_one_are_still_ranked():
    """Logit margins of 50 and 60 are both probability 1.0 in float64; the ranking must keep them apart."""
    labels = [1, 1, 0, 0] * 30
    margins = [60, 61, 50, 51] * 30
    evaluation = evaluate(made([[0, m] for m in margins], labels))
    assert evaluation.metrics["roc_auc"].value == 1.0
    assert evaluation.metrics["accuracy"].value == 0.5


def test_all_scores_equal_is_chance():
    evaluation = evaluate(made(np.zeros((150, 3)), np.arange(150) % 3))
    assert_sound(evaluation)
    assert evaluation.metrics["roc_auc"].value == pytest.approx(0.5)
    assert evaluation.metrics["average_precision"].value == pytest.approx(1 / 3)
    assert evaluation.metrics["log_loss"].value == pytest.approx(math.log(3))


def test_one_image():
    evaluation = evaluate(made([[0.0, 1.0, 0.5]], [1]), majority_class=0)
    assert_sound(evaluation)
    assert "roc_auc" not in evaluation.metrics
    assert evaluation.metrics["accuracy"].low == pytest.approx(0.2065, abs=1e-4)
    assert codes(evaluation) == {
        "class_without_test_images",
        "ranking_not_measured",
        "few_test_images",
        "no_mistakes",
    }


def test_one_class_in_test_leaves_ranking_out():
    rng = np.random.default_rng(0)
    evaluation = evaluate(made(rng.normal(size=(150, 2)), np.zeros(150, dtype=int)))
    assert_sound(evaluation)
    assert NAMES - set(evaluation.metrics) == {"roc_auc", "average_precision"}
    assert evaluation.roc == evaluation.precision_recall == ()
    missing = evaluation.per_class[1]
    assert (missing.support, missing.recall.n, missing.recall.low, missing.recall.high) == (0, 0, 0.0, 1.0)
    assert {"class_without_test_images", "ranking_not_measured"} <= codes(evaluation)


def test_a_class_without_images_or_predictions_is_left_out_of_means():
    labels = np.arange(200) % 2
    logits = np.zeros((200, 3))
    logits[np.arange(200), labels] = 4.0
    logits[:40, :2] = logits[:40, 1::-1]  # the first forty are mistaken
    evaluation = evaluate(made(logits, labels, ("ant", "bee", "cat")))
    assert_sound(evaluation)
    assert evaluation.metrics["balanced_accuracy"].value == pytest.approx(0.8)
    assert evaluation.metrics["macro_f1"].value == pytest.approx(0.8)
    assert [curve.name for curve in evaluation.roc] == ["ant", "bee"]
    assert evaluation.per_class[2].f1.n == 0
    assert any(notice.values == {"names": ["cat"]} for notice in evaluation.notices)


def test_a_class_with_two_images_of_many_is_told():
    labels = np.r_[np.zeros(150, dtype=int), 1, 1]
    evaluation = evaluate(made(np.random.default_rng(0).normal(size=(152, 2)), labels, ("ok", "rare")))
    assert_sound(evaluation)
    assert "roc_auc" in evaluation.metrics
    assert Notice("few_test_images_in_class", {"limit": 10, "names": ["rare"]}) in evaluation.notices


@pytest.mark.parametrize("huge", [1e30, 3.4e38, np.inf])
def test_huge_and_infinite_logits_stay_finite(huge):
    rng = np.random.default_rng(0)
    logits = rng.choice([-huge, 0.0, huge], size=(150, 3)).astype(np.float32)
    assert_sound(evaluate(made(logits, np.arange(150) % 3), temperature=0.5, majority_class=2))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 4).flatmap(
        lambda k: st.lists(
            st.tuples(st.integers(0, k - 1), st.lists(st.floats(width=32, allow_nan=False), min_size=k, max_size=k)),
            min_size=1,
            max_size=12,
        )
    )
)
def test_no_predictions_whatever_leak_a_non_number(rows):
    predictions = made([logits for _, logits in rows], [label for label, _ in rows])
    evaluation = evaluate(predictions, temperature=fit_temperature(predictions), majority_class=0)
    assert_sound(evaluation)
    assert from_json(json.loads(json.dumps(to_json(evaluation)))) == evaluation


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels_N": np.array([0, 5])}, "labels run from 0 to 5; expected 0 to 1"),
        ({"labels_N": np.array([-1, 1])}, "labels run from -1 to 1"),
        ({"logits_NK": np.array([[0, np.nan], [1, 2]], np.float32)}, r"1 of 2 images.*0\.png.*lower learning rate"),
        ({"logits_NK": np.zeros((2, 3), np.float32)}, r"logits \[2, 3\], 2 labels, 2 paths and 2 classes"),
        ({"paths": ("one",)}, "1 paths"),
    ],
)
def test_predictions_that_cannot_be_judged(change, message):
    with pytest.raises(DataError, match=message):
        evaluate(replace(made([[0, 1], [1, 0]], [1, 0]), **change))


def test_nothing_to_judge():
    with pytest.raises(DataError, match=r"no predictions to judge.*at least one"):
        evaluate(made(np.zeros((0, 2)), []))
    with pytest.raises(DataError, match="1 class"):
        evaluate(made(np.zeros((3, 1)), [0, 0, 0]))


def test_wrong_arguments():
    predictions = drawn(20, 2, 0)
    with pytest.raises(ConfigError, match="majority_class is 2; expected a label from 0 to 1"):
        evaluate(predictions, majority_class=2)
    with pytest.raises(DataError, match="temperature is 0; expected a finite number above 0"):
        evaluate(predictions, temperature=0)


def test_the_class_to_be_found_is_the_rarer_of_two_unless_named():
    names, labels_N = ("defective", "functional"), np.array([0, 1, 1])
    assert class_to_find("", names, labels_N) == 0
    assert class_to_find("", names, 1 - labels_N) == 1
    assert class_to_find("", names, np.array([0, 1])) == 1  # equally common: the second, as in scikit-learn
    assert class_to_find("functional", names, labels_N) == 1
    assert class_to_find("", (*names, "broken"), labels_N) is None
    with pytest.raises(
        ConfigError, match=r"positive is 'defectiv'; expected .* “defective” and “functional”\. Did you"
    ):
        class_to_find("defectiv", names, labels_N)
    with pytest.raises(ConfigError, match=r"positive is 'broken', but there are 3 classes; it is for two"):
        class_to_find("broken", (*names, "broken"), labels_N)


def test_older_figures_name_no_class_to_be_found():
    plain = to_json(evaluate(drawn(20, 2, 0), positive=0))
    assert plain.pop("positive") == "class 0"
    assert from_json(plain).positive == ""
    assert evaluate(drawn(30, 3, 0)).positive == ""


def test_json_round_trip_is_exact():
    evaluation = evaluate(drawn(80, 3, 0), temperature=1.3, baselines={"probe": drawn(80, 3, 1)}, majority_class=0)
    plain = to_json(evaluation)
    assert json.loads(json.dumps(plain)) == plain
    assert from_json(json.loads(json.dumps(plain))) == evaluation


@pytest.mark.parametrize("damage", [{"metrics": None}, {"extra": 1}, {"roc": [{"x": [0.0]}]}, {"reliability": 7}])
def test_damaged_json_is_refused(damage):
    with pytest.raises(DataError, match=r"not the metrics of an evaluation.*metrics\.json"):
        from_json(to_json(evaluate(drawn(20, 2, 0))) | damage)
    with pytest.raises(DataError, match=r"Evaluation\.n is missing; expected int"):
        from_json({})


def calibrated(n, classes, seed, sharpness=1.0):
    """A classifier whose probabilities are true at ``sharpness`` 1: logits are the log-odds of the labels' makers."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    logits = 2.2 * rng.normal(size=(n, classes)) + 2.2**2 * np.eye(classes)[labels]
    return made(sharpness * logits, labels)


@pytest.mark.parametrize(("n", "mean", "worst"), [(20, 0.006, 0.025), (30, 0.006, 0.025), (60, 0.006, 0.025)])
@pytest.mark.parametrize("classes", [2, 4])
def test_few_images_do_not_spoil_confidences_that_are_right_already(classes, n, mean, worst):
    """At the likelihood's own temperature the loss would rise by 0.04 to 0.2 on average with 20 images."""
    fresh = calibrated(2000, classes, seed=10_000)
    rows = np.arange(len(fresh))

    def loss(temperature):
        return -np.log(probabilities(fresh, temperature)[rows, fresh.labels_N]).mean()

    worse = np.array([loss(fit_temperature(calibrated(n, classes, seed))) - loss(1.0) for seed in range(100)])
    assert worse.mean() < mean
    assert np.quantile(worse, 0.95) < worst


@pytest.mark.parametrize("sharpness", [2.0, 0.5])
def test_many_images_overrule_the_prior_of_the_temperature(sharpness):
    many = calibrated(3000, 3, seed=0, sharpness=sharpness)
    assert fit_temperature(many) == pytest.approx(sharpness, rel=0.08)
    parts = [
        replace(many, **{name: getattr(many, name)[part] for name in ("logits_NK", "labels_N", "paths")})
        for part in (slice(0, 1200), slice(1200, None))
    ]
    assert fit_temperature(*parts) == pytest.approx(fit_temperature(many), rel=1e-6)


def test_temperature_stays_near_1_without_mistakes_and_without_images():
    right = np.arange(30) % 2
    assert fit_temperature() == pytest.approx(1.0)
    sharper = fit_temperature(made(3 * np.eye(2)[right], right))
    assert 0.6 < sharper < 1.0
    assert fit_temperature(made(np.zeros((30, 2)), right)) == pytest.approx(1.0)
    assert 1.0 < fit_temperature(made(-np.eye(2)[right], right)) < 3.0


def test_reliability_bins_are_fifteenths_closed_above():
    confidences = [0.6, 0.61, 0.9, 0.97, 1.0]  # 0.6 is 9/15 exactly, so it belongs to (8/15, 9/15]
    logits = [[0, np.log(p / (1 - p)) if p < 1 else 200.0] for p in confidences]
    bins = evaluate(made(logits, [1, 0, 1, 1, 0])).reliability
    assert [(b.count, b.accuracy) for b in bins] == [(1, 1.0), (1, 0.0), (1, 1.0), (2, 0.5)]
    assert [b.confidence for b in bins] == pytest.approx([0.6, 0.61, 0.9, 0.985], abs=1e-6)


def test_luck_is_taken_out_of_the_calibration_error():
    """A classifier whose confidences are true, on 100 images: the plain error is 0.1 on average, this one near 0."""
    errors = [evaluate(calibrated(100, 2, seed)).metrics["calibration_error"] for seed in range(60)]
    assert np.mean([error.value**2 for error in errors]) < 0.03**2 * 2
    assert np.median([error.value for error in errors]) < 0.03
    assert sum(error.low == 0 for error in errors) >= 54
    too_sure = evaluate(calibrated(2000, 2, 0, sharpness=3.0)).metrics["calibration_error"]
    assert too_sure.low > 0.03


def test_calibration_error_of_one_bin_has_the_interval_of_a_noncentral_chi_square():
    """All images at a confidence of 0.9, 70 of 100 right: the gap is 0.2, and its square less its variance is shown."""
    labels = np.r_[np.zeros(70, int), np.ones(30, int)]
    logits = np.tile([math.log(0.9), math.log(0.1)], (100, 1))
    error = evaluate(made(logits, labels)).metrics["calibration_error"]
    share = (70 + 0.9 + 0.5) / 102
    variance = share * (1 - share) / 100
    assert error.value == pytest.approx(math.sqrt(0.04 - variance), rel=1e-4)
    # Of one bin the root of the sum is a normal gap's absolute value: 1.75 errors (4 %) below, 2.33 (1 %) above.
    assert error.low == pytest.approx(0.2 - 1.7507 * math.sqrt(variance), abs=1e-3)
    assert error.high == pytest.approx(0.2 + 2.3263 * math.sqrt(variance), abs=1e-3)


def test_calibration_error_of_bins_that_are_all_wrong_or_all_right_is_quick_and_at_most_1():
    """Such a bin has next to no variance, so the gap is very many times its error: the sum of squares grows as N²."""
    started = time.process_time()
    for n in (20_000, 200_000):
        for confidence, right, gap in ((0.98, 0, 0.98), (0.6, 1, 0.4), (1 - 1e-9, 0, 1.0)):
            logits = np.tile([math.log(confidence), math.log(1 - confidence)], (n, 1))
            confidences = Confidences.of(made(logits, np.full(n, 1 - right)), 1.0)
            error = calibration_error(confidences)
            assert 0 <= error.low <= error.value <= error.high <= 1
            assert error.value == pytest.approx(gap, abs=1e-4) and error.high - error.low < 0.001
    assert time.process_time() - started < 2


@pytest.mark.parametrize("n", [1, 3, 20, 3000])
def test_no_limit_of_the_calibration_error_passes_1(n):
    """Everything sure and everything wrong, as swapped labels make it."""
    error = evaluate(made(np.tile([30.0, 0.0], (n, 1)), np.ones(n, int))).metrics["calibration_error"]
    assert error.low <= error.value <= error.high <= 1
    assert n < 3000 or error.low > 0.99


@pytest.mark.parametrize(("n", "classes"), [(50, 2), (50, 8), (200, 4)])
def test_intervals_hold_the_truth_as_often_as_they_say(n, classes):
    """Of 150 test sets 95 % must: at least 90 % (2.8 standard errors) for every figure, each class's on average too."""
    truth = dict(estimates(evaluate(calibrated(100_000, classes, seed=999, sharpness=1.4))))
    held = {name: [] for name in truth}
    for seed in range(150):
        for name, found in estimates(evaluate(calibrated(n, classes, seed, sharpness=1.4))):
            if found.n:
                held[name].append(found.low <= truth[name].value <= found.high)
    missed = {name: np.mean(values) for name, values in held.items() if np.mean(values) < 0.9}
    assert missed == {}


def estimates(evaluation):
    yield from evaluation.metrics.items()
    for scores in evaluation.per_class:
        for name in ("precision", "recall", "f1"):
            yield f"{name} of {scores.name}", getattr(scores, name)


@pytest.mark.parametrize("classes", [2, 3])
def test_twenty_copies_of_each_image_in_a_group_tell_no_more_than_one(classes):
    one = drawn(60, classes, seed=3)
    copies = made(np.repeat(one.logits_NK, 20, axis=0), np.repeat(one.labels_N, 20))
    groups_N = np.repeat(np.arange(60), 20)
    alone, grouped = evaluate(one), evaluate(copies, groups_N=groups_N)
    for name, estimate in alone.metrics.items():
        found = grouped.metrics[name]
        assert found.value == pytest.approx(estimate.value, abs=1e-3), name
        # Groups' average precision rests on images left out one by one; with groups left out it would be a bit wider.
        near = 0.04 if name == "average_precision" else 0.02
        assert (found.low, found.high) == pytest.approx((estimate.low, estimate.high), abs=near), name
        assert found.n == 1200
    narrow = evaluate(copies).metrics["accuracy"]
    assert narrow.high - narrow.low < 0.35 * (alone.metrics["accuracy"].high - alone.metrics["accuracy"].low)
    for k in range(classes):
        alone_recall, recall = alone.per_class[k].recall, grouped.per_class[k].recall
        assert (recall.low, recall.high) == pytest.approx((alone_recall.low, alone_recall.high), abs=0.02)
    assert evaluate(one, groups_N=np.arange(60)) == alone


def test_difference_of_shares_has_the_interval_of_newcombes_table():
    found = difference(share(56, 70), share(48, 80))  # table II, method 10, contrast (a)
    assert (found.value, found.n) == (pytest.approx(0.2), 70)
    assert (found.low, found.high) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))


def test_shares_and_intervals_at_their_edges():
    assert share(0, 0).high == 1.0
    assert share(3, 3).low == pytest.approx(0.4385, abs=1e-4)


def test_judging_needs_neither_torch_nor_scikit_learn():
    code = (
        "import sys\n"
        "for name in ('torch', 'sklearn', 'scipy', 'torchvision', 'timm'): sys.modules[name] = None\n"
        "import numpy as np\n"
        "from svertka.evaluate import evaluate\n"
        "from svertka.schema import Predictions\n"
        "p = Predictions(logits_NK=np.eye(2, dtype=np.float32), labels_N=np.array([0, 1]), paths=('a', 'b'), "
        "class_names=('x', 'y'))\n"
        "print(evaluate(p).metrics['accuracy'].value)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1.0\n"
