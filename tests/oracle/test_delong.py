"""DeLong's interval from ranks, against the plain formula over all pairs and a published example."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from svertka.errors import DataError
from svertka.evaluate import evaluate
from svertka.evaluate.clusters import clustered_share, roc_auc
from svertka.schema import Predictions


def plain_delong(scores, positive, groups=None):
    """Area and standard error as DeLong et al. and Obuchowski write them, pair by pair, group by group."""
    x, y = scores[positive], scores[~positive]
    kernel = np.array([[1.0 if a > b else 0.5 if a == b else 0.0 for b in y] for a in x])
    area = kernel.mean()
    above, below = kernel.mean(axis=1) - area, kernel.mean(axis=0) - area
    groups = np.arange(len(scores)) if groups is None else groups
    in_x, in_y = groups[positive], groups[~positive]
    variance = cross = 0.0
    for values, where in ((above, in_x), (below, in_y)):
        count = len(set(where))
        variance += count / (count - 1) * sum(values[where == g].sum() ** 2 for g in set(where)) / len(values) ** 2
    for g in set(groups):
        cross += above[in_x == g].sum() * below[in_y == g].sum() / (len(x) * len(y))
    count = len(set(groups))
    return area, np.sqrt(max(0.0, variance + 2 * count / (count - 1) * cross))


def error_behind(found):
    """Standard error of an area, from its interval on the scale of log-odds."""
    low, high = (np.log(bound / (1 - bound)) for bound in (found.low, found.high))
    return (high - low) / (2 * 1.959964) * found.value * (1 - found.value)


@pytest.mark.parametrize(("tied", "grouped"), [(False, False), (True, False), (False, True), (True, True)])
def test_ranks_give_what_all_pairs_give(tied, grouped):
    rng = np.random.default_rng(3)
    positive = rng.random(70) < 0.4
    scores = rng.normal(size=70) + positive
    scores = np.round(scores) if tied else scores
    groups = np.arange(70) // 4 if grouped else None
    area, error = plain_delong(scores, positive, groups)
    found = roc_auc(scores, positive, groups)
    assert found.value == pytest.approx(area) == roc_auc_score(positive, scores)
    assert error_behind(found) == pytest.approx(error, rel=1e-5)
    assert found.n == 70


def test_published_example():
    """Ratings of 109 CT images (Hanley and McNeil 1982): area 0.893; DeLong's error as Stata's roctab prints it."""
    normal, abnormal = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)
    scores = np.concatenate([np.repeat(np.arange(1, 6), normal), np.repeat(np.arange(1, 6), abnormal)])
    found = roc_auc(scores.astype(float), np.arange(109) >= 58)
    assert found.value == pytest.approx(0.8932, abs=5e-5)
    assert error_behind(found) == pytest.approx(0.0307, abs=5e-5)


def test_copies_of_the_same_images_add_nothing_when_they_are_one_group():
    rng = np.random.default_rng(5)
    positive = rng.random(60) < 0.5
    scores = rng.normal(size=60) + positive
    once, names = roc_auc(scores, positive), np.repeat(np.arange(60), 5)
    copied = roc_auc(np.repeat(scores, 5), np.repeat(positive, 5), names)
    assert (copied.low, copied.value, copied.high) == pytest.approx((once.low, once.value, once.high))
    assert roc_auc(np.repeat(scores, 5), np.repeat(positive, 5)).low > once.low  # what counting images would claim
    hit = rng.random(60) < 0.8
    single, many = clustered_share(hit), clustered_share(np.repeat(hit, 5), names)
    assert (many.low, many.high) == pytest.approx((single.low, single.high), abs=0.003)
    assert (single.n, many.n) == (60, 300)


def test_a_perfect_ranking_is_not_certain():
    positive = np.arange(40) >= 30
    found = roc_auc(np.arange(40.0), positive)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.7225, abs=1e-3)  # Wilson, 10 of 10
    assert roc_auc(np.arange(40.0), np.arange(40) == 20).low == 0.0  # one image of the class


def test_a_share_of_groups_that_all_agree_counts_the_groups():
    groups = np.repeat(np.arange(6), 10)
    assert clustered_share(np.ones(60, bool), groups).low == pytest.approx(0.6097, abs=1e-3)  # Wilson, 6 of 6
    assert clustered_share(np.zeros(0, bool), np.zeros(0, np.int64)).n == 0


def test_intervals_hold_the_truth_as_often_as_they_say():
    """200 draws of 12 patients with 8 images each, alike within a patient: 95 % intervals by patient hold the share."""
    rng = np.random.default_rng(0)
    groups, by_patient, by_image = np.repeat(np.arange(12), 8), 0, 0
    for _ in range(200):
        hit = rng.random(96) < np.repeat(rng.beta(1.4, 0.6, 12), 8)
        for found, patient in ((clustered_share(hit, groups), True), (clustered_share(hit), False)):
            inside = found.low <= 0.7 <= found.high
            by_patient, by_image = by_patient + (inside and patient), by_image + (inside and not patient)
    assert by_patient >= 0.87 * 200
    assert by_image < 0.8 * 200


def test_one_sided_images_are_refused():
    with pytest.raises(DataError, match="5 of 5 images are of the class to be found; expected images of it and others"):
        roc_auc(np.arange(5.0), np.ones(5, bool))


def test_an_evaluation_of_two_classes_has_this_interval():
    rng = np.random.default_rng(1)
    labels = np.arange(50) % 2
    logits = np.column_stack([np.zeros(50), rng.normal(size=50) + labels]).astype(np.float32)
    predictions = Predictions(
        logits_NK=logits, labels_N=labels, paths=tuple(map(str, range(50))), class_names=("ill", "well")
    )
    found, expected = evaluate(predictions).metrics["roc_auc"], roc_auc(logits[:, 1], labels == 1)
    assert (found.low, found.value, found.high) == pytest.approx((expected.low, expected.value, expected.high))
