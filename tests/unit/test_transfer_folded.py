"""The mean of probes on folds."""

import numpy as np
import pytest

from svertka.config import RunConfig
from svertka.errors import ConfigError
from svertka.features import linear_probe
from svertka.features.feature_table import FeatureTable, write_shard
from svertka.features.linear_head import LinearHead
from svertka.features.linear_probe import fit_probe
from svertka.features.probe_ensemble import fit_folds, joined, joint_head, mean_head


def a_head(seed, k=3, d=7):
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=d), rng.uniform(0.3, 3, d), rng.normal(size=(k, d)), rng.normal(size=k)
    return LinearHead(*(part.astype(np.float32) for part in parts))


def a_table(folder, x_ND, y_N):
    path = write_shard(folder, "key", [str(row) for row in range(len(x_ND))], x_ND.astype(np.float32))
    return FeatureTable([(path, row) for row in range(len(x_ND))], y_N, (x_ND.shape[1],), "key")


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    y_N = np.arange(90) % 3
    return rng.normal(size=(90, 12)) + 0.8 * np.eye(12)[y_N], y_N.astype(np.int64)


def test_the_mean_head_gives_the_mean_logits():
    heads = [a_head(seed) for seed in range(4)]
    x_ND = np.random.default_rng(9).normal(size=(50, 7)).astype(np.float32)
    expected = np.mean([head.logits(x_ND) for head in heads], axis=0)
    np.testing.assert_allclose(mean_head(heads).logits(x_ND), expected, atol=2e-5)


def test_the_joint_head_gives_the_mean_logits_of_networks_side_by_side():
    heads = [a_head(seed, d=d) for seed, d in enumerate((7, 7, 4))]
    rng = np.random.default_rng(9)
    features = [rng.normal(size=(50, head.weight_KD.shape[1])).astype(np.float32) for head in heads]
    expected = np.mean([head.logits(x_ND) for head, x_ND in zip(heads, features, strict=True)], axis=0)
    found = joint_head(heads).logits(np.concatenate(features, axis=1))
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_each_image_is_judged_by_a_probe_that_has_not_seen_it(tmp_path, problem):
    x_ND, y_N = problem
    table, units_N = a_table(tmp_path, x_ND, y_N), np.arange(90) // 2
    held = [np.flatnonzero(units_N % 3 == number) for number in range(3)]
    head, unseen_NK = fit_folds(table, held, 3, 0, units_N)
    probes = []
    for rows in held:
        rest = np.setdiff1d(np.arange(90), rows)
        alone = a_table(tmp_path, x_ND[rest], y_N[rest])
        probes.append(fit_probe(alone, 3, 0, units_N[rest]).head)
        np.testing.assert_allclose(unseen_NK[rows], probes[-1].logits(x_ND[rows].astype(np.float32)), atol=1e-4)
    mean = np.mean([one.logits(x_ND.astype(np.float32)) for one in probes], axis=0)
    np.testing.assert_allclose(head.logits(x_ND.astype(np.float32)), mean, atol=1e-4)


def test_out_of_fold_figures_are_honest(tmp_path, monkeypatch):
    """Labels drawn at random cannot be foreseen, though hardly regularised probes learn their own images by heart."""
    monkeypatch.setattr(linear_probe, "STRENGTHS", (100.0,))
    rng = np.random.default_rng(1)
    x_ND, y_N = rng.normal(size=(120, 300)), rng.integers(0, 2, 120)
    held = np.array_split(rng.permutation(120), 4)
    head, unseen_NK = fit_folds(a_table(tmp_path, x_ND, y_N), held, 2, 0, np.arange(120))
    assert (unseen_NK.argmax(1) == y_N).mean() < 0.65
    assert (head.logits(x_ND.astype(np.float32)).argmax(1) == y_N).mean() > 0.85


def test_tables_are_joined_in_order(tmp_path, problem):
    x_ND, y_N = problem
    both = joined(a_table(tmp_path, x_ND[:50], y_N[:50]), a_table(tmp_path, x_ND[50:], y_N[50:]))
    np.testing.assert_array_equal(both.read(), x_ND.astype(np.float32))
    np.testing.assert_array_equal(both.y_N, y_N)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"folds": 1, "strategy": "probe"}, "folds is 1; expected 2 to 20, or 0 for none"),
        ({"folds": 21, "strategy": "probe"}, "folds is 21"),
        ({"folds": -2}, "folds is -2"),
    ],
)
def test_folds_that_cannot_be_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig(data="photos", **fields)
