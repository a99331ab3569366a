"""Model selection: what the configured strategy trains, and which classifier the validation images choose."""

from dataclasses import dataclass
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from svertka.config import StrategyName
from svertka.errors import BundleError, TrainingError
from svertka.evaluate.paired import paired_gain
from svertka.schema import Decision, EventSink, Notice, StepStarted
from svertka.training import ensemble, finetune
from svertka.training.ensemble import Ensemble
from svertka.training.job import TrainingJob
from svertka.training.probe import ProbeClassifier, train_probe
from svertka.training.trained_classifier import TrainedClassifier

_ENDINGS = ("stopped_early", "pace_slower", "pace_quicker")
"""Notices of how training ended: they say what became of the time, so they stand beside what the plan said."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The classifier that was kept, the probe beside it, and the reason."""

    chosen: TrainedClassifier
    probe: ProbeClassifier
    decision: Decision
    notices: tuple[Notice, ...] = ()


def learn(job: TrainingJob, on_event: EventSink) -> Selection:
    """Fits the probe and does what the configured strategy says.

    ``auto`` fine-tunes from the probe if the budget allows and keeps the better of the two on validation; with random
    weights it trains from scratch.
    """
    config = job.experiment.config
    on_event(StepStarted("probe"))
    probe = train_probe(job)
    random = (Notice("random_features", level="warning"),) if config.weights == "none" else ()
    if config.strategy == "probe":
        decision = _decide((probe,), Notice("probe_asked"), *_averaged(probe, config.folds))
        return Selection(chosen=probe, probe=probe, decision=decision, notices=random)
    if config.from_scratch:
        return _asked(job, probe, "scratch", Notice("from_scratch"), on_event)
    if config.strategy == "auto":
        return _probe_or_finetune(job, probe, on_event)
    return _asked(job, probe, config.strategy, Notice("strategy_asked"), on_event, random)


def _asked(
    job: TrainingJob,
    probe: ProbeClassifier,
    name: StrategyName,
    reason: Notice,
    on_event: EventSink,
    notices: tuple[Notice, ...] = (),
) -> Selection:
    """What a strategy trains that somebody named: for a few steps at least, whatever the budget."""
    trained, why = run_strategy(job, probe, name, on_event, insist=True)
    assert trained is not None  # it insists
    decision = _decide((trained, probe), reason, *why, *_averaged(trained, job.experiment.config.folds))
    return Selection(chosen=trained, probe=probe, decision=decision, notices=(*notices, *trained.notices))


def _probe_or_finetune(job: TrainingJob, probe: ProbeClassifier, on_event: EventSink) -> Selection:
    """The probe against LP-FT, which must earn its cost on the validation images."""
    folds, units_N = job.experiment.config.folds, np.array(job.experiment.split.units)[list(job.judging)]
    try:
        trained, why = run_strategy(job, probe, "lp-ft", on_event, insist=False)
    except (TrainingError, BundleError) as error:
        trained, why = None, (Notice("fine_tuning_failed", {"error": str(error)}, level="warning"),)
    if trained is None:
        decision = _decide((probe,), *why, *_averaged(probe, folds))
        return Selection(chosen=probe, probe=probe, decision=decision, notices=why)
    best, shown = choose(probe, trained, units_N, _learnt_from(folds, len(units_N)))
    decision = _decide((best, probe, trained), shown, *why, *_averaged(best, folds))
    return Selection(chosen=best, probe=probe, decision=decision, notices=trained.notices)


def run_strategy(
    job: TrainingJob, probe: ProbeClassifier, name: StrategyName, on_event: EventSink, *, insist: bool
) -> tuple[TrainedClassifier | None, tuple[Notice, ...]]:
    """Trains by one strategy, with folds a network a fold.

    Args:
        job: its folder holds plan and training state; one strategy a folder.
        probe: that training starts from.
        name: of a strategy that trains weights.
        on_event: hears what happens.
        insist: train for a few steps even where there is no time for them.

    Returns:
        The classifier, None where the budget is too small; what the budget allowed, and how training ended.

    Raises:
        TrainingError: training diverged before one epoch was good.
    """
    if job.experiment.config.folds:
        trained, why = ensemble.train(job, name, on_event, insist=insist)
    else:
        planned = finetune.plan(job, probe, name, insist=insist)
        why = planned.why
        trained = finetune.train(job, probe, planned, on_event) if planned.strategy else None
    ended = tuple(notice for notice in trained.notices if notice.code in _ENDINGS) if trained else ()
    held = why.code == "epochs_all" and any(notice.code == "pace_slower" for notice in ended)
    return trained, ended if held else (why, *ended)


def choose(
    cheap: TrainedClassifier, costly: TrainedClassifier, units_N: NDArray[np.int64], learnt_from: int = 0
) -> tuple[TrainedClassifier, Notice]:
    """The costlier one only if it lowers the log loss, in pairs, by more than one standard error; and the reason.

    Args:
        cheap: usually the probe.
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


def _learnt_from(folds: int, images: int) -> int:
    """Images that each classifier of a fold learnt from, which others learnt from too; 0 without folds."""
    return images * (folds - 1) // folds if folds else 0


def _averaged(chosen: TrainedClassifier, folds: int) -> tuple[Notice, ...]:
    """What a reader must know of a mean."""
    if not folds:
        return ()
    if isinstance(chosen, Ensemble):
        return (Notice("networks_averaged", {"folds": folds, "n": len(chosen.val)}),)
    return (Notice("folds_averaged", {"folds": folds, "n": len(chosen.val)}),)


def _decide(kept_first: tuple[TrainedClassifier, ...], *reasons: Notice) -> Decision:
    """The first classifier is the one that was kept."""
    return Decision(
        strategy=kept_first[0].strategy,
        reasons=reasons,
        val_scores={one.strategy: one.scores() for one in sorted(kept_first, key=attrgetter("strategy"))},
    )
