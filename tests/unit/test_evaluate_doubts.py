"""Labels that look wrong: found where they were made wrong, hardly any where they are right."""

import numpy as np
import pytest

from svertka.evaluate.doubts import doubtful_labels, doubts_notice
from svertka.schema import Predictions

NAMES = ("cat", "dog", "owl")


def said(labels_N: np.ndarray, logits_NK: np.ndarray, first: int = 0) -> Predictions:
    paths = tuple(f"{number:04}.png" for number in range(first, first + len(labels_N)))
    return Predictions(logits_NK=logits_NK.astype(np.float32), labels_N=labels_N, paths=paths, class_names=NAMES)


def noisy(share: float, n: int = 900) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True classes, labels of which a share is wrong, and log-probabilities as out-of-fold regressions give them."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    rng = np.random.default_rng(0)
    true_N = np.arange(n) % 3
    x_ND = rng.normal(size=(n, 6)) + 3.2 * np.eye(3, 6)[true_N]
    wrong_N = rng.random(n) < share
    labels_N = np.where(wrong_N, (true_N + rng.integers(1, 3, n)) % 3, true_N)
    p_NK = cross_val_predict(LogisticRegression(C=0.1), x_ND, labels_N, cv=5, method="predict_proba")
    return true_N, labels_N, np.log(p_NK)


@pytest.mark.parametrize("share", [0.05, 0.25])
def test_wrong_labels_are_found(share: float) -> None:
    true_N, labels_N, logits_NK = noisy(share)
    parts = [said(labels_N[:300], logits_NK[:300]), said(labels_N[300:], logits_NK[300:], first=300)]
    doubts = doubtful_labels(parts, 1.0)
    found = {int(doubt.path[:4]) for doubt in doubts}
    wrong = set(np.flatnonzero(true_N != labels_N).tolist())
    assert len(found & wrong) >= 0.65 * len(wrong)
    assert len(found & wrong) >= 0.9 * len(found)
    number = int(doubts[0].path[:4])
    assert (doubts[0].label, doubts[0].likely) == (NAMES[labels_N[number]], NAMES[true_N[number]])
    margins = [doubt.probability - doubt.own for doubt in doubts]
    assert margins == sorted(margins, reverse=True) and margins[-1] > 0
    assert doubts_notice(doubts, 900).level == "warning" or share == 0.05


def test_right_labels_are_left_alone() -> None:
    _, labels_N, logits_NK = noisy(0.0)
    doubts = doubtful_labels([said(labels_N, logits_NK)], 1.0)
    assert len(doubts) <= 0.02 * 900
    assert doubts_notice(doubts, 900).level == "info"


def test_thresholds_by_hand() -> None:
    """Of dogs the mean probability of a dog is 0.8: a cat that looks 0.81 like a dog is doubted, one of 0.79 isn't."""
    p = [[0.9, 0.1]] * 30 + [[0.2, 0.8]] * 30 + [[0.19, 0.81], [0.21, 0.79]]
    labels_N = np.array([0] * 30 + [1] * 30 + [0, 0])
    logits_NK = np.log(np.array([[*row, 1e-9] for row in p]))
    (doubt,) = doubtful_labels([said(labels_N, logits_NK)], 1.0)
    assert (doubt.path, doubt.label, doubt.likely) == ("0060.png", "cat", "dog")
    assert (doubt.probability, doubt.own) == pytest.approx((0.81, 0.19), abs=1e-4)


def test_few_images_say_nothing() -> None:
    assert doubtful_labels([], 1.0) == ()
    assert doubtful_labels([said(np.array([0, 1]), np.array([[0, 9, 0], [9, 0, 0]]))], 1.0) == ()
