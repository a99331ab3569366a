"""Strategies as phases: which stages train when, at what learning rate, with which BatchNorm.

A strategy is a frozen record of phases. What separates the classical ways of transfer learning is nothing but these
records: feature extraction has no phase at all (its head is fitted, not trained), from scratch has one in which
everything learns. No torch here.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from svertka.config import FineTune, StrategyName, strategy_name
from svertka.config.fine_tuning import BatchNormMode
from svertka.errors import ConfigError, did_you_mean
from svertka.schema import PhaseRow

LADDER = (1e-5, 1e-2)
"""Lowest rate (first stage) and highest (head) of the preset ``rates = "ladder"``."""

GENTLEST = 0.375
"""Share of the stages' rates at which fine-tuning learns in the fewest epochs; in between, the share of the epochs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """A stretch of training in which the same parameters learn.

    Attributes:
        name: a code: ``"head"``, ``"fine-tune"`` (all stages) or ``"partial"``.
        epochs: at most; the rate goes up and down once within them.
        stage_rates: peak learning rate of each stage, input to output; 0: frozen, parameters and buffers.
        head_rate: peak learning rate of the head.
        batch_norm: of the stages that train.
        augmented: whether images are changed at random. Without, what is frozen runs once and is remembered.
    """

    name: Literal["head", "partial", "fine-tune"]
    epochs: int
    stage_rates: tuple[float, ...]
    head_rate: float
    batch_norm: BatchNormMode
    augmented: bool = True

    @property
    def frozen(self) -> frozenset[int]:
        """Numbers of the stages that don't train."""
        return frozenset(number for number, rate in enumerate(self.stage_rates) if rate == 0)

    @property
    def cached(self) -> bool:
        """Whether only the head learns, from features that are computed once."""
        return len(self.frozen) == len(self.stage_rates) and not self.augmented


@dataclass(frozen=True, kw_only=True, slots=True)
class Strategy:
    """Phases in order; each starts from the best weights so far.

    Attributes:
        name: as the command line takes it.
        head: starts from the ``"probe"`` or ``"fresh"``, from zeros.
        phases: of training.
        settings: what all phases share.
    """

    name: StrategyName
    head: Literal["probe", "fresh"]
    phases: tuple[Phase, ...]
    settings: FineTune

    @property
    def epochs(self) -> int:
        """Of all phases."""
        return sum(phase.epochs for phase in self.phases)

    def within(self, epochs: Sequence[int], epoch_images: int = 0, share: float = 1.0) -> "Strategy":
        """The same strategy in so many epochs a phase, as a budget allows.

        Fine-tuning from the probe in fewer epochs learns at lower rates: high ones first unlearn what the probe knew,
        and don't come back in time (benchmarks/LOG.md).

        Args:
            epochs: of each phase.
            epoch_images: images of each; 0: all.
            share: that those are of all images.
        """
        phases = [replace(phase, epochs=n) for phase, n in zip(self.phases, epochs, strict=True)]
        if self.head == "probe" and self.settings.rates == "decay":
            factor = max(GENTLEST, min(1.0, share * sum(epochs) / self.epochs))
            phases = [replace(phase, stage_rates=tuple(factor * r for r in phase.stage_rates)) for phase in phases]
        return replace(self, phases=tuple(phases), settings=replace(self.settings, epoch_images=epoch_images))

    def late_stages(self) -> "Strategy":
        """The same strategy with the earlier half of the stages frozen: steps are cheaper, backward above all."""
        frozen = len(self.phases[0].stage_rates) // 2
        return replace(
            self,
            phases=tuple(
                replace(phase, name="partial", stage_rates=(0.0,) * frozen + phase.stage_rates[frozen:])
                for phase in self.phases
            ),
        )

    def scaled(self, factor: float) -> "Strategy":
        """The same strategy with about ``factor`` times the epochs that cost time: at least one a phase.

        Phases on remembered features cost next to nothing and keep theirs.
        """
        return replace(
            self,
            phases=tuple(
                phase if phase.cached else replace(phase, epochs=max(1, math.floor(phase.epochs * factor)))
                for phase in self.phases
            ),
        )


def make_strategy(name: StrategyName, settings: FineTune, stages: int) -> Strategy:
    """The strategy of this name for a network of so many stages.

    Raises:
        ConfigError: the name is no strategy that trains, or the listed rates don't fit the network.
    """
    name = cast("StrategyName", strategy_name(name))
    if name not in _MAKERS:
        raise ConfigError(
            f"strategy {name!r} trains no weights; expected {', '.join(_MAKERS)}.{did_you_mean(name, _MAKERS)}"
        )
    return _MAKERS[name](settings, stages)


def stage_rates(settings: FineTune, stages: int, head_rate: float) -> tuple[tuple[float, ...], float]:
    """Peak rates of the stages, input to output, and of the head, as ``settings.rates`` says.

    Raises:
        ConfigError: the listed rates are not one for each stage and one for the head.
    """
    match settings.rates:
        case "ladder":
            low, high = LADDER
            steps = [low * (high / low) ** (number / stages) for number in range(stages + 1)]
            return tuple(steps[:-1]), steps[-1]
        case "listed":
            if len(settings.listed_rates) != stages + 1:
                raise ConfigError(
                    f"listed_rates are {len(settings.listed_rates)} numbers; expected {stages + 1}: one for each of "
                    f"the network's {stages} stages, input to output, and one for the head."
                )
            return settings.listed_rates[:-1], settings.listed_rates[-1]
        case _:
            decay = settings.stage_decay
            return tuple(settings.stage_rate * decay ** (stages - 1 - number) for number in range(stages)), head_rate


def _lp_ft(settings: FineTune, stages: int) -> Strategy:
    """Linear probe, then everything (Kumar et al. 2022, arXiv 2202.10054)."""
    rates, head = stage_rates(settings, stages, settings.head_rate)
    return Strategy(name="lp-ft", head="probe", phases=(_whole(settings, rates, head),), settings=settings)


def _full(settings: FineTune, stages: int) -> Strategy:
    """A fresh head and everything at once."""
    rates, head = stage_rates(settings, stages, settings.fresh_head_rate)
    return Strategy(name="full", head="fresh", phases=(_whole(settings, rates, head),), settings=settings)


def _scratch(settings: FineTune, stages: int) -> Strategy:
    """Everything from random weights."""
    return replace(_full(settings, stages), name="scratch")


def _gradual_unfreezing(settings: FineTune, stages: int) -> Strategy:
    """The head, then one stage more a phase, each phase at lower rates (Howard and Ruder 2018, arXiv 1801.06146)."""
    rates, head = stage_rates(settings, stages, settings.fresh_head_rate)
    phases = [_head(settings, stages)]
    for number, first in enumerate(reversed(range(stages))):
        factor = settings.stage_decay**number
        phases.append(
            Phase(
                name="partial" if first else "fine-tune",
                epochs=max(1, settings.max_epochs // stages),
                stage_rates=tuple(rate * factor if stage >= first else 0.0 for stage, rate in enumerate(rates)),
                head_rate=head * factor,
                batch_norm=settings.batch_norm,
            )
        )
    return Strategy(name="gradual-unfreezing", head="fresh", phases=tuple(phases), settings=settings)


def _two_stage(settings: FineTune, stages: int) -> Strategy:
    """The head alone, then everything at a tenth of its rate."""
    rate = settings.fresh_head_rate / 10
    rates, head = ((rate,) * stages, rate) if settings.rates == "decay" else stage_rates(settings, stages, rate)
    second = replace(_whole(settings, rates, head), epochs=settings.second_epochs)
    return Strategy(name="two-stage", head="fresh", phases=(_head(settings, stages), second), settings=settings)


def _head(settings: FineTune, stages: int) -> Phase:
    return Phase(
        name="head",
        epochs=settings.head_epochs,
        stage_rates=(0.0,) * stages,
        head_rate=settings.fresh_head_rate,
        batch_norm=settings.batch_norm,
        augmented=False,
    )


def _whole(settings: FineTune, rates: tuple[float, ...], head_rate: float) -> Phase:
    return Phase(
        name="fine-tune" if all(rates) else "partial",
        epochs=settings.max_epochs,
        stage_rates=rates,
        head_rate=head_rate,
        batch_norm=settings.batch_norm,
    )


_MAKERS: dict[str, Callable[[FineTune, int], Strategy]] = {
    "lp-ft": _lp_ft,
    "full": _full,
    "gradual-unfreezing": _gradual_unfreezing,
    "two-stage": _two_stage,
    "scratch": _scratch,
}


def describe(strategy: Strategy, stages: Sequence[tuple[str, int]], head_parameters: int) -> tuple[PhaseRow, ...]:
    """The table of what trains when: one row a phase and part of the network.

    Args:
        strategy: what to describe.
        stages: name and number of parameters of each stage, input to output.
        head_parameters: of the head.
    """
    rows = []
    for number, phase in enumerate(strategy.phases, 1):
        parts = [*zip(stages, phase.stage_rates, strict=True), (("head", head_parameters), phase.head_rate)]
        for (part, parameters), rate in parts:
            norm = "none" if part == "head" else "frozen" if rate == 0 else phase.batch_norm
            rows.append(
                PhaseRow(
                    phase=number,
                    name=phase.name,
                    epochs=phase.epochs,
                    part=part,
                    parameters=parameters,
                    learning_rate=rate,
                    batch_norm=norm,
                    computed="once" if phase.cached and part != "head" else "each step",
                )
            )
    return tuple(rows)
