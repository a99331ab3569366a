"""The metrics against scikit-learn and SciPy, on many random problems, with ties, weights and resamples."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics

from svertka.evaluate import fit_temperature, probabilities
from svertka.evaluate.calibration import (
    LARGE_CHI_SQUARE,
    NUM_BINS,
    PRIOR_WIDTH,
    _chi_square,
    _large_chi_square,
    _noncentrality,
)
from svertka.evaluate.curves import roc_and_precision_recall
from svertka.evaluate.intervals import share
from svertka.evaluate.judgement import evaluate
from svertka.evaluate.metrics import confusion_matrix, score
from svertka.evaluate.uncertainty import areas
from svertka.schema import Predictions

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from weighted_metrics import all_metrics


def problem(n, classes, seed, *, ties=False, signal=1.0):
    rng = np.random.default_rng(seed)
    labels = np.r_[np.arange(classes), rng.integers(0, classes, n - classes)]
    logits = rng.normal(size=(n, classes)) * 1.5
    logits[np.arange(n), labels] += signal
    if ties:
        logits = logits.round()
    return Predictions(
        logits_NK=logits.astype(np.float32),
        labels_N=labels,
        paths=tuple(f"{i}.png" for i in range(n)),
        class_names=tuple(f"class {k}" for k in range(classes)),
    )


def by_scikit_learn(predictions, temperature, weights):
    truth, classes = predictions.labels_N, len(predictions.class_names)
    probability = probabilities(predictions, temperature)
    guess = probability.argmax(axis=1)
    probability = probability.round(13)  # or rounding errors of 1e-16 would break the ties
    if classes == 2:
        auc = metrics.roc_auc_score(truth, probability[:, 1], sample_weight=weights)
        precision = metrics.average_precision_score(truth, probability[:, 1], sample_weight=weights)
    else:
        one_hot = np.eye(classes)[truth]
        auc = metrics.roc_auc_score(one_hot, probability, sample_weight=weights, average="macro")
        precision = metrics.average_precision_score(one_hot, probability, sample_weight=weights, average="macro")
    return {
        "accuracy": metrics.accuracy_score(truth, guess, sample_weight=weights),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, guess, sample_weight=weights),
        "macro_f1": metrics.f1_score(truth, guess, sample_weight=weights, average="macro"),
        "roc_auc": auc,
        "average_precision": precision,
        "log_loss": metrics.log_loss(truth, probability, sample_weight=weights, labels=range(classes)),
    }


@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties"])
@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("seed", range(4))
def test_metrics_equal_scikit_learn_with_weights(classes, seed, ties):
    predictions = problem(60 + 40 * seed, classes, seed, ties=ties)
    n = len(predictions)
    rng = np.random.default_rng(seed)
    # Columns: no weights, real weights, and counts with many zeros that keep one image of every class.
    counts = rng.integers(0, 3, n).astype(float)
    counts[:classes] = 1
    weights_NB = np.column_stack([np.ones(n), rng.uniform(0.1, 3.0, n), counts])
    ours, _ = all_metrics(score(predictions, 1.7), weights_NB)
    for column in range(3):
        for name, value in by_scikit_learn(predictions, 1.7, weights_NB[:, column]).items():
            assert ours[name][column] == pytest.approx(value, rel=1e-9), (name, column)


@pytest.mark.parametrize("classes", [2, 5])
def test_per_class_and_confusion_equal_scikit_learn(classes):
    predictions = problem(150, classes, 3, ties=True)
    guess = predictions.logits_NK.argmax(axis=1)
    evaluation = evaluate(predictions)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        predictions.labels_N, guess, zero_division=0.0
    )
    assert [s.precision.value for s in evaluation.per_class] == pytest.approx(precision)
    assert [s.recall.value for s in evaluation.per_class] == pytest.approx(recall)
    assert [s.f1.value for s in evaluation.per_class] == pytest.approx(f1)
    assert [s.support for s in evaluation.per_class] == support.tolist()
    assert evaluation.confusion_KK == tuple(map(tuple, metrics.confusion_matrix(predictions.labels_N, guess).tolist()))
    assert confusion_matrix(score(predictions)).sum() == 150


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("classes", [2, 4])
def test_intervals_of_many_images_are_those_of_the_bootstrap(classes, grouped):
    predictions = problem(1500, classes, 5)
    groups_N = np.arange(1500) // 5 if grouped else None
    rng = np.random.default_rng(0)
    drawn_CB = rng.multinomial(300 if grouped else 1500, [1 / 300] * 300 if grouped else [1 / 1500] * 1500, 1000).T
    weights_NB = drawn_CB[groups_N].astype(float) if grouped else drawn_CB.astype(float)
    draws, f1_KB = all_metrics(score(predictions), weights_NB)
    evaluation = evaluate(predictions, groups_N=groups_N)
    found = evaluation.metrics | {f"f1 {k}": scores.f1 for k, scores in enumerate(evaluation.per_class)}
    for name, draws_B in (draws | {f"f1 {k}": f1_B for k, f1_B in enumerate(f1_KB)}).items():
        low, high = np.quantile(draws_B, [0.025, 0.975])
        assert found[name].high - found[name].low == pytest.approx(high - low, rel=0.12), name
        assert (found[name].low, found[name].high) == pytest.approx((low, high), abs=0.15 * (high - low)), name


@pytest.mark.parametrize("positive", [0, 1])
def test_figures_of_two_classes_are_of_the_one_to_be_found(positive):
    """Areas under ROC are the same from both sides; average precision is not."""
    predictions = problem(200, 2, 5)
    truth_N, score_N = predictions.labels_N == positive, probabilities(predictions)[:, positive]
    evaluation = evaluate(predictions, positive=positive, baselines={"other": problem(200, 2, 5)}, majority_class=0)
    expected = metrics.average_precision_score(truth_N, score_N)
    assert evaluation.positive == f"class {positive}"
    for found in (evaluation.metrics, evaluation.baselines["other"]):
        assert found["average_precision"].value == pytest.approx(expected)
        assert found["roc_auc"].value == pytest.approx(metrics.roc_auc_score(truth_N, score_N))
    assert evaluation.baselines["majority class"]["average_precision"].value == pytest.approx(truth_N.mean())
    (roc,), (precision_recall,) = evaluation.roc, evaluation.precision_recall
    assert (roc.name, precision_recall.name) == (f"class {positive}",) * 2
    assert precision_recall.summary == pytest.approx(expected)
    assert abs(expected - metrics.average_precision_score(~truth_N, -score_N)) > 0.01  # so the side matters


@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties"])
def test_influences_are_derivatives_and_what_is_left_without_an_image(ties):
    predictions = problem(40, 2, 3, ties=ties)
    judged, step = score(predictions), 1e-5
    roc, precision = areas(judged.rankings[0])
    weights_NB = np.ones((40, 40)) + step * np.eye(40)
    moved = all_metrics(judged, weights_NB)[0]["roc_auc"]
    assert roc.influence_N == pytest.approx((moved - roc.value) / step, abs=1e-4)
    left = all_metrics(judged, 1.0 - np.eye(40))[0]["average_precision"]
    assert precision.influence_N == pytest.approx(left.mean() - left, abs=1e-9)
    assert precision.bias == pytest.approx(39 * (left.mean() - precision.value))


@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties"])
def test_curves_pass_through_scikit_learns_points(ties):
    predictions = problem(80, 2, 1, ties=ties)
    score_N = probabilities(predictions)[:, 1]
    (roc,), (precision_recall,) = roc_and_precision_recall(score(predictions), predictions.class_names)
    fpr, tpr, _ = metrics.roc_curve(predictions.labels_N, score_N, drop_intermediate=False)
    assert roc.name == "class 1"
    # Every one of our corners is one of its points, and its points lie on our line.
    assert set(zip(np.round(roc.x, 12), np.round(roc.y, 12), strict=True)) <= set(
        zip(fpr.round(12), tpr.round(12), strict=True)
    )
    assert np.trapezoid(roc.y, roc.x) == pytest.approx(metrics.roc_auc_score(predictions.labels_N, score_N))
    assert roc.summary == pytest.approx(np.trapezoid(roc.y, roc.x))
    precision, recall, _ = metrics.precision_recall_curve(predictions.labels_N, score_N)
    ours = set(zip(np.round(precision_recall.x, 12), np.round(precision_recall.y, 12), strict=True))
    theirs = set(zip(recall.round(12), precision.round(12), strict=True))
    assert ours <= theirs
    assert precision_recall.summary == pytest.approx(metrics.average_precision_score(predictions.labels_N, score_N))


def test_thinned_curves_keep_their_area():
    predictions = problem(3000, 3, 2)
    roc, precision_recall = roc_and_precision_recall(score(predictions), predictions.class_names)
    for curve in (*roc, *precision_recall):
        assert 100 < len(curve.x) <= 200
        assert np.trapezoid(curve.y, curve.x) == pytest.approx(curve.summary, abs=0.005)
    assert all((curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1) for curve in roc)


@pytest.mark.parametrize(("classes", "scale"), [(2, 3.0), (4, 0.4), (10, 1.0)])
def test_temperature_is_the_mode_by_scipys_gamma_prior(classes, scale):
    from scipy import optimize, stats

    prior = stats.gamma(a=1 + 1 / PRIOR_WIDTH**2, scale=PRIOR_WIDTH**2)
    assert prior.std() == pytest.approx(PRIOR_WIDTH, rel=0.05)

    plain = problem(400, classes, 8)
    predictions = Predictions(
        logits_NK=plain.logits_NK * np.float32(scale),
        labels_N=plain.labels_N,
        paths=plain.paths,
        class_names=plain.class_names,
    )

    def surprise(log_temperature):
        probability = probabilities(predictions, float(np.exp(log_temperature)))
        return -np.log(probability[np.arange(400), predictions.labels_N]).sum() - prior.logpdf(np.exp(-log_temperature))

    best = optimize.minimize_scalar(surprise, bounds=(-4, 4), method="bounded", options={"xatol": 1e-9})
    assert np.log(fit_temperature(predictions)) == pytest.approx(best.x, abs=1e-5)


def test_calibration_error_equals_a_plain_loop():
    predictions = problem(300, 3, 4)
    probability = probabilities(predictions)
    confidence, guess = probability.max(axis=1), probability.argmax(axis=1)
    error = 0.0
    for b in range(NUM_BINS):
        inside = (confidence > b / NUM_BINS) & (confidence <= (b + 1) / NUM_BINS)
        if inside.any():
            right, count = guess[inside] == predictions.labels_N[inside], inside.sum()
            drawn = (right.sum() + confidence[inside].mean() + 0.5) / (count + 2)
            gap = right.mean() - confidence[inside].mean()
            error += inside.mean() * (gap**2 - drawn * (1 - drawn) / count)
    evaluation = evaluate(predictions)
    assert evaluation.metrics["calibration_error"].value == pytest.approx(np.sqrt(error))
    assert evaluation.metrics["calibration_error_uncalibrated"] == evaluation.metrics["calibration_error"]
    assert sum(b.count for b in evaluation.reliability) == 300


@pytest.mark.parametrize(("k", "away"), [(1.0, 0.0), (1.0, 3.0), (4.3, 0.5), (12.0, 30.0), (9.7, 4000.0)])
def test_noncentral_chi_square_is_scipys(k, away):
    from scipy import stats

    distribution = stats.ncx2(k, away) if away else stats.chi2(k)
    for level in (0.025, 0.2, 0.9, 0.975):
        x = distribution.ppf(level)
        assert _chi_square(x, k, away) == pytest.approx(level, abs=1e-9)
        if away:
            assert _noncentrality(x, k, level) == pytest.approx(away, rel=1e-6)


@pytest.mark.parametrize("k", [1.0, 3.3, 14.0])
@pytest.mark.parametrize("x", [LARGE_CHI_SQUARE, 1e5, 1e7])
def test_large_noncentral_chi_square_is_scipys(x, k):
    from scipy import stats

    for errors in (-6, -3, -2, -1, 0, 1, 2, 3, 6):
        away = x + errors * 2 * np.sqrt(x)
        assert _large_chi_square(x, k, away) == pytest.approx(stats.ncx2(k, away).cdf(x), abs=3e-7)
    for level in (0.01, 0.96):
        away = _noncentrality(x * 1.0001, k, level)  # above the seam
        assert stats.ncx2(k, away).cdf(x * 1.0001) == pytest.approx(level, abs=3e-7)


@pytest.mark.parametrize("k", [1.0, 3.3, 14.0])
def test_noncentrality_has_no_step_where_the_sum_becomes_an_approximation(k):
    for level in (0.01, 0.96):
        below, above = (_noncentrality(x, k, level) for x in (LARGE_CHI_SQUARE, np.nextafter(LARGE_CHI_SQUARE, 1e9)))
        assert above == pytest.approx(below, abs=1e-3)  # of 5,000, and of a standard error of 141


def test_noncentrality_costs_the_same_however_large_the_sum():
    started = time.process_time()
    for seen in (4_999.0, 1e5, 1e9, 1e14):  # 10 million images, all wrong at a confidence of 1, reach 7e13
        low, high = _noncentrality(seen, 3.0, 0.96), _noncentrality(seen, 3.0, 0.01)
        # Far away it is nearly normal: 1.7507 errors of 2 sqrt(seen) below, 2.3263 above.
        assert (seen - low, high - seen) == pytest.approx((3.5014 * seen**0.5, 4.6527 * seen**0.5), rel=0.05)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (3, 3), (7, 20), (558, 656)])
def test_wilson_interval_solves_its_equation(successes, n):
    """Wilson's limits are the shares p for which the observed share lies 1.96 standard errors of p away."""
    from scipy import stats

    interval = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    estimate = share(successes, n)
    assert (estimate.low, estimate.high) == pytest.approx((interval.low, interval.high), abs=1e-9)
