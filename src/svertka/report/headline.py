"""The first screen: the task, the main figure with its confidence interval, and its comparison with the baselines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from svertka.messages.translator import Translator
from svertka.report.results import Score, make_score, positive_class
from svertka.schema import Estimate, Evaluation, RunRecord
from svertka.viz.axes import Tick

# The first of these that the evaluation has is the headline.
_CANDIDATES = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc")
_TILES = ("balanced_accuracy", "macro_f1", "roc_auc", "calibration_error")


@dataclass(frozen=True, kw_only=True, slots=True)
class Headline:
    """The first screen. ``figure`` is empty where the evaluation has no figure to show."""

    task: str
    meaning: Sequence[str]
    tiles: Sequence[tuple[str, str, str]]
    """Further figures: name, value, confidence interval."""
    figure: str = ""
    label: str = ""
    interval: str = ""
    rows: Sequence[tuple[str, Score]] = ()
    """The model and its baselines on one axis."""
    ticks: Sequence[Tick] = ()
    """Of that axis, in percent of its width."""


def make_headline(tr: Translator, run: RunRecord) -> Headline:
    """Builds the first screen from a run."""
    metrics = run.evaluation.metrics
    name = next((name for name in _CANDIDATES if name in metrics), "")
    task = _task(tr, run.evaluation.class_names)
    tiles = [
        (
            tr(f"metric.{tile}.name"),
            tr.metric(tile, metrics[tile].value),
            tr.sized(tr.interval(tile, metrics[tile]), metrics[tile].n),
        )
        for tile in _TILES
        if tile in metrics and tile != name
    ]
    if not name:
        return Headline(task=task, meaning=[tr("headline.nothing")], tiles=tiles)
    rows, ticks = _interval_rows(tr, run, name)
    return Headline(
        task=task,
        figure=tr.metric(name, metrics[name].value),
        label=tr("headline.accuracy" if name == "accuracy" else f"metric.{name}.name"),
        interval=tr("headline.interval", interval=tr.interval(name, metrics[name]), n=metrics[name].n),
        meaning=_meaning(tr, run, name),
        rows=rows,
        ticks=ticks,
        tiles=tiles,
    )


def _task(tr: Translator, class_names: tuple[str, ...]) -> str:
    if len(class_names) == 2:
        return tr("headline.task.two", first=tr.quoted(class_names[0]), second=tr.quoted(class_names[1]))
    if len(class_names) <= 4 and sum(map(len, class_names)) <= 80:
        return tr("headline.task.few", names=tr.listing(class_names))
    return tr("headline.task.many", n=len(class_names))


def _meaning(tr: Translator, run: RunRecord, name: str) -> tuple[str, ...]:
    """What the figure means for a person, and against answering without looking and against the plain probe."""
    estimate = run.evaluation.metrics[name]
    sentences = []
    if name == "accuracy" and math.isfinite(estimate.low) and math.isfinite(estimate.high):
        right, low, high = 100 * estimate.value, 100 * estimate.low, 100 * estimate.high
        sentences.append(tr("headline.meaning", right=right, low=low, high=high))
    majority = run.evaluation.baselines.get("majority class", {}).get(name)
    if majority is not None:
        sentences.append(
            tr(
                f"headline.majority.{_verdict(estimate, majority)}",
                value=tr.metric(name, majority.value),
                name=tr.quoted(_commonest_class(run)),
            )
        )
    probe = run.evaluation.baselines.get("probe", {}).get(name)
    if probe is not None and run.decision.strategy != "probe":
        sentences.append(tr(f"headline.probe.{_verdict(estimate, probe)}", value=tr.metric(name, probe.value)))
    return (*sentences, *_sensitivity(tr, run.evaluation))


def _sensitivity(tr: Translator, evaluation: Evaluation) -> list[str]:
    """Of two classes: how many images of the one to be found are found, and how many others are left alone."""
    name = positive_class(evaluation)
    found = next((scores.recall for scores in evaluation.per_class if scores.name == name), None)
    rest = next((scores.recall for scores in evaluation.per_class if scores.name != name), None)
    if not name or not (found and found.n and rest and rest.n):
        return []
    sentence = tr(
        "headline.sensitivity",
        name=tr.quoted(name),
        found=found.value,
        found_evidence=tr.evidence("accuracy", found),
        rest=rest.value,
        rest_evidence=tr.evidence("accuracy", rest),
    )
    return [sentence]


def _verdict(model: Estimate, baseline: Estimate) -> str:
    """``better``, ``worse`` or ``unclear``: whether the intervals lie apart."""
    if model.low > baseline.high:
        return "better"
    return "worse" if model.high < baseline.low else "unclear"


def beats_majority(evaluation: Evaluation) -> bool | None:
    """Whether accuracy is clearly above always answering the commonest class; None where that is not known."""
    model = evaluation.metrics.get("accuracy")
    majority = evaluation.baselines.get("majority class", {}).get("accuracy")
    return None if model is None or majority is None else model.low > majority.value


def _commonest_class(run: RunRecord) -> str:
    """The class that the majority baseline answers: the commonest among training images."""
    labels = [run.catalog.records[index].label for index in run.split.train]
    if not labels:
        labels = [int(label) for label in run.test.labels_N]
    names = run.catalog.class_names
    return names[max(range(len(names)), key=labels.count)] if labels else "–"


def _interval_rows(tr: Translator, run: RunRecord, name: str) -> tuple[list[tuple[str, Score]], list[Tick]]:
    """Model and baselines on one axis that runs from a round figure below the lowest to the top, and its ticks."""
    shown = [(tr("headline.row.model"), run.evaluation.metrics[name])]
    for baseline, metrics in sorted(run.evaluation.baselines.items(), key=lambda entry: entry[0] != "probe"):
        same_as_model = baseline == "probe" and run.decision.strategy == "probe"
        if name in metrics and not same_as_model:
            shown.append((tr.known("baseline", baseline), metrics[name]))
    lows = [e.low if math.isfinite(e.low) else e.value for _, e in shown]
    left = max(0.0, math.floor(10 * min(lows) - 0.2) / 10)
    step = 0.1 if left >= 0.5 else 0.2
    marks = [1 - step * index for index in range(int((1 - left) / step + 1e-9) + 1)]
    ticks = [(round(100 * (mark - left) / (1 - left), 2), tr.percent(mark, 0)) for mark in reversed(marks)]
    return [(label, make_score(tr, estimate, name, left)) for label, estimate in shown], ticks
