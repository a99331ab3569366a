"""The main job, step by step: a folder of images in; a tested, portable classifier out.

This file is the table of contents. Each step takes records and returns a record; each is timed; whatever is done
stays in the run folder, so a run that was stopped goes on with ``resume``.
"""

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from svertka import run_folder, runtime
from svertka.architectures.registry import SMALL_PX
from svertka.config import RunConfig
from svertka.data.files import list_files
from svertka.data.loader import ImageSource
from svertka.data.pixels import PixelStore, cache_dir
from svertka.data.scan import scan
from svertka.data.sizes import natural_size
from svertka.data.split import make_split
from svertka.errors import ConfigError, SvertkaError
from svertka.evaluate import evaluate, fit_conformal, probabilities, save_predictions, too_few, why_not_fitted
from svertka.explain.insight import look_inside
from svertka.explain.network import open_network
from svertka.export.bundle import write_bundle
from svertka.export.engine import FeatureEngine, open_engine
from svertka.export.graph import attach_distance, attach_head
from svertka.learn import Candidate, Learned, Lesson, learn
from svertka.messages import sentences
from svertka.report import build_report, write_card
from svertka.schema import (
    SPLIT_NAMES,
    Bundle,
    Catalog,
    Conformal,
    Evaluation,
    EventSink,
    Insight,
    Notice,
    Novelty,
    Predictions,
    RunRecord,
    RunStarted,
    Split,
    SplitName,
    ignore_events,
)
from svertka.step_log import StepLog
from svertka.transfer.features import FeatureTable, extract
from svertka.transfer.novelty import POINTS, Neighbourhood, told
from svertka.transfer.probe import ENOUGH, check_order, stratified

CHECKED_IMAGES = 32
"""Test images on which a bundle's two engines are compared; more find nothing new and cost time."""

PACKAGES = ("svertka", "numpy", "pillow", "onnxruntime", "torch", "torchvision", "timm", "onnx", "scikit-learn")


def run(config: RunConfig, on_event: EventSink = ignore_events, *, command: str = "", resume: str = "") -> RunRecord:
    """Trains, judges, explains and hands over a classifier.

    Args:
        config: what to do.
        on_event: hears what happens; the library itself prints nothing.
        command: the command line, for the report.
        resume: a run folder to go on with; ``config`` is then the one stored there.

    Raises:
        SvertkaError: with what is wrong and what to do.
    """
    listing = list_files(config.data, config)  # a wrong path fails here, before anything is made or loaded
    folder = Path(resume) if resume else run_folder.new_run_folder(config)
    if (folder / run_folder.METRICS).exists():
        raise ConfigError(f"run {folder} is finished already; see {folder / run_folder.REPORT}.")
    config = replace(config, data=str(Path(config.data).expanduser().absolute()), out=str(folder))
    if config.from_scratch and not config.size_px:
        config = replace(config, size_px=natural_size(listing, SMALL_PX))
    run_folder.write_text(folder / run_folder.CONFIG, run_folder.config_to_toml(config))
    log = StepLog(folder / run_folder.LOG, on_event)
    log(RunStarted(str(folder)))
    started, clock = datetime.now(UTC).astimezone().isoformat(timespec="seconds"), time.monotonic()
    process = runtime.setup(config.threads)
    cache = cache_dir()

    with log.step("backbone") as step:
        engine = open_engine(config, cache, process.threads)
        step.summary = f"{engine.source.name} ({engine.source.licence}), {sum(engine.widths)} features"
    with log.step("scan") as step:
        catalog = scan(config.data, config=config, preprocess=engine.preprocess, cache=cache, on_event=log)
        step.summary = describe_catalog(catalog)
    with log.step("split") as step:
        split = make_split(catalog, config)
        command, started = run_folder.begin(folder, config, catalog, split, command, started)
        run_folder.save_catalog(folder, catalog)
        run_folder.save_split(folder, catalog, split)
        step.summary = describe_split(split)
    for notice in (*catalog.notices, *split.notices):
        log(notice)

    store, max_pixels = PixelStore(cache, engine.preprocess), int(config.max_megapixels * 1e6)
    sources = {name: ImageSource.of(catalog, split.of(name), store, max_pixels) for name in SPLIT_NAMES}
    with log.step("features", len(split.train) + len(split.val)) as step:
        tables: dict[SplitName, FeatureTable] = {"train": extract(engine, sources["train"], cache, log)}
        tables["val"] = extract(engine, sources["val"], cache, log.after(len(split.train)))
        order = check_order(tables, catalog, split, config.seed)
    with log.step("learn") as step:
        lesson = Lesson(
            config=config,
            engine=engine,
            catalog=catalog,
            split=split,
            sources=sources,
            tables=tables,
            folder=folder,
            cache=cache,
            started=clock,
        )
        learned = learn(lesson, log)
        del tables, lesson
        doubts = [notice for notice in (why_not_fitted(learned.chosen.val), too_few(learned.chosen.val)) if notice]
        conformal = fit_conformal(learned.chosen.val)
        step.summary = sentences(*learned.decision.reasons)
    with log.step("judge", len(split.test)) as step:
        known, novelty = remember(learned.chosen, sources, engine.widths, config.seed)
        test, evaluation, unlike = judge(
            learned, catalog, split, sources["test"], conformal, known, novelty, config.seed
        )
        save_predictions(test, folder / run_folder.PREDICTIONS, temperature=evaluation.temperature)
        accuracy = evaluation.metrics["accuracy"]
        step.summary = f"accuracy {accuracy.value:.3f} ({accuracy.low:.3f} to {accuracy.high:.3f}), n = {accuracy.n}"
    with log.step("hand over") as step:
        bundle = hand_over(
            learned, catalog, split, sources["test"], evaluation, conformal, engine, known, novelty, folder
        )
        step.summary = f"{bundle.directory}, engines differ by {bundle.parity.max_probability_difference:.1e} at most"
    with log.step("explain") as step:
        insight, unexplained = None, []
        try:
            insight = explain(learned, bundle, catalog, split, sources, test, evaluation, config.seed, engine, cache)
            step.summary = f"{len(insight.examples)} examples, {len(insight.shortcuts)} probes for shortcuts"
        except (
            SvertkaError
        ) as error:  # the classifier is good without pictures; hours of learning are not lost for them
            unexplained.append(Notice("not_explained", {"error": str(error)}, level="warning"))
    record = RunRecord(
        name=folder.name,
        command=command,
        started=started,
        config=config,
        catalog=catalog,
        split=split,
        history=learned.chosen.history,
        phases=learned.chosen.phases,
        decision=learned.decision,
        evaluation=evaluation,
        test=test,
        order=order,
        parity=bundle.parity,
        costs=tuple(log.costs),
        sources=(engine.source,),
        versions=runtime.versions(PACKAGES) | {"threads": str(process.threads)},
        notices=(
            *catalog.notices,
            *split.notices,
            *learned.notices,
            *doubts,
            unlike,
            *evaluation.notices,
            *unexplained,
        ),
        insight=insight,
    )
    with log.step("report") as step:
        step.summary = str(build_report(record, folder / run_folder.REPORT))
        write_card(record, folder / run_folder.CARD)
    run_folder.save_run(folder, record)
    return record


def remember(
    chosen: Candidate, sources: dict[SplitName, ImageSource], widths: tuple[int, ...], seed: int
) -> tuple[Neighbourhood, Novelty]:
    """Some training images, and how far from them the validation images lie."""
    train, val = sources["train"], sources["val"]
    some = train.rows(stratified(train.labels, POINTS, seed))
    judges = val.rows(stratified(val.labels, ENOUGH, seed))
    known = Neighbourhood.of(np.concatenate(list(chosen.features(some))), widths)
    return known, known.measured_on(np.concatenate([known.distances(x_ND) for x_ND in chosen.features(judges)]))


def judge(
    learned: Learned,
    catalog: Catalog,
    split: Split,
    source: ImageSource,
    conformal: Conformal | None,
    known: Neighbourhood,
    novelty: Novelty,
    seed: int,
) -> tuple[Predictions, Evaluation, Notice]:
    """Predicts the test images, once, and evaluates beside the majority class and, if another won, the probe.

    Returns:
        Predictions, their evaluation, and how many of the images are unlike those of training.
    """
    paths = tuple(catalog.records[index].path for index in split.test)
    head = learned.chosen.head
    seen = [(head.logits(x_ND), known.distances(x_ND)) for x_ND in learned.chosen.features(source)]
    logits_NK, distances_N = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    test = Predictions(logits_NK=logits_NK, labels_N=source.labels, paths=paths, class_names=catalog.class_names)
    baselines = {}
    if learned.chosen is not learned.probe:
        probe = learned.probe.predict(source, catalog.class_names, paths)
        baselines["probe"] = replace(probe, logits_NK=probe.logits_NK / np.float32(learned.probe.temperature))
    majority = int(np.bincount(catalog.labels()[list(split.train)]).argmax())
    evaluation = evaluate(
        test,
        temperature=learned.chosen.temperature,
        baselines=baselines,
        majority_class=majority,
        conformal=conformal,
        seed=seed,
    )
    return test, evaluation, told(novelty, distances_N)


def hand_over(
    learned: Learned,
    catalog: Catalog,
    split: Split,
    source: ImageSource,
    evaluation: Evaluation,
    conformal: Conformal | None,
    engine: FeatureEngine,
    known: Neighbourhood,
    novelty: Novelty,
    folder: Path,
) -> Bundle:
    """Writes the bundle; its graph is compared with torch on some of the user's own test images."""
    chosen = learned.chosen
    checked = source.rows(np.linspace(0, len(source) - 1, min(CHECKED_IMAGES, len(source))).astype(np.int64))
    reference = Predictions(
        logits_NK=chosen.reference(checked),
        labels_N=checked.labels,
        paths=tuple(map(str, checked.files)),
        class_names=catalog.class_names,
    )
    learnt_from = (*split.train, *split.val)
    return write_bundle(
        folder / run_folder.BUNDLE,
        graph=attach_distance(attach_head(chosen.graph(), chosen.head, chosen.temperature), known),
        weights=chosen.weights(),
        class_names=catalog.class_names,
        preprocess=engine.preprocess,
        temperature=chosen.temperature,
        check_images_NSSC=checked.read(np.arange(len(checked))),
        reference_NK=probabilities(reference, chosen.temperature),
        training_hashes=[catalog.records[index].pixel_hash for index in learnt_from],
        sources=(engine.source,),
        data_hash=catalog.hash,
        metrics=evaluation.metrics,
        versions=runtime.versions(PACKAGES),
        conformal=conformal,
        novelty=novelty,
        threads=engine.threads,
    )


def explain(
    learned: Learned,
    bundle: Bundle,
    catalog: Catalog,
    split: Split,
    sources: dict[SplitName, ImageSource],
    test: Predictions,
    evaluation: Evaluation,
    seed: int,
    engine: FeatureEngine,
    cache: Path,
) -> Insight:
    """Looks into what was handed over; a probe's features are in the cache already."""
    known = (lambda source: extract(engine, source, cache).read()) if learned.chosen is learned.probe else None
    return look_inside(
        open_network(bundle, engine.threads),
        catalog=catalog,
        split=split,
        sources=sources,
        test=test,
        evaluation=evaluation,
        seed=seed,
        features=known,
    )


def describe_catalog(catalog: Catalog) -> str:
    """One line on what was found."""
    text = f"{len(catalog.records)} images in {len(catalog.class_names)} classes ({catalog.layout})"
    if catalog.rejected:
        text += f", {len(catalog.rejected)} files left out (see {run_folder.REJECTED})"
    return text + (", nothing had changed" if not catalog.decoded else "")


def describe_split(split: Split) -> str:
    """One line on who trains and who judges."""
    text = f"{len(split.train)} train, {len(split.val)} validation, {len(split.test)} test"
    if split.leaks:
        text += f"; {len(split.leaks)} leaks between them"
    return text
