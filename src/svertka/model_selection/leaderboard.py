"""The leaderboard: figures with confidence intervals, paired differences, and a verdict."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from svertka.evaluate.intervals import share
from svertka.evaluate.paired import paired_gain
from svertka.model_selection.contenders import Contender
from svertka.schema import Estimate, LeaderboardRow, Verdict, Versus


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One contender on one fold: how each image was judged, and at what cost.

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
        contenders: in the order in which they were named.
        folds: how many.
        trials: by contender and fold.
        errors: why contenders came to nothing.
    """

    contenders: tuple[Contender, ...]
    folds: int
    trials: dict[tuple[Contender, int], Trial] = field(default_factory=dict)
    errors: dict[Contender, str] = field(default_factory=dict)

    def folds_of(self, contender: Contender) -> list[int]:
        """Folds that it was judged on."""
        return [fold for fold in range(self.folds) if (contender, fold) in self.trials]

    def of(self, contender: Contender) -> list[Trial]:
        """Its trials, in the order of the folds."""
        return [self.trials[contender, fold] for fold in self.folds_of(contender)]

    def seconds(self, contender: Contender) -> float:
        """Mean wall time of a fold."""
        return float(np.mean([trial.seconds for trial in self.of(contender)]))

    def loss(self, contender: Contender) -> float:
        """Mean log loss over the folds so far; infinite where there are none."""
        trials = self.of(contender)
        return float(np.concatenate([trial.loss_N for trial in trials]).mean()) if trials else np.inf

    @property
    def complete(self) -> bool:
        """Whether every contender was judged on every fold."""
        return len(self.trials) == len(self.contenders) * self.folds


def leaderboard(results: Results) -> tuple[LeaderboardRow, ...]:
    """All contenders, best first; those with too few folds to lead follow, and last what was not run.

    Who leads is told by the difference from the cheapest one in pairs, because not all have the same folds.
    """
    run = [contender for contender in results.contenders if results.of(contender)]
    if not run:
        return tuple(_standing(results, contender, None, None) for contender in results.contenders)
    cheapest = min(run, key=results.seconds)
    reached = max((len(results.of(contender)) for contender in run if not contender.cheap), default=results.folds)

    def rank(contender: Contender) -> tuple[bool, float]:
        versus = _versus(results, contender, cheapest)
        return len(results.of(contender)) < reached, -versus.difference.value if versus else 0.0

    order = sorted(run, key=rank)
    rest = [contender for contender in results.contenders if contender not in run]
    return tuple(_standing(results, contender, cheapest, order[0]) for contender in (*order, *rest))


def verdict(difference: Estimate) -> Verdict:
    """What a difference shows: nothing, as long as its interval holds zero."""
    if difference.low > 0:
        return "better"
    return "worse" if difference.high < 0 else "no difference shown"


def _standing(
    results: Results, contender: Contender, cheapest: Contender | None, best: Contender | None
) -> LeaderboardRow:
    trials, error = results.of(contender), results.errors.get(contender, "")
    if not trials:
        return LeaderboardRow(
            name=contender.name, backbone=contender.backbone, strategy=contender.strategy, error=error
        )
    right_N = np.concatenate([trial.right_N for trial in trials])
    loss_N = np.concatenate([trial.loss_N for trial in trials])
    units_N = np.concatenate([trial.units_N for trial in trials])
    epochs = [trial.epochs for trial in trials]
    return LeaderboardRow(
        name=contender.name,
        backbone=contender.backbone,
        strategy=contender.strategy,
        folds=tuple(results.folds_of(contender)),
        accuracy=share(int(right_N.sum()), len(right_N)),
        log_loss=paired_gain(np.zeros(len(loss_N)), loss_N, units_N).estimate,
        seconds=results.seconds(contender),
        epochs=(min(epochs), max(epochs)),
        versus_cheapest=_versus(results, contender, cheapest),
        versus_best=_versus(results, contender, best),
        error=error,
    )


def _versus(results: Results, contender: Contender, other: Contender | None) -> Versus | None:
    """The difference in accuracy, in pairs, on the folds that both were judged on."""
    if other is None or other == contender:
        return None
    shared = sorted({*results.folds_of(contender)} & {*results.folds_of(other)})
    if not shared:
        return None
    ours = [results.trials[contender, fold] for fold in shared]
    theirs = [results.trials[other, fold] for fold in shared]
    gain = paired_gain(
        np.concatenate([trial.right_N for trial in theirs]).astype(np.float64),
        np.concatenate([trial.right_N for trial in ours]).astype(np.float64),
        np.concatenate([trial.units_N for trial in ours]),
        learnt_from=min(trial.learnt_from for trial in ours),
    )
    return Versus(other=other.name, difference=gain.estimate, verdict=verdict(gain.estimate))
