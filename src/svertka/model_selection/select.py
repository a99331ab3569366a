"""Learning: the strategies that a configuration allows become candidates, and validation chooses one."""

import time
from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from svertka.config import StrategyName
from svertka.errors import BundleError, TrainingError
from svertka.evaluate.paired import paired_gain
from svertka.features.experiment import Experiment
from svertka.model_selection.advise import advise_on
from svertka.model_selection.advisor import size_of
from svertka.schema import Decision, EventSink, Notice, StepStarted
from svertka.training import candidates, ensemble
from svertka.training.candidates import LEARNT, TrainedClassifier, TrainingJob

__all__ = ["LEARNT", "Selection", "TrainedClassifier", "TrainingJob", "choose", "learn", "run_strategy"]


_ENDINGS = ("stopped_early", "pace_slower", "pace_quicker")
"""Notices of how training ended: they say what became of the time, so they stand beside what the plan said."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What learning came to: the candidate that was kept, the probe beside it, the reason."""

    chosen: TrainedClassifier
    probe: TrainedClassifier
    decision: Decision
    notices: tuple[Notice, ...] = ()


def learn(job: TrainingJob, on_event: EventSink) -> Selection:
    """Fits the probe and does what the strategy says.

    ``auto`` fine-tunes from the probe if the budget allows, tries what the adviser names where that is something else,
    and keeps the best on validation; with random weights it trains from scratch.
    """
    config = job.experiment.config
    on_event(StepStarted("probe"))
    probe = candidates.probe(job)
    if config.from_scratch:
        tuned, why = run_strategy(job, probe, "scratch", on_event)
        decision = _decide((tuned, probe), Notice("from_scratch"), *why, *_averaged(tuned, config.folds))
        return Selection(chosen=tuned, probe=probe, decision=decision, notices=tuned.notices)
    notices = (Notice("random_features", level="warning"),) if config.weights == "none" else ()
    if config.strategy == "probe":
        decision = _decide((probe,), Notice("probe_asked"), *_averaged(probe, config.folds))
        return Selection(chosen=probe, probe=probe, decision=decision, notices=notices)
    if config.strategy == "auto":
        return _race(job, probe, on_event)
    tuned, why = run_strategy(job, probe, config.strategy, on_event)
    decision = _decide((tuned, probe), Notice("strategy_asked"), *why, *_averaged(tuned, config.folds))
    return Selection(chosen=tuned, probe=probe, decision=decision, notices=(*notices, *tuned.notices))


def run_strategy(
    job: TrainingJob, probe: TrainedClassifier, name: StrategyName, on_event: EventSink
) -> tuple[TrainedClassifier, tuple[Notice, ...]]:
    """Trains by one strategy, for a few steps at least whatever the budget.

    Args:
        job: its folder holds plan and training state; one strategy a folder.
        probe: a fitted probe (``candidates.probe``).
        name: of a strategy that trains weights.
        on_event: hears what happens.

    Returns:
        The candidate, what the budget allowed, and how training ended.

    Raises:
        TrainingError: training diverged before one epoch was good.
    """
    trained, why = _attempt(job, probe, name, on_event, insist=True)
    assert trained is not None  # it insists
    return trained, why


def _attempt(
    job: TrainingJob, probe: TrainedClassifier, name: StrategyName, on_event: EventSink, *, insist: bool
) -> tuple[TrainedClassifier | None, tuple[Notice, ...]]:
    """Trains by one strategy, with folds a network a fold; None where the budget is too small, and the reason."""
    if job.experiment.config.folds:
        trained, why = ensemble.train(job, name, on_event, insist=insist)
    else:
        planned = candidates.plan(job, probe, name, insist=insist)
        why = planned.why
        trained = candidates.train(job, probe, planned, on_event) if planned.strategy else None
    ended = tuple(notice for notice in trained.notices if notice.code in _ENDINGS) if trained else ()
    held = why.code == "epochs_all" and any(notice.code == "pace_slower" for notice in ended)
    return trained, ended if held else (why, *ended)


def _race(job: TrainingJob, probe: TrainedClassifier, on_event: EventSink) -> Selection:
    """The probe against what costs more; each rival gets an equal share of the time that is left."""
    names, reasons = _rivals(job.experiment, on_event)
    folds, units_N = job.experiment.config.folds, np.array(job.experiment.split.units)[list(job.judging)]
    best, tried, notices = probe, [probe], list[Notice]()
    for turn, name in enumerate(names):
        part = _part_of_time(job, name, len(names) - turn)
        try:
            tuned, why = _attempt(part, probe, name, on_event, insist=False)
        except (TrainingError, BundleError) as error:
            tuned, why = None, (Notice("fine_tuning_failed", {"error": str(error)}, level="warning"),)
        if tuned is None:
            reasons, notices = [*reasons, *why], [*notices, *why]
            continue
        best, shown = choose(best, tuned, units_N, _learnt_from(folds, len(units_N)))
        reasons, notices = [*reasons, shown, *why], [*notices, *tuned.notices]
        tried.append(tuned)
    decision = _decide((best, *tried), *reasons, *_averaged(best, folds))
    return Selection(chosen=best, probe=probe, decision=decision, notices=tuple(notices))


def _rivals(experiment: Experiment, on_event: EventSink) -> tuple[tuple[StrategyName, ...], list[Notice]]:
    """LP-FT and, if that is another one, what the data's cell of the matrix names; and why.

    With fewer than ``advisor.MUCH`` images every cell names the probe or LP-FT, so there is nothing to measure.
    """
    counts_K = np.bincount(experiment.catalog.labels()[experiment.learnable])
    if size_of(int(counts_K.sum()), int(counts_K.min())) != "much":
        return ("finetune",), []
    advice = advise_on(experiment, on_event)
    others = (advice.strategy,) if advice.strategy not in ("probe", "finetune") else ()
    return ("finetune", *others), list(advice.reasons)


def _part_of_time(job: TrainingJob, name: StrategyName, turns: int) -> TrainingJob:
    """The job for one of so many that are still to come, in a folder of its own."""
    config = job.experiment.config
    passed = (time.monotonic() - job.started) / 60
    minutes = config.minutes if turns == 1 else passed + max(0.0, config.minutes - passed) / turns
    folder = job.folder if name == "finetune" else job.folder / name
    folder.mkdir(exist_ok=True)
    return replace(job, experiment=replace(job.experiment, config=replace(config, minutes=minutes)), folder=folder)


def _learnt_from(folds: int, images: int) -> int:
    """Images that each classifier of a fold learnt from, which others learnt from too; 0 without folds."""
    return images * (folds - 1) // folds if folds else 0


def choose(
    cheap: TrainedClassifier, costly: TrainedClassifier, units_N: NDArray[np.int64], learnt_from: int = 0
) -> tuple[TrainedClassifier, Notice]:
    """The costlier one only if it lowers the log loss, in pairs, by more than one standard error; and the reason.

    Args:
        cheap: usually the probe, or whatever was the best so far.
        costly: judged on the same validation images.
        units_N: of these images; see ``Split.units``.
        learnt_from: see ``paired_gain``.
    """
    gain = paired_gain(-cheap.losses(), -costly.losses(), units_N, learnt_from)
    strategy, error = costly.strategy, gain.standard_error
    if gain.worth_it:
        return costly, Notice("gain_shown", {"strategy": strategy, "n": gain.n, "gain": gain.mean, "error": error})
    return cheap, Notice(
        "gain_not_shown",
        {"strategy": strategy, "n": gain.n, "gain": gain.mean, "error": error, "kept": cheap.strategy},
    )


def _averaged(chosen: TrainedClassifier, folds: int) -> tuple[Notice, ...]:
    """What a reader must know of a mean."""
    if not folds:
        return ()
    if chosen.members:
        return (Notice("networks_averaged", {"folds": folds, "n": len(chosen.val)}),)
    return (Notice("folds_averaged", {"folds": folds, "n": len(chosen.val)}),)


def _decide(kept_first: tuple[TrainedClassifier, ...], *reasons: Notice) -> Decision:
    """The first candidate is the one that was kept."""
    return Decision(
        strategy=kept_first[0].strategy,
        reasons=reasons,
        val_scores={
            candidate.strategy: candidate.scores() for candidate in sorted(kept_first, key=attrgetter("strategy"))
        },
    )
