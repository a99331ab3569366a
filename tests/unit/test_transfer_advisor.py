"""The adviser on features whose cell is known."""

from pathlib import Path

import numpy as np
import pytest

from svertka.config import STRATEGY_NAMES, RunConfig
from svertka.errors import DataError
from svertka.features.extractor import open_extractor
from svertka.features.feature_table import FeatureTable, write_shard
from svertka.features.linear_probe import stratified_folds
from svertka.features.separability import judge
from svertka.messages import sentences
from svertka.model_selection.advise import with_random_weights
from svertka.model_selection.advisor import CELLS, ENOUGH, advise, choose_rows, size_of, strategies_of


def table(folder: Path, x_ND, y_N, widths) -> FeatureTable:
    path = write_shard(folder, "key", [str(row) for row in range(len(x_ND))], x_ND.astype(np.float32))
    return FeatureTable([(path, row) for row in range(len(x_ND))], y_N, widths, "key")


def tables(folder, early, late, random, n=300, d=8):
    """Two taps and random weights; each number is how far apart two classes lie there."""
    rng = np.random.default_rng(0)
    y_N = np.arange(n) % 2

    def tap(distance):
        return rng.normal(size=(n, d)) + distance * (y_N[:, None] - 0.5) / np.sqrt(d)

    pretrained = table(folder / "a", np.hstack([tap(early), tap(late)]), y_N, (d, d))
    return pretrained, table(folder / "b", np.hstack([tap(random), tap(random)]), y_N, (d, d))


def advice_on(folder, counts, **distances):
    return advise(*tables(folder, **distances), np.array(counts), np.arange(300), seed=0)


@pytest.mark.parametrize(
    ("distances", "similarity"),
    [
        ({"early": 1.0, "late": 5.0, "random": 0.3}, "similar"),
        ({"early": 1.0, "late": 1.0, "random": 1.0}, "different"),  # pretraining brings nothing
        ({"early": 5.0, "late": 1.0, "random": 0.3}, "different"),  # it does, but not what it ended in
    ],
)
def test_similarity_is_what_pretraining_brings_and_late_features_keep(tmp_path, distances, similarity):
    advice = advice_on(tmp_path, [150, 150], **distances)
    assert advice.similarity == similarity
    assert advice.size == "little"
    assert advice.gain.low <= advice.gain.value <= advice.gain.high
    assert advice.gain.value == pytest.approx(advice.whole.probe.value - advice.random.probe.value)
    assert [tap.width for tap in advice.taps] == [8, 8]


def test_random_weights_are_asked_through_the_same_taps_and_stem(tmp_path):
    config = RunConfig(data="photos", size_px=32)
    assert RunConfig(data="photos", weights="none").from_scratch  # which would be another network
    pretrained, random = (open_extractor(each, tmp_path) for each in (config, with_random_weights(config)))
    assert random.widths == pretrained.widths
    assert random.stages == pretrained.stages
    assert random.weights_hash != pretrained.weights_hash
    shapes = [{name: value.shape for name, value in extractor.weights().items()} for extractor in (pretrained, random)]
    assert shapes[0] == shapes[1]


def test_a_ceiling_does_not_hide_similarity(tmp_path):
    advice = advice_on(tmp_path, [150, 150], early=5.0, late=8.0, random=3.0)
    assert advice.random.probe.value > 0.9
    assert advice.gain.value < 0.1
    assert advice.similarity == "similar"


@pytest.mark.parametrize(
    ("images", "smallest", "size"),
    [
        (999, 400, "little"),
        (5_000, 49, "little"),
        (1_000, 50, "between"),
        (19_999, 900, "between"),
        (20_000, 50, "much"),
    ],
)
def test_size_counts_images_in_all_and_in_the_rarest_class(images, smallest, size):
    assert size_of(images, smallest) == size


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_reason_is_the_evidence_and_the_conclusion_of_the_cell(language, tmp_path):
    for (size, similarity), (names, conclusion) in CELLS.items():
        assert strategies_of(size, similarity)[0] in STRATEGY_NAMES
        assert strategies_of(size, similarity) == tuple(name for name in names if name in STRATEGY_NAMES)
        assert sentences(conclusion, language=language).count(".") == 1
    advice = advice_on(tmp_path, [150, 150], early=1.0, late=5.0, random=0.3)
    text = sentences(*advice.reasons, language=language)
    assert "300" in text and "150" in text
    assert text.endswith(sentences(CELLS["little", "similar"][1], language=language))


@pytest.mark.parametrize(
    ("distances", "codes"),
    [
        ({"early": 1.0, "late": 5.0, "random": 0.3}, []),
        ({"early": 1.0, "late": 1.6, "random": 1.5}, ["advice_features_add_little"]),
        ({"early": 5.0, "late": 1.0, "random": 0.3}, ["advice_late_features_worse"]),
        ({"early": 3.0, "late": 3.2, "random": 4.5}, ["advice_ceiling"]),
    ],
)
def test_the_reason_is_the_test_that_failed(tmp_path, distances, codes):
    """Late features were said not to fit where they were as good as any."""
    advice = advice_on(tmp_path, [150, 150], **distances)
    assert [reason.code for reason in advice.reasons[1:-1]] == codes


def test_a_class_of_one_image_cannot_be_judged(tmp_path):
    pretrained, random = tables(tmp_path, early=1.0, late=1.0, random=1.0)
    rows = [0, *range(1, 300, 2)]
    with pytest.raises(DataError, match="rarest class has 1 image to learn from; expected 2 or more"):
        advise(pretrained.rows(rows), random.rows(rows), np.array([1, 150]), np.arange(len(rows)), seed=0)


def test_rows_keep_the_classes_in_proportion():
    y_N = np.repeat([0, 1, 2], [4_000, 990, 10])
    rows = choose_rows(y_N, seed=0)
    assert len(set(rows.tolist())) == len(rows)
    assert np.bincount(y_N[rows]).tolist() == [800, 198, 2]
    assert len(rows) == ENOUGH


def test_probe_and_neighbours_agree_with_scikit_learn():
    from sklearn.neighbors import KNeighborsClassifier

    rng = np.random.default_rng(3)
    y_N = rng.integers(0, 3, 240)
    x_ND = (rng.normal(size=(240, 6)) + np.eye(3, 6)[y_N] * 2.5).astype(np.float32)
    folds = stratified_folds(y_N, np.arange(240), seed=0)
    judged = judge(x_ND, (6,), y_N, folds)
    z_ND = (x_ND - x_ND.mean(0)) / x_ND.std(0)
    right = np.zeros(240, bool)
    for fitted, held in folds:
        model = KNeighborsClassifier(5, metric="cosine").fit(z_ND[fitted], y_N[fitted])
        right[held] = model.predict(z_ND[held]) == y_N[held]
    assert judged.neighbours_N.mean() == pytest.approx(right.mean(), abs=0.04)
    assert judged.probe_N.mean() > 0.75
