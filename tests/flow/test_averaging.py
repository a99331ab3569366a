"""``--folds`` with a strategy that trains weights: a network a fold, and one classifier that is their mean."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from svertka.bundle.bundle import load_bundle
from svertka.bundle.predictor import open_predictor
from svertka.cli.explain import explain
from svertka.config import Augment, FineTune, RunConfig
from svertka.data.folds import make_folds
from svertka.data.pixels import PixelStore, cache_dir
from svertka.errors import DataError, TrainingError
from svertka.evaluate import predicted_labels, probabilities
from svertka.explain.cam import evidence
from svertka.explain.opened_bundle import open_network
from svertka.features.experiment import Experiment
from svertka.features.linear_head import LinearHead
from svertka.inference.onnxruntime_session import open_session, run_in_batches
from svertka.messages import sentences
from svertka.onnx_graph.edit import rewired
from svertka.pipeline import run
from svertka.runs import folder
from svertka.schema import Notice, Predictions

FOLDS = 2
QUICK = FineTune(max_epochs=2, min_epochs=2, batch_size=8, measure_flips=False, augment=Augment(mirror=True))


@pytest.fixture(scope="module")
def config(tmp_path_factory, shapes_folder):
    root = tmp_path_factory.mktemp("averaging")
    shapes_folder(root / "photos", count=24)
    return RunConfig(
        data=str(root / "photos"),
        out=str(root / "run"),
        backbone="timm:test_efficientnet",
        weights="none",
        size_px=64,
        strategy="lp-ft",
        folds=FOLDS,
        minutes=60,
        threads=1,
        finetune=QUICK,
    )


@pytest.fixture(scope="module")
def record(config):
    return run(config)


@pytest.fixture(scope="module")
def experiment(config, record):
    bundle, cache = load_bundle(config.out), cache_dir()
    return Experiment(
        config=record.config,
        extractor=None,
        catalog=record.catalog,
        split=record.split,
        store=PixelStore(cache, bundle.preprocess),
        cache=cache,
    )


@pytest.fixture(scope="module")
def network_logits(config):
    """Logits of prepared images by the network of one fold, from what the bundle holds of it."""
    bundle = load_bundle(config.out)
    weights = load_file(bundle.directory / "weights.safetensors")

    def logits(number, images_NSSC):
        name = f"network{number}"
        head = LinearHead(*(weights[f"{name}.head.{part}"] for part in LinearHead.__slots__))
        session = open_session(rewired((bundle.directory / "model.onnx").read_bytes(), [f"{name}/features"]), 1)
        return head.logits(run_in_batches(session, images_NSSC, [f"{name}/features"])[0])

    return logits


def read(experiment, records):
    return experiment.source(records).read(np.arange(len(records)))


def test_the_classifier_is_the_mean_of_networks_that_differ(config, record, experiment, network_logits):
    images = read(experiment, record.split.test)
    each = [network_logits(number, images) for number in (1, 2)]
    assert np.abs(each[0] - each[1]).max() > 1e-3
    np.testing.assert_allclose(record.test.logits_NK, np.mean(each, axis=0), atol=1e-4)
    for engine in ("onnx", "numpy"):
        logits_NK, *_ = open_predictor(load_bundle(config.out), threads=1, engine=engine).infer(images)
        np.testing.assert_allclose(logits_NK, record.test.logits_NK, atol=1e-4, err_msg=engine)


def test_choices_are_made_on_images_that_a_network_has_not_seen(record, experiment, network_logits):
    split, catalog = record.split, record.catalog
    folds = make_folds(catalog, split, FOLDS, record.config.val_fraction)
    assert sorted(index for fold in folds for index in fold.test) == sorted((*split.train, *split.val))
    logits_NK = np.concatenate([network_logits(n, read(experiment, fold.test)) for n, fold in enumerate(folds, 1)])
    labels_N = catalog.labels()[[index for fold in folds for index in fold.test]]
    unseen = Predictions(
        logits_NK=logits_NK, labels_N=labels_N, paths=("",) * len(labels_N), class_names=catalog.class_names
    )
    told = record.decision.val_scores["lp-ft"]
    assert told["accuracy"] == pytest.approx((predicted_labels(unseen) == labels_N).mean())
    p_NK = probabilities(unseen, record.evaluation.temperature)
    assert told["log_loss"] == pytest.approx(-np.log(p_NK[np.arange(len(labels_N)), labels_N]).mean(), abs=1e-4)
    (why,) = [reason for reason in record.decision.reasons if reason.code == "networks_averaged"]
    assert why.values == {"folds": FOLDS, "n": len(labels_N)}


def test_all_networks_explain_and_the_first_shows_its_stages(config, record, experiment):
    network = open_network(load_bundle(config.out), threads=1)
    look = network.look(read(experiment, record.split.test[:1])[0])
    assert len(network.flips) == 2
    assert [len(view) for view in look.maps] == [FOLDS * network.stages] * 2
    logits_K = record.test.logits_NK[0]
    assert evidence(network, look, 1).mean() == pytest.approx(logits_K[1] - logits_K.mean(), abs=1e-3)
    assert {patches.stage for patches in record.insight.patches} <= set(range(network.stages))


def test_the_page_of_an_image_says_whose_stages_it_shows(config, record, tmp_path):
    image = record.catalog.file(record.catalog.records[0])
    assert explain(config.out, [str(image)], str(tmp_path / "seen"), threads=1) == 0
    page = (tmp_path / "seen/index.html").read_text(encoding="utf-8")
    assert "The model is the mean of several networks (2)." in page


def test_novelty_is_judged_by_a_network_that_had_not_seen_the_judging_images(config, record, experiment):
    first = make_folds(record.catalog, record.split, FOLDS, record.config.val_fraction)[0]
    bundle = load_bundle(config.out)
    model = (bundle.directory / "model.onnx").read_bytes()
    session, images = open_session(rewired(model, ["distance"]), 1), read(experiment, first.test)
    distances_N = run_in_batches(session, images, ["distance"])[0]
    assert bundle.novelty.n == len(first.test)
    assert bundle.novelty.quantiles[-1] == pytest.approx(distances_N.max(), abs=1e-5)
    silent = {name: np.zeros_like(value) for name, value in kernels(model, "network2/")}
    assert silent
    other = open_session(rewired(model, ["distance"], silent), 1)
    np.testing.assert_allclose(run_in_batches(other, images, ["distance"])[0], distances_N, atol=1e-6)


def kernels(model, prefix):
    """Convolutions of one of the networks, by name."""
    from onnx import load_from_string, numpy_helper

    for tensor in load_from_string(model).graph.initializer:
        if tensor.name.startswith(prefix) and len(tensor.dims) == 4:
            yield tensor.name, numpy_helper.to_array(tensor)


def test_the_report_says_what_it_is(config, record):
    report = (Path(config.out) / folder.REPORT).read_text(encoding="utf-8")
    assert "It is the mean of 2 networks" in sentences(*record.decision.reasons)
    assert "It is the mean of 2 networks" in report
    n = len(record.split.train), len(record.split.val)
    said = f"{n[0]} training and {n[1]} validation images taught it this task: in 2 folds"
    assert report.count(said) == 2  # of the decision, and of the methods
    assert said in (Path(config.out) / folder.CARD).read_text(encoding="utf-8")
    assert "These are the curves of the first network" in report
    assert f"was judged on {n[1]} validation images" not in report


def test_a_run_that_was_stopped_between_two_networks_ends_in_the_same_bits(config, record, tmp_path):
    del record  # the run that was left alone

    def stop_at_the_second(event):
        if isinstance(event, Notice) and event.code == "trial" and event.values["fold"] == 2:
            raise KeyboardInterrupt

    stopped = replace(config, out=str(tmp_path / "stopped"))
    with pytest.raises(KeyboardInterrupt):
        run(stopped, stop_at_the_second)
    assert not (tmp_path / "stopped" / folder.METRICS).exists()
    run(folder.load_config(tmp_path / "stopped"), resume=stopped.out)
    ours, theirs = (load_file(Path(out) / "bundle/weights.safetensors") for out in (stopped.out, config.out))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)


def test_too_many_folds_are_refused_before_anything_is_left_behind(config, tmp_path):
    with pytest.raises(DataError, match="20 folds leave too little"):
        run(replace(config, out=str(tmp_path / "many"), folds=20))
    assert not list((tmp_path / "many").iterdir())


def test_a_network_of_a_fold_that_diverges_leaves_the_probe(config, tmp_path, monkeypatch):
    def diverges(*given):
        raise TrainingError("training diverged in epoch 1")

    monkeypatch.setattr("svertka.training.finetune.train", diverges)
    base = RunConfig(data=config.data, out=str(tmp_path / "auto"), size_px=32, threads=1, minutes=60, folds=FOLDS)
    record = run(replace(base, finetune=QUICK))
    assert record.decision.strategy == "probe"
    assert [reason.code for reason in record.decision.reasons] == ["fine_tuning_failed", "folds_averaged"]


def test_auto_keeps_what_wins_on_all_images_that_are_learnt_from(tmp_path, config):
    recipe = replace(QUICK, max_epochs=1, min_epochs=1)
    base = RunConfig(data=config.data, size_px=32, threads=1, minutes=60, folds=FOLDS, finetune=recipe)
    record = run(replace(base, out=str(tmp_path / "auto")))
    n = len(record.split.train) + len(record.split.val)
    (why,) = [reason for reason in record.decision.reasons if reason.code in ("gain_shown", "gain_not_shown")]
    assert why.values["n"] == n
    averaged = "networks_averaged" if record.decision.strategy == "lp-ft" else "folds_averaged"
    assert record.decision.reasons[-1].code == averaged
