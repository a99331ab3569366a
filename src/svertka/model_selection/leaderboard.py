"""How candidates stand: each figure with its interval, each difference in pairs and with a verdict."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from svertka.evaluate.intervals import share
from svertka.evaluate.paired import paired_gain
from svertka.model_selection.contenders import Candidate
from svertka.schema import Estimate, Standing, Verdict, Versus


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One candidate on one fold: how each image was judged, and at what cost.

    Attributes:
        units_N: of the images that judged; see ``Split.units``.
        right_N: whether they were named rightly.
        loss_N: minus the log of the true class's probability, in nats.
        learnt_from: number of training images.
        seconds: wall time.
        epochs: of training; 0 for a probe.
    """

    units_N: NDArray[np.int64]
    right_N: NDArray[np.bool_]
    loss_N: NDArray[np.float64]
    learnt_from: int
    seconds: float
    epochs: int


@dataclass(frozen=True, kw_only=True)
class Results:
    """All that has been found out so far; it grows while the race is on.

    Attributes:
        candidates: in the order in which they were named.
        folds: how many.
        trials: by candidate and fold.
        errors: why candidates came to nothing.
    """

    candidates: tuple[Candidate, ...]
    folds: int
    trials: dict[tuple[Candidate, int], Trial] = field(default_factory=dict)
    errors: dict[Candidate, str] = field(default_factory=dict)

    def folds_of(self, candidate: Candidate) -> list[int]:
        """Folds that it was judged on."""
        return [fold for fold in range(self.folds) if (candidate, fold) in self.trials]

    def of(self, candidate: Candidate) -> list[Trial]:
        """Its trials, in the order of the folds."""
        return [self.trials[candidate, fold] for fold in self.folds_of(candidate)]

    def seconds(self, candidate: Candidate) -> float:
        """Mean wall time of a fold."""
        return float(np.mean([trial.seconds for trial in self.of(candidate)]))

    def loss(self, candidate: Candidate) -> float:
        """Mean log loss over the folds so far; infinite where there are none."""
        trials = self.of(candidate)
        return float(np.concatenate([trial.loss_N for trial in trials]).mean()) if trials else np.inf

    @property
    def complete(self) -> bool:
        """Whether every candidate was judged on every fold."""
        return len(self.trials) == len(self.candidates) * self.folds


def standings(results: Results) -> tuple[Standing, ...]:
    """All candidates, best first; those with too few folds to lead follow, and last what was not run.

    Who leads is told by the difference from the cheapest one in pairs, because not all have the same folds.
    """
    run = [candidate for candidate in results.candidates if results.of(candidate)]
    if not run:
        return tuple(_standing(results, candidate, None, None) for candidate in results.candidates)
    cheapest = min(run, key=results.seconds)
    reached = max((len(results.of(candidate)) for candidate in run if not candidate.cheap), default=results.folds)

    def rank(candidate: Candidate) -> tuple[bool, float]:
        versus = _versus(results, candidate, cheapest)
        return len(results.of(candidate)) < reached, -versus.difference.value if versus else 0.0

    order = sorted(run, key=rank)
    rest = [candidate for candidate in results.candidates if candidate not in run]
    return tuple(_standing(results, candidate, cheapest, order[0]) for candidate in (*order, *rest))


def verdict(difference: Estimate) -> Verdict:
    """What a difference shows: nothing, as long as its interval holds zero."""
    if difference.low > 0:
        return "better"
    return "worse" if difference.high < 0 else "no difference shown"


def _standing(results: Results, candidate: Candidate, cheapest: Candidate | None, best: Candidate | None) -> Standing:
    trials, error = results.of(candidate), results.errors.get(candidate, "")
    if not trials:
        return Standing(name=candidate.name, backbone=candidate.backbone, strategy=candidate.strategy, error=error)
    right_N = np.concatenate([trial.right_N for trial in trials])
    loss_N = np.concatenate([trial.loss_N for trial in trials])
    units_N = np.concatenate([trial.units_N for trial in trials])
    epochs = [trial.epochs for trial in trials]
    return Standing(
        name=candidate.name,
        backbone=candidate.backbone,
        strategy=candidate.strategy,
        folds=tuple(results.folds_of(candidate)),
        accuracy=share(int(right_N.sum()), len(right_N)),
        log_loss=paired_gain(np.zeros(len(loss_N)), loss_N, units_N).estimate,
        seconds=results.seconds(candidate),
        epochs=(min(epochs), max(epochs)),
        versus_cheapest=_versus(results, candidate, cheapest),
        versus_best=_versus(results, candidate, best),
        error=error,
    )


def _versus(results: Results, candidate: Candidate, other: Candidate | None) -> Versus | None:
    """The difference in accuracy, in pairs, on the folds that both were judged on."""
    if other is None or other == candidate:
        return None
    shared = sorted({*results.folds_of(candidate)} & {*results.folds_of(other)})
    if not shared:
        return None
    ours = [results.trials[candidate, fold] for fold in shared]
    theirs = [results.trials[other, fold] for fold in shared]
    gain = paired_gain(
        np.concatenate([trial.right_N for trial in theirs]).astype(np.float64),
        np.concatenate([trial.right_N for trial in ours]).astype(np.float64),
        np.concatenate([trial.units_N for trial in ours]),
        learnt_from=min(trial.learnt_from for trial in ours),
    )
    return Versus(other=other.name, difference=gain.estimate, verdict=verdict(gain.estimate))
