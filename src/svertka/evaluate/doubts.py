"""Finds labels that look wrong, by confident learning (Northcutt, Jiang and Chuang 2021, arXiv 1911.00068).

A classifier that has not seen an image names another class than its label does, and is as sure of it as it usually is
of images of that class. That is a reason to look, no proof: hard cases and rare kinds look the same. Where many labels
are wrong, the classifier is less sure of everything, and the threshold of each class falls with it.
"""

from collections.abc import Sequence

import numpy as np

from svertka.evaluate.predictions import probabilities
from svertka.schema import LabelDoubt, Notice, Predictions

MANY = 0.05
"""Share of doubted labels from which the notice is a warning."""

_LEAST = 40  # images; with fewer, mean probabilities say little


def doubtful_labels(unseen: Sequence[Predictions], temperature: float) -> tuple[LabelDoubt, ...]:
    """Labels to look at, the likeliest to be wrong first.

    Args:
        unseen: what was said of images by classifiers that had not learnt from them; each image once.
        temperature: that logits are divided by.
    """
    if sum(map(len, unseen)) < _LEAST:
        return ()
    names, paths = unseen[0].class_names, [path for part in unseen for path in part.paths]
    p_NK = np.concatenate([probabilities(part, temperature) for part in unseen])
    labels_N = np.concatenate([part.labels_N for part in unseen])
    usual_K = np.array([p_NK[labels_N == k, k].mean() if (labels_N == k).any() else 1.0 for k in range(len(names))])
    likely_N, rows = p_NK.argmax(axis=1), np.arange(len(p_NK))
    best_N, own_N = p_NK[rows, likely_N], p_NK[rows, labels_N]
    doubted = np.flatnonzero((likely_N != labels_N) & (best_N >= usual_K[likely_N]))
    return tuple(
        LabelDoubt(
            path=paths[row],
            label=names[labels_N[row]],
            likely=names[likely_N[row]],
            probability=float(best_N[row]),
            own=float(own_N[row]),
        )
        for row in doubted[np.argsort(own_N[doubted] - best_N[doubted], kind="stable")]
    )


def doubts_notice(doubts: Sequence[LabelDoubt], images: int) -> Notice:
    """How many there are among so many images."""
    share = len(doubts) / images
    return Notice(
        "labels_doubtful",
        {"n": len(doubts), "images": images, "percent": 100 * share},
        level="warning" if share >= MANY else "info",
    )
