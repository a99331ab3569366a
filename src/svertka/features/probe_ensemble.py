"""Ensembles of linear heads: the mean of several heads is one linear head, exactly.

The mean of the logits of linear heads is itself a linear head, exactly. Where the heads share their features, as
probes do, the average costs nothing when it predicts, and the graph is the same as a single probe's.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from svertka.features.feature_table import FeatureTable
from svertka.features.linear_head import LinearHead
from svertka.features.linear_probe import fit_probe


def fit_folds(
    table: FeatureTable,
    held: Sequence[NDArray[np.int64]],
    num_classes: int,
    seed: int,
    units_N: NDArray[np.int64],
) -> tuple[LinearHead, NDArray[np.float32]]:
    """Fits one probe a fold on the other folds; each standardises its features and chooses its C by itself.

    Args:
        table: features of all images.
        held: rows of each fold; together every row once.
        num_classes: K; every class is in the rest of each fold.
        seed: of each probe's own folds.
        units_N: see ``fit_probe``.

    Returns:
        The mean head, and the logits [N, K] that each image got from the probe of its fold. Those are of single heads:
        their mean is a little better than they say.
    """
    heads = []
    unseen_NK = np.empty((len(table), num_classes), np.float32)
    for rows in held:
        rest = np.setdiff1d(np.arange(len(table)), rows)
        head = fit_probe(table.rows(rest.tolist()), num_classes, seed, units_N[rest]).head
        part = table.rows(rows.tolist())
        unseen_NK[rows] = np.concatenate([head.logits(x_ND) for _, x_ND in part.blocks()])
        heads.append(head)
    return mean_head(heads), unseen_NK


def mean_head(heads: Sequence[LinearHead]) -> LinearHead:
    """The head whose logits are the mean of the heads' logits, in the mean of their standardisations."""
    mean_D = np.stack([head.mean_D for head in heads]).mean(axis=0, dtype=np.float64)
    scale_D = np.stack([head.scale_D for head in heads]).mean(axis=0, dtype=np.float64)
    weights = [head.weight_KD.astype(np.float64) / head.scale_D for head in heads]
    shifted = [head.bias_K + weight @ (mean_D - head.mean_D) for head, weight in zip(heads, weights, strict=True)]
    return LinearHead(
        mean_D.astype(np.float32),
        scale_D.astype(np.float32),
        (np.stack(weights).mean(axis=0) * scale_D).astype(np.float32),
        np.stack(shifted).mean(axis=0).astype(np.float32),
    )


def joint_head(heads: Sequence[LinearHead]) -> LinearHead:
    """The head on the features of several networks side by side whose logits are the mean of theirs."""
    return LinearHead(
        np.concatenate([head.mean_D for head in heads]),
        np.concatenate([head.scale_D for head in heads]),
        np.concatenate([head.weight_KD / np.float32(len(heads)) for head in heads], axis=1),
        np.stack([head.bias_K for head in heads]).mean(axis=0, dtype=np.float64).astype(np.float32),
    )


def joined(first: FeatureTable, second: FeatureTable) -> FeatureTable:
    """Two tables of the same network, one after the other."""
    pair = [table.weights_N for table in (first, second) if table.weights_N is not None]
    return replace(
        first,
        places=first.places + second.places,
        y_N=np.concatenate([first.y_N, second.y_N]),
        weights_N=np.concatenate(pair) if pair else None,
    )
