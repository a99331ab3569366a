"""How well frozen features separate the classes: by a linear probe and by nearest neighbours, tap by tap.

Both are judged on the same held-out folds, image by image, so that any two can be compared in pairs. A score of its
own for "transferability" is not here on purpose: of 23 such scores none was good throughout 42,000 runs, and plain
nearest neighbours on the features did better than all (Sorkhei et al. 2025, arXiv 2503.18528).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from svertka.features.linear_probe import standardisation

NEIGHBOURS = 5
RIDGES = (0.03, 0.3, 3.0)
"""Strengths of the ridge, over the mean eigenvalue of the Gram matrix; the best over all folds counts."""

Rows = NDArray[np.int64]
Right = NDArray[np.bool_]
Folds = list[tuple[Rows, Rows]]


@dataclass(frozen=True, kw_only=True, slots=True)
class SeparabilityScore:
    """Which held-out images were named rightly, each [N]: by the linear probe, by the nearest neighbours.

    Attributes:
        width: number of features.
    """

    width: int
    probe_N: Right
    neighbours_N: Right


def judge_taps(
    x_ND: NDArray[np.float32], widths: tuple[int, ...], y_N: Rows, folds: Folds
) -> tuple[SeparabilityScore, ...]:
    """Judges each tap alone, early to late; see ``judge``."""
    ends = np.cumsum(widths)
    return tuple(
        judge(x_ND[:, end - width : end], (width,), y_N, folds) for end, width in zip(ends, widths, strict=True)
    )


def judge(x_ND: NDArray[np.float32], widths: tuple[int, ...], y_N: Rows, folds: Folds) -> SeparabilityScore:
    """Judges all taps together; costs one Gram matrix and, for each fold, a few Cholesky factors.

    Args:
        x_ND: features, the taps side by side.
        widths: of the taps; they add up to D.
        y_N: labels.
        folds: rows to fit and rows to hold out; every image is held out once.
    """
    mean_D, scale_D = standardisation(x_ND, widths)
    z_ND = (x_ND - mean_D) / scale_D
    gram_NN = z_ND @ z_ND.T
    length_N = np.sqrt(np.maximum(np.diag(gram_NN), 1e-12))
    cosine_NN = gram_NN / length_N[:, None] / length_N
    labels = np.unique(y_N)
    onehot_NK = (y_N[:, None] == labels).astype(np.float32)
    probe = {ridge: np.zeros(len(y_N), np.bool_) for ridge in RIDGES}
    neighbours_N = np.zeros(len(y_N), np.bool_)
    for fitted, held in folds:
        truth = y_N[held]
        for ridge, scores_nK in _ridge(gram_NN, onehot_NK, fitted, held).items():
            probe[ridge][held] = labels[scores_nK.argmax(axis=1)] == truth
        votes_nK = _vote(cosine_NN[np.ix_(held, fitted)], onehot_NK[fitted])
        neighbours_N[held] = labels[votes_nK.argmax(axis=1)] == truth
    best_N = max(probe.values(), key=np.count_nonzero)
    return SeparabilityScore(width=x_ND.shape[1], probe_N=best_N, neighbours_N=neighbours_N)


def _ridge(
    gram_NN: NDArray[np.float32], onehot_NK: NDArray[np.float32], fitted: Rows, held: Rows
) -> dict[float, NDArray[np.float32]]:
    """Scores [n, K] of held-out rows by ridge regression on the classes, in its dual form, for each strength."""
    from scipy.linalg import solve

    inner = gram_NN[np.ix_(fitted, fitted)]
    across = gram_NN[np.ix_(held, fitted)]
    share_K = onehot_NK[fitted].mean(axis=0)
    typical = max(float(np.trace(inner)) / len(fitted), 1e-6)
    found = {}
    for ridge in RIDGES:
        regular = inner.copy()
        regular[np.diag_indices(len(fitted))] += ridge * typical
        found[ridge] = across @ solve(regular, onehot_NK[fitted] - share_K, assume_a="pos") + share_K
    return found


def _vote(cosine_nN: NDArray[np.float32], onehot_NK: NDArray[np.float32]) -> NDArray[np.float32]:
    """Votes [n, K] of each row's nearest neighbours by cosine, the nearer one breaking ties."""
    count = min(NEIGHBOURS, cosine_nN.shape[1])
    nearest_nk = np.argpartition(-cosine_nN, count - 1, axis=1)[:, :count]
    weight_nk = 1 + 1e-3 * np.take_along_axis(cosine_nN, nearest_nk, axis=1)
    votes_nK: NDArray[np.float32] = np.einsum("nk,nkK->nK", weight_nk, onehot_NK[nearest_nk])
    return votes_nK
