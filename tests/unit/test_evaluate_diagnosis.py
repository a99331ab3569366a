"""Operating points and sets of possible classes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from svertka.errors import ConfigError, DataError
from svertka.evaluate import evaluate, fit_conformal, from_json, to_json, too_few
from svertka.evaluate.conformal import is_answer, judge_abstention, possible_classes
from svertka.evaluate.operating_point import choose_threshold, judge_operating_point, predictive_values
from svertka.messages import sentences
from svertka.schema import Conformal, Predictions

PROBABILITY = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05])
POSITIVE = np.array([True, True, False, True, False, True, False, False, False, False])


def drawn(n, seed, shares=(0.8, 0.15, 0.05), sharpness=1.2):
    """Images whose logits are right as often as a mediocre model's."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(len(shares), n, p=shares)
    logits = rng.normal(size=(n, len(shares))) + sharpness * np.eye(len(shares))[labels]
    names = tuple(f"class {label}" for label in range(len(shares)))
    return Predictions(
        logits_NK=logits.astype(np.float32), labels_N=labels, paths=tuple(map(str, range(n))), class_names=names
    )


# --- operating point ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sensitivity", "threshold"),
    [(0.5, 0.75), (0.75, 0.55), (0.76, 0.35), (1.0, 0.35), (None, 0.35)],
)
def test_threshold_finds_what_was_asked_with_the_fewest_false_alarms(sensitivity, threshold):
    assert choose_threshold(PROBABILITY, POSITIVE, sensitivity) == pytest.approx(threshold)


def test_finding_more_of_the_class_without_a_further_false_alarm_is_taken():
    probability = np.array([1.0, 0.999, 0.9, 0.8, 0.2, 0.1])
    assert choose_threshold(probability, np.arange(6) < 4, 0.5) == pytest.approx(0.5)  # the classes lie apart


def test_youden_maximises_the_sum_over_all_thresholds():
    rng = np.random.default_rng(0)
    positive = rng.random(200) < 0.3
    score = rng.random(200) + 0.5 * positive

    def youden(threshold):
        return (score[positive] >= threshold).mean() + (score[~positive] < threshold).mean()

    assert youden(choose_threshold(score, positive, None)) == pytest.approx(max(youden(value) for value in score))


def test_operating_point_counts_the_four_cells():
    point = judge_operating_point(PROBABILITY, POSITIVE, 0.55)
    figures = (point.sensitivity, point.specificity, point.positive_value, point.negative_value, point.prevalence)
    assert [figure.value for figure in figures] == pytest.approx([3 / 4, 5 / 6, 3 / 4, 5 / 6, 0.4])
    assert [figure.n for figure in figures] == [4, 6, 4, 6, 10]
    assert point.sensitivity.low == pytest.approx(0.3006, abs=1e-4)  # Wilson, 3 of 4


def test_predictive_values_follow_the_prevalence():
    measured = predictive_values(3 / 4, 5 / 6, 0.4)
    assert measured == pytest.approx((3 / 4, 5 / 6))  # at the prevalence of the images above: what was counted
    screening = predictive_values(0.9, 0.9, 0.01)
    assert screening == pytest.approx((1 / 12, 0.99888), abs=1e-4)
    assert np.isnan(predictive_values(0.0, 1.0, 0.5)[0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: choose_threshold(PROBABILITY, POSITIVE, 1.2), ConfigError, "sensitivity is 1.2; expected above 0"),
        (lambda: choose_threshold(PROBABILITY, POSITIVE & False, 0.9), DataError, "0 of 10 validation images"),
        (lambda: predictive_values(0.9, 0.9, 7), ConfigError, "prevalence is 7; expected a share"),
        (lambda: fit_conformal(drawn(50, 0), 1.0), ConfigError, "coverage is 1.0; expected 0.5 to 0.999"),
    ],
)
def test_what_cannot_be_chosen_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- sets of possible classes ------------------------------------------------------------------------------------


def test_every_class_is_covered_as_promised_on_average():
    covered = np.zeros(3)
    for seed in range(200):
        conformal = fit_conformal(drawn(900, seed))
        found = judge_abstention(drawn(900, 1000 + seed), conformal)
        covered += [figure.value for figure in found.per_class]
    # At least 0.9 and, with n images of the class behind the threshold, at most 1 / (n + 1) more.
    assert covered / 200 == pytest.approx([0.9005, 0.9035, 0.911], abs=0.012)


def test_threshold_is_the_ninth_of_nine_doubts():
    logits = np.zeros((18, 2), np.float32)
    logits[:9, 0] = np.arange(9)
    logits[9:, 1] = np.arange(9) + 1
    val = Predictions(
        logits_NK=logits, labels_N=np.arange(18) // 9, paths=tuple(map(str, range(18))), class_names=("a", "b")
    )
    conformal = fit_conformal(val)
    assert conformal.thresholds == pytest.approx((0.5, 1 - 1 / (1 + np.exp(-1))))
    assert conformal.counts == (9, 9)


def test_too_few_validation_images_of_a_class_mean_no_thresholds():
    val = drawn(60, 0)
    assert fit_conformal(val) is None
    said = sentences(too_few(val))
    assert "at least 9 validation images in every class, and there are fewer of" in said
    assert "“class 2”" in said
    assert fit_conformal(val, 0.6) is not None  # which needs two


def test_an_answer_is_a_set_of_the_named_class_alone():
    conformal = Conformal(target=0.9, thresholds=(0.6, 0.3), counts=(9, 9))
    logits = np.log(np.array([[0.9, 0.1], [0.5, 0.5], [0.1, 0.9], [0.35, 0.65], [0.45, 0.55]]))
    possible = possible_classes(logits, conformal)
    assert possible.tolist() == [[True, False], [True, False], [False, True], [False, False], [True, False]]
    assert is_answer(possible, logits.argmax(axis=1)).tolist() == [True, True, True, False, False]


def test_abstention_is_measured_and_written_down():
    conformal = fit_conformal(drawn(900, 1, sharpness=3.0))
    evaluation = evaluate(drawn(300, 2, sharpness=3.0), conformal=conformal)
    found = evaluation.abstention
    assert found.accuracy.value > evaluation.metrics["accuracy"].value  # the doubtful ones are left out
    assert found.accuracy.n == round(found.answered.value * 300) < 300
    assert found.thresholds == conformal.thresholds
    possible_NK = possible_classes(drawn(300, 2, sharpness=3.0).logits_NK, conformal)
    assert found.empty == (possible_NK.sum(axis=1) == 0).sum()
    plain = json.loads(json.dumps(to_json(evaluation)))
    assert from_json(plain) == evaluation
    older = {name: value for name, value in plain["abstention"].items() if name not in ("thresholds", "empty")}
    assert from_json(plain | {"abstention": older}).abstention == replace(found, thresholds=(), empty=None)
    del plain["abstention"]  # metrics of an older run
    assert from_json(plain).abstention is None
