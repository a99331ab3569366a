"""The main job, step by step: a folder of images in; a tested, portable classifier out.

This file is the table of contents. Each step takes records and returns a record; each is timed; whatever is done
stays in the run folder, so a run that was stopped goes on with ``resume``.

The file is long because all steps stand in it, one below the other.
"""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from svertka.architectures.registry import SMALL_PX
from svertka.bundle.bundle import write_bundle
from svertka.bundle.classifier_graph import attach_distance, attach_head
from svertka.config import RunConfig
from svertka.data.files import list_files
from svertka.data.folds import make_folds
from svertka.data.listing import Listing
from svertka.data.loader import ImageSource
from svertka.data.pixels import cache_dir
from svertka.data.scan import scan
from svertka.data.sizes import longer_sides, natural_size
from svertka.data.split import make_split
from svertka.errors import ConfigError, SvertkaError
from svertka.evaluate import class_to_find, evaluate, fit_conformal, probabilities, save_predictions, too_few
from svertka.evaluate.doubts import doubtful_labels, doubts_notice
from svertka.explain.cached import insight_of
from svertka.explain.insight import looks
from svertka.features.experiment import Experiment
from svertka.features.extractor import open_extractor
from svertka.features.feature_table import FeatureTable, extract
from svertka.features.linear_probe import ENOUGH, check_order, stratified
from svertka.features.ood import POINTS, Neighbourhood, ood_notice
from svertka.messages import sentences
from svertka.model_selection.select import Selection, learn
from svertka.report import build_report, write_card
from svertka.runs import folder as run_folder
from svertka.runs.log import Failure, StepLog, going_on, tell_unfinished
from svertka.schema import (
    Bundle,
    Catalog,
    Conformal,
    Evaluation,
    EventSink,
    Insight,
    Notice,
    Novelty,
    OrderCheck,
    Predictions,
    RunRecord,
    RunStarted,
    Split,
    SplitName,
    ignore_events,
)
from svertka.training.ensemble import Ensemble
from svertka.training.job import TrainingJob
from svertka.training.trained_classifier import TrainedClassifier
from svertka.util import runtime
from svertka.util.atomic_files import write_text

CHECKED_IMAGES = 32
"""Test images on which a bundle's two engines are compared; more find nothing new and cost time."""

PACKAGES = ("svertka", "numpy", "pillow", "onnxruntime", "torch", "torchvision", "timm", "onnx", "scikit-learn")


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """What the test images said of the classifier, and how it judges images to come.

    Attributes:
        test: predictions on the test images.
        evaluation: of them.
        conformal: when an answer is "unsure", from the validation images; None where they are too few.
        known: some training images, as features.
        novelty: how far from them the validation images lie.
        notices: what a reader must know besides.
    """

    test: Predictions
    evaluation: Evaluation
    conformal: Conformal | None
    known: Neighbourhood
    novelty: Novelty
    notices: tuple[Notice, ...]


@dataclass(frozen=True)
class _Begun:
    """How a run began: the command, when (ISO 8601), at which monotonic time, and whether an earlier one goes on."""

    command: str
    started: str
    clock: float
    resumed: bool


def run(
    config: RunConfig, on_event: EventSink = ignore_events, *, command: str = "", resume: Path | str = ""
) -> RunRecord:
    """Trains, judges, explains and hands over a classifier.

    Args:
        config: what to do.
        on_event: hears what happens; the library itself prints nothing.
        command: the command line, for the report.
        resume: a run folder to go on with; ``config`` is then the one stored there.

    Raises:
        UnfinishedError: a step after judging failed; figures and predictions are in the run folder.
        SvertkaError: with what else is wrong and what to do.
    """
    listing = list_files(config.data, config)  # a wrong path fails here, before anything is made or loaded
    if resume:
        run_folder.load_config(Path(resume))  # is there a run?
    folder = Path(resume) if resume else run_folder.new_run_folder(config)
    with run_folder.alone(folder):
        if all((folder / name).exists() for name in run_folder.WHOLE):
            raise ConfigError(f"run {folder} is finished already; see {folder / run_folder.REPORT}.")
        kept = _as_kept(config, listing, folder)
        try:
            if not resume:  # what a run began with stays as it is; ``run_folder.begin`` compares
                write_text(folder / run_folder.CONFIG, run_folder.config_to_toml(kept))
            return _steps(kept, folder, on_event, command, resumed=bool(resume))
        except SvertkaError:
            if not resume:
                run_folder.discard_unbegun(folder, config)
            raise


def _as_kept(config: RunConfig, listing: Listing, folder: Path) -> RunConfig:
    """The configuration as the run folder keeps it: a resumed run may be started from another directory."""
    config = replace(
        config,
        out=str(folder),
        data=_absolute(config.data),
        images=config.images and _absolute(config.images),
        weights=_absolute(config.weights) if Path(config.weights).expanduser().is_file() else config.weights,
    )
    if config.from_scratch and not config.size_px:
        files = [listing.root / entry.path for entry in listing.entries]
        config = replace(config, size_px=natural_size(longer_sides(files), SMALL_PX, config.scratch.largest_px))
    return config


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _steps(config: RunConfig, folder: Path, on_event: EventSink, command: str, *, resumed: bool) -> RunRecord:
    """The steps, one after the other."""
    log = StepLog(folder / run_folder.LOG, on_event)
    log(RunStarted(str(folder)))
    begun = _Begun(command, datetime.now(UTC).astimezone().isoformat(timespec="seconds"), time.monotonic(), resumed)
    experiment, begun = _open(config, folder, log, begun)
    tables, order = _features(experiment, log)
    with log.step("learn") as step:
        passes = looks(len(experiment.split.test))
        job = TrainingJob(
            experiment=experiment, tables=tables, folder=folder, started=begun.clock, explaining_passes=passes
        )
        selection = learn(job, log)
        step.summary = sentences(*selection.decision.reasons)
    with log.step("judge") as step:
        result = judge(selection, experiment)
        save_predictions(result.test, folder / run_folder.PREDICTIONS, temperature=result.evaluation.temperature)
        accuracy = result.evaluation.metrics["accuracy"]
        step.summary = f"accuracy {accuracy.value:.3f} ({accuracy.low:.3f} to {accuracy.high:.3f}), n = {accuracy.n}"
    failures: list[Failure] = []
    bundle, insight = None, None
    with log.step("hand over") as step, going_on(failures, step, _not_handed_over, "writing the bundle"):
        bundle = hand_over(selection, result, experiment, folder / run_folder.BUNDLE)
        apart = bundle.parity.max_probability_difference
        step.summary = f"{bundle.directory}; ONNX Runtime and torch differ by at most {apart:.1e} in probability"
    if bundle:
        with log.step("explain") as step, going_on(failures, step, _not_explained):
            insight = explain(selection, result, bundle, experiment)
            step.summary = f"{len(insight.examples)} images explained, {len(insight.shortcuts)} shortcuts looked for"
    record = _record(folder, begun, experiment, selection, result)
    notices = (*(failure.notice for failure in failures), *record.notices)
    record = replace(
        record,
        order=order,
        parity=bundle.parity if bundle else None,
        insight=insight,
        costs=tuple(log.costs),
        notices=notices,
    )
    return _report(record, folder, log, failures)


def _open(config: RunConfig, folder: Path, log: StepLog, begun: _Begun) -> tuple[Experiment, _Begun]:
    """The network, the images, and which of them train, choose and judge; all as an earlier start of the run had it."""
    process, cache = runtime.setup(config.threads), cache_dir()
    with log.step("backbone") as step:
        extractor = open_extractor(config, cache, process.threads, log)
        step.summary = f"{extractor.source.name} ({extractor.source.licence}), {sum(extractor.widths)} features"
    with log.step("scan") as step:
        catalog = scan(config.data, config=config, preprocess=extractor.preprocess, cache=cache, on_event=log)
        class_to_find(config.positive, catalog.class_names, catalog.labels())  # a wrong name ends here
        step.summary = describe_catalog(catalog)
    with log.step("split") as step:
        split = make_split(catalog, config)
        if config.folds:  # too many of them are refused before anything is done
            make_folds(catalog, split, config.folds, config.val_fraction)
        command, started = run_folder.begin(folder, config, catalog, split, begun.command, begun.started)
        run_folder.save_catalog(folder, catalog)
        run_folder.save_split(folder, catalog, split)
        step.summary = describe_split(split)
    experiment = Experiment.of(config, extractor, catalog, split, cache)
    for notice in (*experiment.catalog.notices, *split.notices):
        log(notice)
    return experiment, replace(begun, command=command, started=started)


def _features(experiment: Experiment, log: StepLog) -> tuple[dict[SplitName, FeatureTable], OrderCheck | None]:
    """Features of the images to learn from, and whether their order tells the classes."""
    extractor, split, cache = experiment.extractor, experiment.split, experiment.cache
    with log.step("features", len(split.train) + len(split.val)) as step:
        tables: dict[SplitName, FeatureTable] = {"train": extract(extractor, experiment.sources["train"], cache, log)}
        tables["val"] = extract(extractor, experiment.sources["val"], cache, log.after(len(split.train)))
        order = check_order(tables, experiment.catalog, split, experiment.config.seed)
        step.summary = f"{sum(tables['train'].widths)} an image"
    if experiment.store.damaged:
        log(Notice("cached_pixels_damaged", {"n": experiment.store.damaged}, level="warning"))
    return tables, order


def _record(folder: Path, begun: _Begun, experiment: Experiment, selection: Selection, result: TestResult) -> RunRecord:
    """What is known once the test images are judged."""
    seen = selection.probe.out_of_fold
    doubts = doubtful_labels(seen, selection.probe.temperature)
    return RunRecord(
        name=folder.name,
        command=begun.command,
        started=begun.started,
        config=experiment.config,
        catalog=experiment.catalog,
        split=experiment.split,
        history=selection.chosen.history,
        phases=selection.chosen.phases,
        decision=selection.decision,
        evaluation=result.evaluation,
        test=result.test,
        order=None,
        parity=None,
        costs=(),
        sources=(experiment.extractor.source,),
        versions=runtime.versions(PACKAGES) | {"threads": str(experiment.extractor.threads)},
        notices=(
            *experiment.catalog.notices,
            *experiment.split.notices,
            *selection.notices,
            *([doubts_notice(doubts, sum(map(len, seen)))] if doubts else []),
            *result.notices,
            *([Notice("resumed")] if begun.resumed else []),
        ),
        insight=None,
        doubts=doubts,
    )


def _report(record: RunRecord, folder: Path, log: StepLog, failures: list[Failure]) -> RunRecord:
    """Writes the report, the model card and the record.

    Raises:
        UnfinishedError: a step after judging failed.
    """
    with log.step("report") as step:
        with going_on(failures, step, _not_reported, "the report"):
            step.summary = str(build_report(record, folder / run_folder.REPORT))
        with going_on(failures, step, _no_card, "the model card"):
            write_card(record, folder / run_folder.CARD)
    late = [failure.notice for failure in failures if failure.notice not in record.notices]
    run_folder.save_run(folder, replace(record, notices=(*late, *record.notices)))
    files = (run_folder.METRICS, run_folder.PREDICTIONS, run_folder.REPORT, run_folder.CARD)
    tell_unfinished(failures, folder, files)
    return record


def _not_handed_over(error: str) -> Notice:
    return Notice("not_handed_over", {"error": error}, level="warning")


def _not_explained(error: str) -> Notice:
    return Notice("not_explained", {"error": error}, level="warning")


def _not_reported(error: str) -> Notice:
    return Notice("not_reported", {"error": error}, level="warning")


def _no_card(error: str) -> Notice:
    return Notice("no_card", {"error": error}, level="warning")


def judge(selection: Selection, experiment: Experiment) -> TestResult:
    """Predicts the test images, once, and evaluates beside the majority class and, if another won, the probe."""
    chosen, catalog, split = selection.chosen, experiment.catalog, experiment.split
    known, novelty = remember(chosen, experiment)
    source = experiment.sources["test"]
    seen = [(chosen.head.logits(x_ND), known.distances(x_ND)) for x_ND in chosen.features(source)]
    logits_NK, distances_N = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    test = Predictions(
        logits_NK=logits_NK, labels_N=source.labels, paths=experiment.paths("test"), class_names=catalog.class_names
    )
    baselines = {}
    if chosen is not selection.probe:
        probe = selection.probe.predict(source, test.class_names, test.paths)
        baselines["probe"] = replace(probe, logits_NK=probe.logits_NK / np.float32(selection.probe.temperature))
    conformal = fit_conformal(chosen.val)
    evaluation = evaluate(
        test,
        temperature=chosen.temperature,
        baselines=baselines,
        majority_class=int(np.bincount(catalog.labels()[list(split.train)]).argmax()),
        conformal=conformal,
        groups_N=np.array(split.units)[list(split.test)],
        positive=class_to_find(experiment.config.positive, catalog.class_names, catalog.labels()),
    )
    scarce = too_few(chosen.val)
    return TestResult(
        test=test,
        evaluation=evaluation,
        conformal=conformal,
        known=known,
        novelty=novelty,
        notices=(*([scarce] if scarce else []), ood_notice(novelty, distances_N), *evaluation.notices),
    )


def remember(chosen: TrainedClassifier, experiment: Experiment) -> tuple[Neighbourhood, Novelty]:
    """Some training images, and how far from them the validation images lie.

    Of several networks only the first is asked: the others have learnt from its validation images.
    """
    if isinstance(chosen, Ensemble):
        first = chosen.members[0]
        known, novelty = remember(first.classifier, first.experiment)
        return known.padded(len(chosen.head.mean_D)), novelty
    train, val, seed = experiment.sources["train"], experiment.sources["val"], experiment.config.seed
    some = train.rows(stratified(train.labels, POINTS, seed, least=1))
    judges = val.rows(stratified(val.labels, ENOUGH, seed))
    known = Neighbourhood.of(np.concatenate(list(chosen.features(some))), experiment.extractor.widths)
    return known, known.measured_on(np.concatenate([known.distances(x_ND) for x_ND in chosen.features(judges)]))


def checked_images(source: ImageSource) -> ImageSource:
    """Some images at even distances, on which a bundle's two engines are compared."""
    return source.rows(np.linspace(0, len(source) - 1, min(CHECKED_IMAGES, len(source))).astype(np.int64))


def hand_over(selection: Selection, result: TestResult, experiment: Experiment, directory: Path) -> Bundle:
    """Writes the bundle; its graph is compared with torch on some of the user's own test images."""
    chosen, extractor, catalog = selection.chosen, experiment.extractor, experiment.catalog
    checked = checked_images(experiment.sources["test"])
    reference = Predictions(
        logits_NK=chosen.reference(checked),
        labels_N=checked.labels,
        paths=tuple(map(str, checked.files)),
        class_names=catalog.class_names,
    )
    return write_bundle(
        directory,
        graph=attach_distance(attach_head(chosen.graph(), chosen.head, chosen.temperature), result.known),
        weights=chosen.weights(),
        class_names=catalog.class_names,
        preprocess=extractor.preprocess,
        temperature=chosen.temperature,
        check_images_NSSC=checked.read(np.arange(len(checked))),
        reference_NK=probabilities(reference, chosen.temperature),
        training_hashes=[catalog.records[index].pixel_hash for index in experiment.learnable],
        sources=(extractor.source,),
        data_hash=catalog.hash,
        metrics=result.evaluation.metrics,
        versions=runtime.versions(PACKAGES),
        conformal=result.conformal,
        novelty=result.novelty,
        positive=result.evaluation.positive,
        threads=extractor.threads,
    )


def explain(
    selection: Selection,
    result: TestResult,
    bundle: Bundle,
    experiment: Experiment,
    on_event: EventSink = ignore_events,
) -> Insight:
    """Looks into what was handed over; a probe's features are in the cache already."""
    extractor, cache = experiment.extractor, experiment.cache
    known = (lambda source: extract(extractor, source, cache).read()) if selection.chosen is selection.probe else None
    return insight_of(bundle, experiment, result.test, result.evaluation, known, on_event)


def describe_catalog(catalog: Catalog) -> str:
    """One line on what was found."""
    text = f"{len(catalog.records)} images in {len(catalog.class_names)} classes ({catalog.layout})"
    if catalog.rejected:
        left_out = len(catalog.rejected)
        text += f", {left_out} {'file' if left_out == 1 else 'files'} left out (see {run_folder.REJECTED})"
    return text + (", nothing had changed" if not catalog.decoded else "")


def describe_split(split: Split) -> str:
    """One line on who trains and who judges."""
    text = f"{len(split.train)} train, {len(split.val)} validation, {len(split.test)} test"
    if split.leaks:
        text += f"; {len(split.leaks)} {'leak' if len(split.leaks) == 1 else 'leaks'} between them"
    return text
