"""``svertka evaluate``: evaluates a bundle on labelled images that it hasn't seen. Needs no torch."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from svertka import evaluate as judging
from svertka.bundle.bundle import training_hashes, was_trained_on
from svertka.bundle.predictor import Predictor, open_predictor
from svertka.cli.answers import Answers
from svertka.cli.inputs import Input
from svertka.cli.options import Bundle as Model
from svertka.cli.options import Language, Threads
from svertka.cli.output import begins, may_write, phrase, terminal
from svertka.cli.progress import TerminalProgress
from svertka.config import RunConfig
from svertka.data.ranges import misread, outside
from svertka.data.rows import as_number
from svertka.data.scan import scan
from svertka.data.split import groups_of
from svertka.errors import ConfigError, DataError, did_you_mean
from svertka.evaluate import class_to_find
from svertka.evaluate.predictions import COLUMNS as PREDICTION_COLUMNS
from svertka.features.ood import ood_notice
from svertka.messages import shortened, shown
from svertka.messages.translator import has_width
from svertka.report.alerts import SHOWN, by_weight
from svertka.runs.folder import METRICS, PREDICTIONS, config_fields
from svertka.schema import Bundle, Catalog, Estimate, Evaluation, ImageRecord, Notice, Predictions, StepStarted
from svertka.util.atomic_files import read_json, write_json

_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "roc_auc",
    "average_precision",
    "log_loss",
    "calibration_error",
)
_REJECTS_SHOWN = 5


def evaluate(
    model: Model,
    data: Annotated[str, typer.Argument(help="Labelled folder or table.")],
    out: Annotated[str, typer.Option(help="Folder for metrics.json and predictions.csv.")] = "",
    config_file: Annotated[
        str, typer.Option("--config", help="TOML file: label_column, images and the like of a table.")
    ] = "",
    positive: Annotated[str, typer.Option(help="Of two classes the one to be found [default: the bundle's].")] = "",
    threads: Threads = 0,
    language: Language = "",
) -> int:
    """Prints every figure with its interval; writes ``metrics.json`` and ``predictions.csv`` into ``out``.

    Where the data have a test part, that part alone is judged. The class to be found is the one given, else the
    configuration's, else the bundle's, else the rarer.

    Returns:
        The exit code, 0.

    Raises:
        ConfigError: the data have classes that the model doesn't know, or ``out`` is a file, a run or a
            bundle, or the results would overwrite the table.
        DataError: no image can be read.
        BundleError: the bundle is damaged.
    """
    folder = _folder(out, data) if out else None
    predictor = open_predictor(model, threads)
    bundle = predictor.bundle
    fields = config_fields(Path(config_file)) if config_file else {}
    config = RunConfig(**(fields | {"data": data, "threads": threads}))
    wanted = positive or config.positive or str(bundle.manifest.get("positive", ""))
    class_to_find(wanted, bundle.class_names, np.zeros(0, np.int64))  # a wrong name ends here
    with TerminalProgress() as progress:
        progress(StepStarted("scan"))
        scanned = scan(data, config=config, for_training=False, on_event=progress)
    catalog = _as_bundle_spells(scanned, bundle.class_names)
    check_class_names(catalog.class_names, bundle.class_names)
    records, notices = _to_judge(catalog)
    predictions, unlike = _predict(predictor, catalog, records, int(config.max_megapixels * 1e6))
    notices += [*misread(records), *outside(records, bundle.preprocess.ranges)]
    notices += [*catalog.notices, *_seen_in_training(bundle, records), *unlike]
    evaluation = judging.evaluate(
        predictions,
        temperature=bundle.temperature,
        conformal=bundle.conformal,
        groups_N=_groups(records, config),
        positive=class_to_find(wanted, bundle.class_names, predictions.labels_N),
    )
    evaluation = replace(evaluation, notices=(*notices, *evaluation.notices))
    print("\n".join(_lines(evaluation, catalog)))
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / METRICS, judging.to_json(evaluation))
        judging.save_predictions(predictions, folder / PREDICTIONS, bundle.temperature)
        print("\n" + phrase("written", path=f"{folder}: {METRICS}, {PREDICTIONS}"))
    return 0


def _folder(out: str, data: str) -> Path:
    """The folder of the results, if nothing of the user's would be lost by writing there."""
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; expected a folder for {METRICS} and {PREDICTIONS}.")
    if any((folder / name).exists() for name in ("config.toml", "manifest.json")):
        raise ConfigError(f"{folder} is a run or a bundle, whose own figures would be overwritten; name another --out.")
    may_write(folder / METRICS, [data], _are_metrics)
    may_write(folder / PREDICTIONS, [data], begins(PREDICTION_COLUMNS))
    return folder


def _are_metrics(path: Path) -> bool:
    """Whether a file is what ``evaluate`` writes."""
    try:
        found = read_json(path)
    except ValueError:
        return False
    return isinstance(found, dict) and {"metrics", "per_class", "temperature"} <= found.keys()


def _as_bundle_spells(catalog: Catalog, of_model: Sequence[str]) -> Catalog:
    """Classes of the data that are numbers as the model writes them: 1.0 is its 1."""
    by_number = {as_number(name): name for name in of_model}
    names = [name if name in of_model else by_number.get(as_number(name), name) for name in catalog.class_names]
    return replace(catalog, class_names=tuple(names)) if len(set(names)) == len(names) else catalog


def check_class_names(of_data: Sequence[str], of_model: Sequence[str]) -> None:
    """Refuses data with classes that the model cannot answer: they would count as its mistakes.

    Raises:
        ConfigError: it lists them.
    """
    unknown = [name for name in of_data if name not in of_model]
    if unknown:
        hints = "".join(did_you_mean(name, of_model) for name in unknown[:1])
        raise ConfigError(
            f"The data have classes that the model doesn't know: {', '.join(unknown)}; it knows "
            f"{', '.join(of_model)}.{hints} Rename the folders, or leave those classes out."
        )


def _to_judge(catalog: Catalog) -> tuple[list[ImageRecord], list[Notice]]:
    """The test part where the data name one, otherwise everything."""
    test = [record for record in catalog.records if record.split == "test"]
    if not test or len(test) == len(catalog.records):
        return list(catalog.records), []
    return test, [Notice("test_part_only", {"test": len(test), "images": len(catalog.records)})]


def _groups(records: Sequence[ImageRecord], config: RunConfig) -> NDArray[np.int64]:
    """Number of each image's group; an image without one stands alone, but for exact copies of it."""
    named = groups_of(records, config)
    names = [f"group {group}" if group is not None else r.pixel_hash for group, r in zip(named, records, strict=True)]
    numbers: NDArray[np.int64] = np.unique(names, return_inverse=True)[1].astype(np.int64)
    return numbers


def _predict(
    predictor: Predictor, catalog: Catalog, records: Sequence[ImageRecord], max_pixels: int
) -> tuple[Predictions, list[Notice]]:
    """What the bundle says of labelled images, and how many of them are out of distribution."""
    names, novelty = predictor.bundle.class_names, predictor.bundle.novelty
    inputs = [Input(record.path, catalog.file(record)) for record in records]
    results = [result for _, result in Answers(predictor, inputs, max_pixels)]
    failed = [result for result in results if result.error]
    if failed:
        raise DataError(f"{failed[0].path} could be read a moment ago, but not now ({failed[0].error}). Try again.")
    predictions = Predictions(
        logits_NK=np.stack([result.logits_K for result in results if result.logits_K is not None]),
        labels_N=np.array([names.index(catalog.class_names[record.label]) for record in records], dtype=np.int64),
        paths=tuple(record.path for record in records),
        class_names=names,
    )
    distances_N = np.array([result.distance for result in results])
    return predictions, [ood_notice(novelty, distances_N)] if novelty else []


def _seen_in_training(bundle: Bundle, records: Sequence[ImageRecord]) -> Iterator[Notice]:
    hashes = training_hashes(bundle)
    seen = [record.path for record in records if was_trained_on(record.pixel_hash, hashes)]
    if seen:
        yield Notice("seen_in_training", {"seen": len(seen), "images": len(records), "first": seen[0]}, level="warning")


def _lines(evaluation: Evaluation, catalog: Catalog) -> Iterator[str]:
    """The result as a person reads it in a terminal: the weightiest warnings, the figures, and all else."""
    ordered = by_weight(evaluation.notices)
    warnings = [notice for notice in ordered if notice.level == "warning"]
    yield from map(_notice_line, warnings[:SHOWN])
    if len(warnings) > SHOWN:
        yield phrase("more_below", n=len(warnings) - SHOWN)
    yield "\n" + phrase("judged", n=evaluation.n, temperature=f"{evaluation.temperature:.3g}") + "\n"
    if evaluation.positive:
        yield phrase("to_find", name=terminal().quoted(evaluation.positive)) + "\n"
    yield from _table(evaluation)
    rest = [*warnings[SHOWN:], *ordered[len(warnings) :]]
    yield from ([""] if rest or catalog.rejected else [])
    yield from map(_notice_line, rest)
    files = terminal().shown_of(len(catalog.rejected), _REJECTS_SHOWN)
    for rejection in catalog.rejected[:files]:
        yield f"    {shortened(shown(rejection.path))}: {rejection.reason}, {shown(rejection.detail)}"
    if len(catalog.rejected) > files:
        yield f"    {phrase('more', n=len(catalog.rejected) - files)}"


def _notice_line(notice: Notice) -> str:
    return f"{'! ' if notice.level == 'warning' else ''}{terminal().sentences(notice)}"


def _table(evaluation: Evaluation) -> Iterator[str]:
    """Every figure with its interval: on the whole, then by class."""
    titles = {name: terminal()(f"metric.{name}.name") for name in _METRICS if name in evaluation.metrics}
    width = max(24, *map(len, titles.values()))
    yield f"{'':<{width}}  {phrase('value'):<8}  {phrase('interval')}"
    yield from (f"{title:<{width}}  {_figures(name, evaluation.metrics[name])}" for name, title in titles.items())
    names = [shown(scores.name) for scores in evaluation.per_class]
    width = max(5, *map(len, names))
    heads = "".join(f"{phrase(name):<26}" for name in ("precision", "recall"))
    yield f"\n{phrase('class'):<{width}}  {phrase('images'):>7}  {heads}F1"
    for name, scores in zip(names, evaluation.per_class, strict=True):
        shares = "".join(f"{_figures('accuracy', each):<26}" for each in (scores.precision, scores.recall))
        yield f"{name:<{width}}  {scores.support:>7}  {shares}{_figures('macro_f1', scores.f1)}"


def _figures(metric: str, estimate: Estimate) -> str:
    """A figure and its interval, or why there is none; dashes where no image stands behind it."""
    tr = terminal()
    if not estimate.n:
        return "–"
    if not has_width(estimate):
        return f"{estimate.value:<8.3f}  {tr.sameness(metric, estimate)}"
    low, high = f"{estimate.low:.3f}", f"{estimate.high:.3f}"
    return f"{estimate.value:<8.3f}  {tr('interval.range', low=low, high=high)}"
