"""Cross-validates contenders on the same folds, within a time budget.

The probe is judged on all folds from one cached table. What costs more races by successive halving: all on one fold,
the better half on two, and so on; then what time is left goes to the folds that were left out. Every run of a costly
contender gets the same budget, so that pairs compare like with like. A fold chooses epochs and temperatures on a part
of what it learns from, never on the images that judge, and nobody looks at the test images.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from svertka.config import RunConfig
from svertka.data.folds import make_folds
from svertka.errors import BundleError, TrainingError
from svertka.evaluate import probabilities
from svertka.evaluate.paired import halving
from svertka.features.experiment import Experiment
from svertka.features.feature_table import FeatureTable, extract
from svertka.model_selection.contenders import Contender
from svertka.model_selection.leaderboard import Results, Trial, leaderboard
from svertka.model_selection.select import learn
from svertka.schema import Comparison, EventSink, Notice, Split, StepStarted, ignore_events
from svertka.training.job import TrainingJob, cut_table

Keep = Callable[[Comparison], None]


@dataclass(frozen=True, kw_only=True)
class Race:
    """Who runs on what, how long, and who is told."""

    experiments: dict[str, Experiment]
    tables: dict[str, FeatureTable]
    folds: tuple[Split, ...]
    results: Results
    minutes: float
    work: Path
    on_event: EventSink
    keep: Keep
    started: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float:
        """Seconds of the budget that are left."""
        return self.minutes * 60 - (time.monotonic() - self.started)

    def comparison(self) -> Comparison:
        """The result as far as it has come."""
        first = next(iter(self.experiments.values()))
        return Comparison(
            standings=leaderboard(self.results),
            images=len(first.learnable),
            set_aside=len(first.split.test),
            folds=len(self.folds),
            seed=first.config.seed,
            minutes=self.minutes,
            seconds=time.monotonic() - self.started,
            complete=self.results.complete,
        )


def compare(
    config: RunConfig,
    contenders: tuple[Contender, ...],
    folds: int,
    work: Path,
    on_event: EventSink = ignore_events,
    keep: Keep = lambda comparison: None,
) -> Comparison:
    """Judges contenders on the same folds.

    Args:
        config: data, budget and all else but backbone and strategy.
        contenders: see ``make_contenders``.
        folds: how many.
        work: folder for what training needs meanwhile.
        on_event: hears what happens.
        keep: told the comparison as it stands after each run, so that an interruption loses one run at most.

    Raises:
        SvertkaError: with what is wrong and what to do.
    """
    names = dict.fromkeys(contender.backbone for contender in contenders)
    experiments = {name: Experiment.open(replace(config, backbone=name), on_event) for name in names}
    first = next(iter(experiments.values()))
    cut = make_folds(first.catalog, first.split, folds, config.val_fraction)
    tables = {}
    for name, each in experiments.items():
        source = each.source(each.learnable)
        on_event(StepStarted(f"features of {name}", len(source)))
        tables[name] = extract(each.extractor, source, each.cache, on_event)
    race = Race(
        experiments=experiments,
        tables=tables,
        folds=cut,
        results=Results(contenders=contenders, folds=folds),
        minutes=config.minutes,
        work=work,
        on_event=on_event,
        keep=keep,
    )
    _run(race)
    return race.comparison()


def _run(race: Race) -> None:
    """The cheap ones on all folds, the costly ones by halving, then what time allows, the better ones first."""
    every = range(len(race.folds))
    for contender in race.results.contenders:
        if contender.cheap:
            for fold in every:
                _try(race, contender, fold, race.minutes)
    alive = [contender for contender in race.results.contenders if not contender.cheap]
    rungs = halving(len(alive), len(race.folds))
    reached = [0, *(rung.folds for rung in rungs)]
    runs = sum(rung.alive * (rung.folds - before) for rung, before in zip(rungs, reached[:-1], strict=True))
    minutes = max(race.left_s, 1.0) / 60 / max(runs, 1)
    for rung in rungs:
        alive = sorted(alive, key=race.results.loss)[: rung.alive]
        for contender in alive:
            for fold in range(rung.folds):
                _try_in_time(race, contender, fold, minutes)
    for contender in sorted(race.results.contenders, key=race.results.loss):
        for fold in every:
            _try_in_time(race, contender, fold, minutes)


def _try_in_time(race: Race, contender: Contender, fold: int, minutes: float) -> None:
    """Runs a trial if it should end within the budget, judged by the contender's longest so far; a second may pass."""
    earlier, left_s = [trial.seconds for trial in race.results.of(contender)], race.left_s
    if left_s > 0 and max(earlier, default=60 * minutes) <= left_s + 1:
        _try(race, contender, fold, minutes)


def _try(race: Race, contender: Contender, fold: int, minutes: float) -> None:
    results = race.results
    if (contender, fold) in results.trials or contender in results.errors:
        return
    race.on_event(Notice("trial", {"name": contender.name, "fold": fold + 1, "folds": len(race.folds)}))
    try:
        results.trials[contender, fold] = _trial(race, contender, race.folds[fold], minutes)
    except (TrainingError, BundleError) as error:
        results.errors[contender] = str(error)
    race.keep(race.comparison())


def _trial(race: Race, contender: Contender, fold: Split, minutes: float) -> Trial:
    experiment, table, started = race.experiments[contender.backbone], race.tables[contender.backbone], time.monotonic()
    folder = race.work / "trial"
    folder.mkdir(parents=True)
    on_fold = replace(
        experiment, split=fold, config=replace(experiment.config, strategy=contender.strategy, minutes=minutes)
    )
    job = TrainingJob(
        experiment=on_fold, tables=cut_table(table, experiment.learnable, fold), folder=folder, started=started
    )
    try:
        chosen = learn(job, race.on_event).chosen
        judged = chosen.predict(on_fold.sources["test"], experiment.catalog.class_names, on_fold.paths("test"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    p_NK = probabilities(judged, chosen.temperature)
    truth_N = p_NK[np.arange(len(judged)), judged.labels_N]
    return Trial(
        units_N=np.array(fold.units, dtype=np.int64)[list(fold.test)],
        right_N=p_NK.argmax(axis=1) == judged.labels_N,
        loss_N=-np.log(np.maximum(truth_N, 1e-12)),
        learnt_from=len(fold.train),
        seconds=time.monotonic() - started,
        epochs=len(chosen.history),
    )
