"""The probe against scikit-learn, and the order check on tables whose order is known."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from svertka.features import linear_probe
from svertka.features.feature_table import FeatureTable, write_shard
from svertka.features.linear_probe import check_order, fit_probe, standardisation
from svertka.schema import Catalog, ImageRecord, Split


def table_of(folder: Path, x_ND, y_N, widths=None) -> FeatureTable:
    path = write_shard(folder, "key", [str(row) for row in range(len(x_ND))], x_ND.astype(np.float32))
    return FeatureTable([(path, row) for row in range(len(x_ND))], y_N, widths or (x_ND.shape[1],), "key")


def problem(n, d, k, seed=0):
    rng = np.random.default_rng(seed)
    y_N = rng.integers(0, k, n)
    y_N[:k] = np.arange(k)
    x_ND = rng.normal(size=(n, d)).astype(np.float32) + 1.5 * rng.normal(size=(k, d)).astype(np.float32)[y_N] / np.sqrt(
        d
    )
    return x_ND * 3 + 1, y_N.astype(np.int64)


@pytest.mark.parametrize(("n", "d", "k"), [(200, 30, 2), (200, 30, 4), (60, 120, 2), (60, 120, 3)])
def test_probe_is_scikit_learns_regression(tmp_path, n, d, k):
    x_ND, y_N = problem(n, d, k)
    fitted = fit_probe(table_of(tmp_path, x_ND, y_N), k, seed=0)
    z = (x_ND - fitted.head.mean_D) / fitted.head.scale_D
    model = LogisticRegression(C=fitted.strength, tol=1e-6, max_iter=5000).fit(z, y_N)
    logits = fitted.head.logits(x_ND)
    p = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(p / p.sum(1, keepdims=True), model.predict_proba(z), atol=0.01)


def test_large_tables_in_blocks_give_the_same_solution(tmp_path, monkeypatch):
    x_ND, y_N = problem(600, 20, 3)
    whole = fit_probe(table_of(tmp_path, x_ND, y_N), 3, seed=0)
    monkeypatch.setattr(linear_probe, "ENOUGH", 300)
    blocks = fit_probe(table_of(tmp_path, x_ND, y_N), 3, seed=0)
    z = (x_ND - blocks.head.mean_D) / blocks.head.scale_D
    model = LogisticRegression(C=blocks.strength, tol=1e-6, max_iter=5000).fit(z, y_N)
    assert (blocks.head.logits(x_ND).argmax(1) == model.predict(z)).mean() > 0.99
    assert (blocks.head.logits(x_ND).argmax(1) == whole.head.logits(x_ND).argmax(1)).mean() > 0.9


def test_a_feature_that_hardly_fires_does_not_explode():
    rng = np.random.default_rng(0)
    x_ND = rng.normal(size=(50, 4)).astype(np.float32)
    x_ND[:, 0] *= 1e-5
    _, scale_D = standardisation(x_ND, (4,))
    assert scale_D[0] > 0.2


def test_taps_weigh_equally():
    x_ND = np.random.default_rng(0).normal(size=(400, 12)).astype(np.float32)
    mean_D, scale_D = standardisation(x_ND, (2, 10))
    energy_D = (((x_ND - mean_D) / scale_D) ** 2).mean(axis=0)
    assert energy_D[:2].sum() == pytest.approx(energy_D[2:].sum(), rel=0.2)


def catalog_of(labels, names):
    records = tuple(
        ImageRecord(
            path=name,
            label=int(label),
            split=None,
            group=None,
            width_px=8,
            height_px=8,
            mode="L",
            pixel_hash=name,
            perceptual_hash=0,
        )
        for name, label in zip(names, labels, strict=True)
    )
    return Catalog(root=Path("/"), layout="class folders", class_names=("a", "b"), records=records)


@pytest.mark.parametrize("grouped", [True, False])
def test_order_check_finds_groups_of_neighbours(tmp_path, grouped):
    rng = np.random.default_rng(1)
    n, d, size = 300, 40, 15
    group_N = np.arange(n) // size if grouped else rng.permutation(np.arange(n) // size)
    look = rng.normal(size=(n // size, d)) * 2  # each group has a look of its own, and mostly one label
    share = rng.random(n // size).round()
    y_N = (rng.random(n) < 0.1 + 0.8 * share[group_N]).astype(np.int64)
    x_ND = look[group_N] + rng.normal(size=(n, d))
    catalog = catalog_of(y_N, [f"file{number}.png" for number in range(n)])
    train, val = tuple(range(0, n, 2)), tuple(range(1, n, 2))
    (tmp_path / "t").mkdir()
    (tmp_path / "v").mkdir()
    tables = {
        "train": table_of(tmp_path / "t", x_ND[::2], y_N[::2]),
        "val": table_of(tmp_path / "v", x_ND[1::2], y_N[1::2]),
    }
    check = check_order(tables, catalog, Split(train=train, val=val, test=(), seed=0), seed=0)
    assert check is not None
    assert check.suspicious == grouped


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_files_numbered_class_after_class_say_nothing_of_groups(tmp_path, classes):
    n = 300
    y_N = np.arange(n) * classes // n
    x_ND = np.random.default_rng(0).normal(size=(n, 12)) + np.eye(12)[y_N] * 3
    catalog = catalog_of(y_N, [f"file{number}.png" for number in range(n)])
    (tmp_path / "t").mkdir()
    (tmp_path / "v").mkdir()
    tables = {
        "train": table_of(tmp_path / "t", x_ND[::2], y_N[::2]),
        "val": table_of(tmp_path / "v", x_ND[1::2], y_N[1::2]),
    }
    split = Split(train=tuple(range(0, n, 2)), val=tuple(range(1, n, 2)), test=(), seed=0)
    check = check_order(tables, catalog, split, seed=0)
    assert check is None or not check.suspicious


def test_order_check_needs_images_enough(tmp_path):
    x_ND, y_N = problem(20, 5, 2)
    tables = {"train": table_of(tmp_path, x_ND, y_N), "val": table_of(tmp_path, x_ND, y_N)}
    catalog = catalog_of(y_N, [f"{number}.png" for number in range(20)])
    assert check_order(tables, catalog, Split(train=tuple(range(20)), val=(), test=(), seed=0), seed=0) is None


@pytest.mark.parametrize(
    ("units", "whole"), [(np.arange(60) // 3, True), (np.arange(60), True), (np.arange(60) // 31, False)]
)
def test_folds_keep_units_whole_where_each_class_can_be_learnt(units, whole):
    y_N = np.arange(60) // 15 % 2 if whole else np.arange(60) // 31
    folds = linear_probe.stratified_folds(y_N, units, seed=0)
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(60))
    torn = [set(units[fitted]) & set(units[held]) for fitted, held in folds]
    assert all(not shared for shared in torn) == whole
    assert all(set(y_N[fitted]) == {0, 1} for fitted, _ in folds)


@pytest.mark.parametrize("k", [2, 3])
def test_unseen_logits_are_those_of_regressions_that_had_not_seen_the_fold(tmp_path, k):
    x_ND, y_N = problem(90, 12, k)
    fitted = fit_probe(table_of(tmp_path, x_ND, y_N), k, seed=3)
    z = (x_ND - fitted.head.mean_D) / fitted.head.scale_D
    expected = np.empty((90, k))
    for rest, held in linear_probe.stratified_folds(y_N, np.arange(90), 3):
        expected[held] = LogisticRegression(C=fitted.strength, tol=1e-6).fit(z[rest], y_N[rest]).predict_proba(z[held])
    powers = np.exp(fitted.unseen_nK - fitted.unseen_nK.max(axis=1, keepdims=True))
    np.testing.assert_allclose(powers / powers.sum(axis=1, keepdims=True), expected, atol=0.02)
    assert fitted.judged_n.tolist() == list(range(90))
    loss = -np.log(expected[np.arange(90), y_N]).mean()
    assert fitted.cv_log_loss[fitted.strength] == pytest.approx(loss, abs=0.01) == min(fitted.cv_log_loss.values())


def test_a_class_of_one_image_leaves_no_unseen_logits(tmp_path):
    x_ND, _ = problem(30, 5, 3)
    fitted = fit_probe(table_of(tmp_path, x_ND, np.r_[2, np.arange(29) % 2]), 3, seed=0)
    assert (fitted.cv_log_loss, len(fitted.judged_n), fitted.unseen_nK.shape) == ({}, 0, (0, 3))
