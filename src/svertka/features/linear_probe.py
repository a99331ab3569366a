"""The linear probe: logistic regression on standardised features, regularised by cross-validation.

Also the order check, which asks with the same features whether neighbouring files resemble each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svertka.data.listing import natural_key
from svertka.evaluate.predictions import cross_entropy
from svertka.features.feature_table import FeatureTable
from svertka.features.linear_head import LinearHead
from svertka.schema import Catalog, OrderCheck, Split, SplitName

STRENGTHS = tuple(float(c) for c in 10.0 ** np.arange(-4, 2.1, 0.5))
"""Inverse regularisation strengths C that cross-validation tries, weakest model first."""

FOLDS = 5
FLOOR = 0.3
"""Of the median standard deviation of a tap: see ``standardisation``."""

ROUGH = 1e-3
"""Of a feature's size (root mean square): what varies less than this is divided by this all the same."""

ENOUGH = 2_000
"""Images on which C and the order check are settled; more would cost time and memory and change little."""

FloatArray = NDArray[np.float32]
Weights = NDArray[np.float64] | None


@dataclass(frozen=True, slots=True)
class Probe:
    """A fitted probe.

    Attributes:
        head: on raw features.
        strength: the C that was chosen.
        cv_log_loss: of each C that was tried, over all folds; empty where a class was too small for folds.
        judged_n: rows of the images that cross-validation was done on; empty likewise.
        unseen_nK: logits of these images, each by the regression of that C that had not seen its fold.
    """

    head: LinearHead
    strength: float
    cv_log_loss: dict[float, float]
    judged_n: NDArray[np.int64]
    unseen_nK: FloatArray


def fit_probe(table: FeatureTable, num_classes: int, seed: int, units_N: NDArray[np.int64] | None = None) -> Probe:
    """Fits a softmax regression; C comes from shuffled, stratified folds (unshuffled ones can be far off).

    Args:
        table: features of the training images; weights, if it has some, count as scikit-learn's ``sample_weight``.
        num_classes: K; every class has at least one image.
        seed: of the folds.
        units_N: images with equal numbers stay in one fold (see ``Split.units``); None means that none belong together.
    """
    units_N = np.arange(len(table)) if units_N is None else units_N
    some = stratified(table.y_N, ENOUGH, seed)
    x_ND = table.read(some)
    weights_N = None if table.weights_N is None else table.weights_N[some]
    mean_D, scale_D = standardisation(x_ND, table.widths, weights_N)
    x_ND = (x_ND - mean_D) / scale_D
    z, factor_NN = _rotated(x_ND)
    strength, losses, unseen_nK = _choose_strength(z, table.y_N[some], units_N[some], seed, weights_N)
    rotated, bias_K = _fit(z, table.y_N[some], strength, num_classes, weights_N)
    weight_KD = _unrotated(rotated, x_ND, factor_NN)
    if len(table) > len(some):
        weight_KD, bias_K = _fit_in_blocks(table, mean_D, scale_D, strength, weight_KD, bias_K)
    head = LinearHead(mean_D, scale_D, weight_KD, bias_K)
    return Probe(head, strength, losses, some[: len(unseen_nK)], unseen_nK)


def standardisation(
    x_ND: FloatArray, widths: tuple[int, ...], weights_N: Weights = None
) -> tuple[FloatArray, FloatArray]:
    """What to subtract from each feature and what to divide it by, shapes [D].

    Rather than by its bare standard deviation, a feature is divided by ``sqrt(sd² + (0.3 · median sd of its tap)²)``:
    channels that hardly ever fire would otherwise explode on the first unseen image that excites them. The taps
    are weighted equally: early ones have few channels, yet see what late ones have forgotten.

    Where all of a tap hardly varies, as on images that are almost the same, neither helps. Float32 knows a feature to
    about a millionth of its size, whatever it varies by; so nothing is divided by less than ``ROUGH`` times its size,
    and what rounding does stays below a hundredth of a standard deviation.
    """
    mean_D, sd_D = x_ND.mean(axis=0, dtype=np.float64), x_ND.std(axis=0, dtype=np.float64)
    if weights_N is not None:
        mean_D = np.average(x_ND.astype(np.float64), axis=0, weights=weights_N)
        sd_D = np.sqrt(np.average((x_ND - mean_D) ** 2, axis=0, weights=weights_N))
    least_D = ROUGH * np.hypot(mean_D, sd_D)
    scale_D = np.empty_like(sd_D)
    start = 0
    for width in widths:
        sd = sd_D[start : start + width]
        typical = float(np.median(sd[sd > 0])) if (sd > 0).any() else 1.0
        share = np.sqrt(len(widths) * width / len(sd_D))
        floored = np.sqrt(sd**2 + (FLOOR * typical) ** 2)
        scale_D[start : start + width] = np.maximum(floored, least_D[start : start + width]) * share
        start += width
    return mean_D.astype(np.float32), scale_D.astype(np.float32)


def _choose_strength(
    z: FloatArray, y_N: NDArray[np.int64], units_N: NDArray[np.int64], seed: int, weights_N: Weights = None
) -> tuple[float, dict[float, float], FloatArray]:
    """Walks C upward, each fold starting from its last solution, until the held-out loss has risen twice.

    Returns:
        The best C, the loss of each, and the held-out logits [N, K] of the best; without folds none of either.
    """
    from sklearn.linear_model import LogisticRegression

    folds = stratified_folds(y_N, units_N, seed)
    labels, column_N = np.unique(y_N, return_inverse=True)
    best, best_NK = 0.01, np.empty((0, len(labels)), np.float32)
    parts = [(fitted, held, LogisticRegression(tol=1e-3, max_iter=2000, warm_start=True)) for fitted, held in folds]
    losses: dict[float, float] = {}
    for strength in STRENGTHS if folds else ():
        logits_NK = np.empty((len(y_N), len(labels)), np.float32)
        for fitted, held, model in parts:
            weights = None if weights_N is None else weights_N[fitted]
            model.set_params(C=strength).fit(z[fitted], y_N[fitted], weights)
            found = model.decision_function(z[held])
            logits_NK[held] = np.stack([-found / 2, found / 2], axis=1) if len(labels) == 2 else found
        losses[strength] = _log_loss(logits_NK, column_N, weights_N)
        if losses[strength] == min(losses.values()):
            best, best_NK = strength, logits_NK
        if len(losses) > 2 and min(list(losses.values())[-2:]) > min(losses.values()):
            break
    return best, losses, best_NK


def _log_loss(logits_NK: FloatArray, column_N: NDArray[np.intp], weights_N: Weights) -> float:
    """Mean log loss in nats; a single image costs at most 27.6."""
    loss_N = np.minimum(cross_entropy(logits_NK, column_N), -np.log(1e-12))
    return float(np.average(loss_N, weights=weights_N))


def stratified_folds(
    y_N: NDArray[np.int64], units_N: NDArray[np.int64], seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows to fit and rows to hold out, units whole wherever each class can then be learnt; none for tiny classes."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    labels = np.unique(y_N)
    count = min(FOLDS, *(int((y_N == label).sum()) for label in labels))
    if count < 2:
        return []
    if len(np.unique(units_N)) < len(units_N):
        fewest = min(FOLDS, *(len(np.unique(units_N[y_N == label])) for label in labels))
        if fewest >= 2:
            splitter = StratifiedGroupKFold(fewest, shuffle=True, random_state=seed)
            whole = list(splitter.split(y_N, y_N, units_N))
            if all(len(np.unique(y_N[fitted])) == len(labels) and len(held) for fitted, held in whole):
                return whole
    return list(StratifiedKFold(count, shuffle=True, random_state=seed).split(y_N, y_N))


def _fit(
    z: FloatArray, y_N: NDArray[np.int64], strength: float, num_classes: int, weights_N: Weights
) -> tuple[FloatArray, FloatArray]:
    """Weight [K, D] and bias [K] of a softmax regression with penalty ``|w|² / 2C`` beside the summed loss."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, tol=1e-3, max_iter=2000).fit(z, y_N, weights_N)
    weight, bias = model.coef_.astype(np.float32), model.intercept_.astype(np.float32)
    if num_classes == 2:  # scikit-learn fits one row; the softmax over (-w/2, +w/2) gives the same probabilities
        weight, bias = np.concatenate([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
    return weight, bias


def _rotated(x_ND: FloatArray) -> tuple[FloatArray, NDArray[np.float64] | None]:
    """With fewer images than features, an equivalent table [N, N]: the same inner products, so the same solution.

    The penalty and the loss depend on x only through ``x @ x.T``; its Cholesky factor has those inner products.
    """
    n, d = x_ND.shape
    if d <= n:
        return x_ND, None
    gram_NN: NDArray[np.float64] = (x_ND @ x_ND.T).astype(np.float64)
    # At least a little: of images that are all the same nothing is left but zeros.
    gram_NN[np.diag_indices(n)] += max(1e-4 * np.trace(gram_NN) / n, 1e-12)
    factor_NN = np.linalg.cholesky(gram_NN).astype(np.float64, copy=False)
    return factor_NN.astype(np.float32), factor_NN


def _unrotated(weight: FloatArray, x_ND: FloatArray, factor_NN: NDArray[np.float64] | None) -> FloatArray:
    """Weights on the features from weights on the rotated table."""
    if factor_NN is None:
        return weight
    from scipy.linalg import solve_triangular

    dual = solve_triangular(factor_NN, weight.T.astype(np.float64), lower=True, trans="T")
    return np.ascontiguousarray((x_ND.T @ dual.astype(np.float32)).T)


def _fit_in_blocks(
    table: FeatureTable,
    mean_D: FloatArray,
    scale_D: FloatArray,
    strength: float,
    weight_KD: FloatArray,
    bias_K: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """The same regression on a table too large to hold twice: half precision in memory, blocks at work.

    Starts from the solution on some of the images; L-BFGS as in scikit-learn.
    """
    from scipy.optimize import minimize

    half_ND = np.empty((len(table), len(mean_D)), np.float16)
    for rows, x_ND in table.blocks():
        half_ND[rows] = (x_ND - mean_D) / scale_D
    k, d = weight_KD.shape
    onehot_NK = np.eye(k, dtype=np.float32)[table.y_N]
    weights_N = np.ones(len(table)) if table.weights_N is None else table.weights_N

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat[: k * d].reshape(k, d)
        loss, gradient = (
            0.5 * float((weights**2).sum()) / strength,
            np.concatenate([flat[: k * d] / strength, 0 * bias_K]),
        )
        for start in range(0, len(half_ND), 1024):
            x_ND = half_ND[start : start + 1024].astype(np.float32)
            target = onehot_NK[start : start + 1024]
            logits = x_ND @ weights.T.astype(np.float32) + flat[k * d :].astype(np.float32)
            logits -= logits.max(axis=1, keepdims=True)
            p = np.exp(logits)
            total = p.sum(axis=1, keepdims=True)
            counts = weights_N[start : start + 1024]
            loss += float((counts * (np.log(total[:, 0]) - (logits * target).sum(axis=1))).sum())
            residual = (p / total - target) * counts[:, None].astype(np.float32)
            gradient[: k * d] += (residual.T @ x_ND).ravel()
            gradient[k * d :] += residual.sum(axis=0)
        return loss / len(half_ND), gradient / len(half_ND)

    start = np.concatenate([weight_KD.ravel(), bias_K]).astype(np.float64)
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-4, "maxiter": 300})
    return found.x[: k * d].reshape(k, d).astype(np.float32), found.x[k * d :].astype(np.float32)


def stratified(y_N: NDArray[np.int64], enough: int, seed: int, least: int = FOLDS) -> NDArray[np.int64]:
    """About ``enough`` rows (or all) with the classes in proportion; rare classes keep at least ``least`` of theirs."""
    if len(y_N) <= enough:
        return np.arange(len(y_N))
    rng = np.random.default_rng(seed)
    rows = []
    for label in np.unique(y_N):
        members = np.flatnonzero(y_N == label)
        count = min(len(members), max(least, round(enough * len(members) / len(y_N))))
        rows.append(rng.choice(members, count, replace=False))
    return np.sort(np.concatenate(rows))


# --- the order check ---------------------------------------------------------------------------------------------


def check_order(
    tables: Mapping[SplitName, FeatureTable], catalog: Catalog, split: Split, seed: int
) -> OrderCheck | None:
    """Compares folds of neighbouring files with shuffled folds; test images take no part.

    Scores come from ridge regression on the standardised features (one linear solve a fold), ranked by ROC AUC.

    Args:
        tables: features of ``"train"`` and ``"val"``.
        catalog: for the file names, whose natural order is the order in question.
        split: which records the tables hold.
        seed: of the shuffled folds.

    Returns:
        None where there are too few images, or where the user has named groups already.
    """
    from sklearn.model_selection import StratifiedKFold

    records = [catalog.records[index] for index in (*split.train, *split.val)]
    if split.grouped or len(records) < 20 * FOLDS:
        return None
    order = np.array(sorted(range(len(records)), key=lambda row: natural_key(Path(records[row].path).name)))
    order = order[:: -(-len(order) // ENOUGH)]
    in_train = order < len(split.train)
    x_ND = np.empty((len(order), sum(tables["train"].widths)), np.float32)
    x_ND[in_train] = tables["train"].read(order[in_train])
    x_ND[~in_train] = tables["val"].read(order[~in_train] - len(split.train))
    y_N = np.array([records[row].label for row in order])
    if np.bincount(y_N).min() < FOLDS:
        return None
    mean_D, scale_D = standardisation(x_ND, tables["train"].widths)
    x_ND = (x_ND - mean_D) / scale_D
    gram_NN = x_ND @ x_ND.T
    blocks = np.array_split(np.arange(len(y_N)), FOLDS)
    shuffled = [held for _, held in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(gram_NN, y_N)]
    mixed = np.array([_fold_auc(gram_NN, y_N, held) for held in shuffled])
    neighbours = np.array([_fold_auc(gram_NN, y_N, held) for held in blocks])
    neighbours = neighbours[~np.isnan(neighbours)]
    if len(neighbours) < 3:  # the files are sorted by class: their order says nothing about groups
        return None
    error = float(np.sqrt(mixed.var(ddof=1) / len(mixed) + neighbours.var(ddof=1) / len(neighbours)))
    gap = float(mixed.mean() - neighbours.mean())
    return OrderCheck(float(mixed.mean()), float(neighbours.mean()), error, gap > max(0.03, 2 * error))


def _fold_auc(gram_NN: FloatArray, y_N: NDArray[np.int64], held: NDArray[np.int64]) -> float:
    """ROC AUC on held-out rows, mean over the classes that can be judged; NaN if there are none.

    Those are they that occur there beside others, and mostly outside: a class numbered in one piece lies in one fold of
    neighbours, and nobody could have learnt it from the rest.
    """
    from scipy.linalg import solve
    from sklearn.metrics import roc_auc_score

    fitted = np.setdiff1d(np.arange(len(y_N)), held)
    labels = np.unique(y_N)
    target = (y_N[fitted, None] == labels).astype(np.float32)
    inner = gram_NN[np.ix_(fitted, fitted)]
    ridge = float(np.trace(inner)) / len(fitted)
    inner[np.diag_indices(len(fitted))] += ridge
    dual = solve(inner, target - target.mean(axis=0), assume_a="pos", overwrite_a=True)
    scores = gram_NN[np.ix_(held, fitted)] @ dual
    found = [
        roc_auc_score(y_N[held] == label, scores[:, column])
        for column, label in enumerate(labels)
        if 0 < (y_N[held] == label).sum() < min(len(held), (y_N[fitted] == label).sum() + 1)
    ]
    return float(np.mean(found)) if found else float("nan")
