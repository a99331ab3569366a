"""ImageClassifier and MedicalImageClassifier: what goes in, what comes out, what is kept, what is refused."""

import json
import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from svertka import ImageClassifier, MedicalImageClassifier, load_bundle, open_predictor, predict_files
from svertka.config import FineTune, Scratch
from svertka.errors import BundleError, ConfigError, DataError, ShapeError
from svertka.evaluate import probabilities

TINY = {"size_px": 32, "threads": 1}


@pytest.fixture(scope="module")
def photos(tmp_path_factory, shapes_folder):
    """40 files of discs and squares, and their classes."""
    files = sorted(shapes_folder(tmp_path_factory.mktemp("photos") / "all", count=20).glob("*/*.png"))
    return files, np.array([file.parent.name for file in files])


@pytest.fixture(scope="module")
def arrays():
    """160 noisy gray images of 40 patients, half of them with a faint bright spot: a task that isn't solved whole."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 90, (160, 32, 32), dtype=np.uint8)
    ill = np.arange(160) % 2 == 0
    X[ill, 8:20, 8:20] += rng.integers(4, 40, (80, 1, 1), dtype=np.uint8)
    return X, np.where(ill, "ill", "well"), np.arange(160) // 4


@pytest.fixture(scope="module")
def medical(arrays):
    X, y, patients = arrays
    return MedicalImageClassifier(positive="ill", **TINY).fit(X[:100], y[:100], patients[:100])


# --- what goes in ------------------------------------------------------------------------------------------------


def test_paths_text_arrays_and_floats_say_the_same(photos):
    files, y = photos
    images = [np.asarray(Image.open(file)) for file in files]
    expected = ImageClassifier(**TINY).fit(files, y).predict_proba(files)
    forms = (
        list(map(str, files)),
        np.array(list(map(str, files)))[:, None],  # one column of a table
        images,
        np.stack(images),
        np.stack(images) / 255,
    )
    for X in forms:
        assert ImageClassifier(**TINY).fit(X, y).predict_proba(X) == pytest.approx(expected, abs=1e-6)


def test_images_of_different_sizes_and_kinds_may_stand_in_one_list(arrays):
    X, y, _ = arrays
    mixed = [image if number % 3 else np.stack([image[:20, :24]] * 3, axis=2) for number, image in enumerate(X)]
    assert ImageClassifier(**TINY).fit(mixed, y).predict(mixed).shape == (160,)


@pytest.mark.parametrize("labels", [[0, 1], [False, True], [-1.0, 7.0], ["no", "yes"], [np.str_("ä"), np.str_("б")]])
def test_labels_keep_their_type_also_in_a_bundle(labels, photos, tmp_path):
    files, names = photos
    y = np.where(names == "disc", labels[0], labels[1])
    classifier = ImageClassifier(**TINY).fit(files, y)
    assert classifier.score(files, y) == 1.0
    assert classifier.predict(files).dtype.kind == y.dtype.kind
    classifier.save(tmp_path / "bundle")
    loaded = ImageClassifier.load(tmp_path / "bundle")
    assert loaded.classes_.tolist() == classifier.classes_.tolist() == labels
    assert loaded.predict_proba(files) == pytest.approx(classifier.predict_proba(files), abs=1e-5)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("photo.png", DataError, r"X is one path \(photo.png\); expected a list of paths.* Put it into a list"),
        ([], DataError, "X has 0 sample"),
        (np.zeros((4, 0, 3), np.uint8), ShapeError, r"X has shape \[4, 0, 3\]"),
        (np.zeros((4, 9)), ShapeError, r"X has shape \[4, 9\]; .* an image has rows and columns"),
        (np.zeros((4, 3, 9, 9)), ShapeError, r"Channels come last: X.transpose\(0, 2, 3, 1\)"),
        (np.full((4, 9, 9), 16.0), DataError, "floats from 16 to 16; expected 0 to 1.* Divide by the largest"),
        (np.full((4, 9, 9), np.nan), DataError, "without NaN or inf"),
        (np.zeros((4, 9, 9), np.int64), DataError, "X has dtype int64; expected a list of paths"),
        ([np.zeros((9, 9)), np.zeros(9)], ShapeError, r"X\[1\] has shape \[1, 9\]"),
    ],
)
def test_what_is_no_image_is_refused(X, error, message):
    with pytest.raises(error, match=message):
        ImageClassifier(**TINY).fit(X, ["a", "b", "a", "b"])


def test_a_file_that_cannot_be_read_is_named(photos, tmp_path):
    files, y = photos
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"1 of 41 files can't be used; the first is .*broken.png: "):
        ImageClassifier(**TINY).fit([*files, tmp_path / "broken.png"], [*y, "disc"])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a"] * 40, r"y has 1 class only \('a'\)"),
        (["a", "b"], "y has 2 labels for 40 images"),
        (None, "requires y to be passed"),
    ],
)
def test_labels_that_teach_nothing_are_refused(y, message, photos):
    with pytest.raises(DataError, match=message):
        ImageClassifier(**TINY).fit(photos[0], y)


def test_wrong_parameters_are_refused_when_they_are_used(photos):
    with pytest.raises(ConfigError, match=r"strategy is 'prob'; expected one of .* Did you mean probe"):
        ImageClassifier("prob", **TINY).fit(*photos)
    with pytest.raises(ConfigError, match=r"validation_fraction is 0\.9; expected 0\.02 to 0\.6"):
        ImageClassifier("lp-ft", validation_fraction=0.9, **TINY).fit(*photos)
    with pytest.raises(NotFittedError):
        ImageClassifier(**TINY).predict(photos[0])


def test_from_scratch_has_a_recipe_of_its_own_and_takes_the_size_of_the_images(arrays):
    X, y = arrays[:2]
    settings = {"backbone": "small_cnn", "weights": "none", "threads": 1, "validation_fraction": 0.3}
    with pytest.raises(ConfigError, match=r"finetune is a FineTune, but .* expected a svertka.Scratch"):
        ImageClassifier("scratch", finetune=FineTune(max_epochs=1), **settings).fit(X, y)
    recipe = Scratch(max_epochs=1, min_epochs=1, measure_flips=False)
    classifier = ImageClassifier("scratch", finetune=recipe, **settings).fit(X, y)
    assert len(classifier.history_) == 1
    assert classifier.trained_.preprocess.size_px == max(28, max(X[0].shape[:2]))


# --- scikit-learn's tools ----------------------------------------------------------------------------------------


def test_cross_validation_search_and_pipeline(arrays):
    X, y, patients = arrays
    classifier = ImageClassifier(**TINY)
    scores = cross_val_score(classifier, X, y, groups=patients, cv=GroupKFold(4), scoring="roc_auc")
    assert 0.7 < scores.mean() <= 1.0
    darker = make_pipeline(FunctionTransformer(lambda images: images // 2), clone(classifier))
    search = GridSearchCV(darker, {"imageclassifier__resize": ["squash", "pad"]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.6
    assert search.predict(X[:3]).shape == (3,)


def test_groups_reach_fit_through_metadata_routing(arrays):
    X, y, patients = arrays
    with config_context(enable_metadata_routing=True):
        found = cross_validate(
            MedicalImageClassifier(positive="ill", **TINY).set_fit_request(groups=True),
            X,
            y,
            params={"groups": patients},
            cv=GroupKFold(3),
        )
    assert found["test_score"].mean() > 0.6


def test_a_fitted_estimator_pickles_for_other_processes(arrays, medical):
    X, _, _ = arrays
    again = pickle.loads(pickle.dumps(medical))
    assert (again.predict_proba(X[100:]) == medical.predict_proba(X[100:])).all()
    assert again.threshold_ == medical.threshold_


@pytest.mark.parametrize("folds", [0, 2])
def test_fine_tuning_runs_and_is_handed_over(folds, photos, tmp_path):
    files, y = photos
    heard = []
    recipe = FineTune(max_epochs=1, min_epochs=1, average_views=False, measure_flips=False)
    classifier = ImageClassifier(
        "lp-ft", validation_fraction=0.3, folds=folds, finetune=recipe, on_event=heard.append, **TINY
    )
    classifier.fit(files[::2] + files[1::2], np.concatenate([y[::2], y[1::2]]))
    assert classifier.strategy_ == "lp-ft"
    assert len(classifier.history_) == 1
    assert any(type(event).__name__ == "EpochEnded" for event in heard)
    bundle = classifier.save(tmp_path / "bundle")
    assert bundle.parity.same_labels == bundle.parity.n
    expected = classifier.predict_proba(files)
    assert pickle.loads(pickle.dumps(classifier)).predict_proba(files) == pytest.approx(expected, abs=1e-6)
    assert ImageClassifier.load(tmp_path / "bundle").predict_proba(files) == pytest.approx(expected, abs=1e-5)


# --- bundles -----------------------------------------------------------------------------------------------------


def test_the_bundle_is_the_one_that_predict_takes(photos, tmp_path):
    files, y = photos
    classifier = ImageClassifier(**TINY).fit(files, y)
    classifier.save(tmp_path / "bundle")
    predictor = open_predictor(load_bundle(tmp_path / "bundle"), threads=1)
    said = np.stack([result.probabilities_K for result in predict_files(predictor, files)])
    assert said == pytest.approx(classifier.predict_proba(files), abs=1e-5)
    copy = ImageClassifier.load(tmp_path / "bundle").save(tmp_path / "copy")
    assert copy.class_names == ("disc", "square")
    assert (ImageClassifier.load(tmp_path / "copy").predict(files) == classifier.predict(files)).all()


def test_folders_that_are_no_bundle_of_ours_are_left_alone(photos, medical, tmp_path):
    classifier = ImageClassifier(**TINY).fit(*photos)
    (tmp_path / "mine").mkdir()
    with pytest.raises(ConfigError, match="is there already and is no bundle"):
        classifier.save(tmp_path / "mine")
    classifier.save(tmp_path / "plain")
    with pytest.raises(BundleError, match=r"was saved by ImageClassifier; load it with ImageClassifier\.load"):
        MedicalImageClassifier.load(tmp_path / "plain")
    (tmp_path / "plain" / "estimator.json").unlink()
    with pytest.raises(BundleError, match="has no operating point"):
        MedicalImageClassifier.load(tmp_path / "plain")
    (tmp_path / "plain" / "estimator.json").write_text("[]")
    with pytest.raises(BundleError, match=r"estimator\.json cannot be read"):
        ImageClassifier.load(tmp_path / "plain")


# --- diagnosis ---------------------------------------------------------------------------------------------------


def test_operating_point_is_chosen_on_whole_patients_that_were_held_out(arrays, medical):
    X, y, patients = arrays
    val = medical.trained_.val
    held = np.array(medical.trained_.val_rows)
    assert {patients[row] for row in held}.isdisjoint(set(patients[:100]) - {patients[row] for row in held})
    assert sorted(np.flatnonzero(np.isin(patients[:100], patients[held]))) == sorted(held)
    ill = y[:100][held] == "ill"
    score = medical.predict_proba(X[:100][held])[:, 0]
    assert (val.labels_N == 0).tolist() == ill.tolist()
    assert (score[ill] >= medical.threshold_).mean() >= 0.95
    alarms = (score[~ill] >= medical.threshold_).sum()
    assert all((score[~ill] >= edge).sum() >= alarms for edge in score[ill] if (score[ill] >= edge).mean() >= 0.95)


def test_with_folds_the_operating_point_is_chosen_on_all_patients(arrays, medical):
    X, y, patients = (part[:100] for part in arrays)
    folded = MedicalImageClassifier(**{**medical.get_params(), "folds": 3}).fit(X, y, groups=patients)
    rows, val = np.array(folded.trained_.val_rows), folded.trained_.val
    assert sorted(rows) == list(range(100))
    assert (val.labels_N == 0).tolist() == (y[rows] == "ill").tolist()
    learnt = folded.trained_.logits(X[rows])
    assert np.abs(learnt - val.logits_NK).max() > 1e-3, "the mean has learnt from all images, their judges had not"
    score = probabilities(val, folded.trained_.temperature)[:, 0]
    assert (score[y[rows] == "ill"] >= folded.threshold_).mean() >= medical.sensitivity
    assert (folded.predict(arrays[0][100:]) == arrays[1][100:]).mean() > 0.6


def test_predict_is_positive_from_the_threshold_on(arrays, medical):
    X = arrays[0]
    assert ((medical.predict_proba(X)[:, 0] >= medical.threshold_) == (medical.predict(X) == "ill")).all()


def test_unsure_is_said_where_another_class_is_possible(arrays, medical):
    X = arrays[0][100:]
    possible, said, label = medical.predict_set(X), medical.predict_or_abstain(X), medical.predict(X)
    alone = (possible.sum(axis=1) == 1) & (medical.classes_[possible.argmax(axis=1)] == label)
    assert ([answer is not None for answer in said] == alone).all()
    assert (said[alone] == label[alone]).all()
    assert 0 < alone.sum() < len(X)


def test_evaluation_counts_patients_and_agrees_with_what_was_said(arrays, medical):
    X, y, patients = (part[100:] for part in arrays)
    found = medical.evaluate(X, y, patients)
    said = medical.predict(X)
    assert (found.images, found.groups) == (60, 15)
    assert found.accuracy.value == pytest.approx((said == y).mean())
    point = found.operating_point
    assert point.sensitivity.value == pytest.approx((said[y == "ill"] == "ill").mean())
    assert (point.sensitivity.n, point.prevalence.value) == (30, 0.5)
    assert found.roc_auc.low < found.roc_auc.value <= found.roc_auc.high
    assert found.abstention.target == 0.9
    assert "60 images of 15 groups; 'ill' from p = " in str(found)
    assert "coverage (90% promised)" in str(found)
    alone = medical.evaluate(X, y, range(60))
    assert alone.operating_point.sensitivity.value == point.sensitivity.value


def test_a_saved_test_keeps_its_operating_point(arrays, medical, tmp_path):
    X = arrays[0]
    medical.save(tmp_path / "bundle")
    loaded = MedicalImageClassifier.load(tmp_path / "bundle", threads=1)
    assert (loaded.predict(X) == medical.predict(X)).all()
    assert (loaded.predict_set(X) == medical.predict_set(X)).all()
    facts = json.loads((tmp_path / "bundle" / "estimator.json").read_text())
    assert facts["parameters"]["positive"] == "ill"


def test_three_classes_one_of_which_is_to_be_found(arrays):
    X, y, patients = arrays
    y = np.where(np.arange(160) % 4 == 1, "other", y)
    classifier = MedicalImageClassifier(positive="ill", sensitivity=None, coverage=0.6, **TINY).fit(X, y, patients)
    said, p = classifier.predict(X), classifier.predict_proba(X)
    assert ((p[:, 0] >= classifier.threshold_) == (said == "ill")).all()
    rest = classifier.classes_[1 + p[:, 1:].argmax(axis=1)]
    assert (said[said != "ill"] == rest[said != "ill"]).all()
    assert classifier.predict_set(X).shape == (160, 3)


def test_what_diagnosis_needs_is_asked_for(arrays, medical):
    X, y, patients = arrays
    with pytest.raises(DataError, match="groups is None; expected the patient of each image"):
        MedicalImageClassifier(positive="ill", **TINY).fit(X, y)
    with pytest.raises(
        ConfigError, match=r"positive is None; expected the class to be found, one of \['ill', 'well'\]"
    ):
        MedicalImageClassifier(**TINY).fit(X, y, patients)
    with pytest.raises(DataError, match="groups has 2 entries for 160 images"):
        MedicalImageClassifier(positive="ill", **TINY).fit(X, y, [1, 2])
    with pytest.raises(DataError, match=r"unknown classes \['sick'\]"):
        medical.evaluate(X[:2], ["ill", "sick"], [0, 1])
    few = MedicalImageClassifier(positive="ill", validation_fraction=0.1, **TINY).fit(X[:60], y[:60], patients[:60])
    assert few.conformal_ is None
    assert few.evaluate(X, y, patients).abstention is None
    with pytest.raises(DataError, match=r"There is no \"unsure\".* at least 9 validation images in every class"):
        few.predict_or_abstain(X)


def test_log_probabilities_are_finite_where_probabilities_are_none(photos):
    files, y = photos
    classifier = ImageClassifier(**TINY).fit(files, y)
    assert np.exp(classifier.predict_log_proba(files)) == pytest.approx(classifier.predict_proba(files))
    classifier.trained_ = replace(classifier.trained_, temperature=1e-4)
    assert (classifier.predict_proba(files) == 0).any()
    assert np.isfinite(classifier.predict_log_proba(files)).all()


def test_messages_name_labels_without_numpys_words(medical, arrays):
    X, y, patients = arrays
    wrong = clone(medical).set_params(positive=np.str_("sick"))
    with pytest.raises(ConfigError, match=r"positive is 'sick'; expected .* one of \['ill', 'well'\]"):
        wrong.fit(X[:100], y[:100], patients[:100])


def test_an_image_of_weight_0_teaches_nothing(photos):
    files, y = photos
    some = np.arange(len(files)) % 4 > 0
    expected = ImageClassifier(**TINY).fit([file for file, one in zip(files, some, strict=True) if one], y[some])
    weighted = ImageClassifier(**TINY).fit(files, y, sample_weight=some.astype(float))
    assert weighted.predict_proba(files) == pytest.approx(expected.predict_proba(files), abs=1e-6)


def test_heavier_images_pull_the_probe_their_way(arrays):
    X, y, _ = arrays
    plain = ImageClassifier(**TINY).fit(X, y, sample_weight=np.ones(len(y)))
    assert plain.predict_proba(X) == pytest.approx(ImageClassifier(**TINY).fit(X, y).predict_proba(X), abs=1e-5)
    heavy = ImageClassifier(**TINY).fit(X, y, sample_weight=np.where(y == "ill", 10.0, 1.0))
    assert heavy.predict_proba(X)[:, 0].mean() > plain.predict_proba(X)[:, 0].mean() + 0.02


def test_weights_decide_how_often_an_image_is_drawn():
    from svertka.training.step import epoch_batches

    labels = np.array([0] * 30 + [1] * 10)
    weights = np.where(np.arange(40) < 5, 1.0, 0.01)
    batches = SimpleNamespace(batches=lambda order, size: iter([order]))
    settings = SimpleNamespace(balance="none", batch_size=400)
    task = SimpleNamespace(
        strategy=SimpleNamespace(settings=settings),
        train=SimpleNamespace(labels=labels, weights=weights),
        seed=0,
        epoch_images=4000,
    )
    (order,) = epoch_batches(SimpleNamespace(batches=batches), task, 0)
    assert np.mean(order < 5) == pytest.approx(5 / 5.35, abs=0.03)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1.0, 2.0], r"sample_weight has shape \[2\] for 40 images"),
        ([-1.0] * 40, "expected finite numbers of 0 or more"),
        ([np.nan] * 40, "expected finite numbers of 0 or more"),
        ([0.0] * 40, "every weight is zero"),
        (["much"] * 40, "expected finite numbers"),
    ],
)
def test_weights_that_are_none_are_refused(photos, weights, said):
    files, y = photos
    with pytest.raises(DataError, match=said):
        ImageClassifier(**TINY).fit(files, y, sample_weight=weights)


def test_weights_leave_groups_checked(photos):
    files, y = photos
    for wrong in (5, 60):
        with pytest.raises(DataError, match=f"groups has {wrong} entries for 40 images"):
            ImageClassifier(**TINY).fit(files, y, np.arange(wrong), sample_weight=np.ones(40))
