"""Contenders: the strategies, networks, or both that are compared."""

from dataclasses import dataclass

from svertka.config import STRATEGY_NAMES, StrategyName, strategy_name
from svertka.config.run_config import EARLIER_NAMES
from svertka.errors import ConfigError, did_you_mean


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """What is compared: one strategy on one network."""

    name: str
    backbone: str
    strategy: StrategyName

    @property
    def cheap(self) -> bool:
        """Learnt from the cached table alone."""
        return self.strategy == "probe"


def make_contenders(strategies: str, backbones: str, default_backbone: str) -> tuple[Contender, ...]:
    """Every named strategy on every named network.

    Args:
        strategies: names with commas between, or ``all``; empty means all, of several networks the probe.
        backbones: names with commas between; empty means the default.
        default_backbone: of the configuration.

    Raises:
        ConfigError: a strategy is unknown, or a name stands twice.
    """
    networks = _listed(backbones) or [default_backbone]
    every = [name for name in STRATEGY_NAMES if name not in ("auto", "scratch")]  # all from the same weights
    named = list(map(strategy_name, _listed(strategies))) or (["probe"] if len(networks) > 1 else every)
    named = every if named == ["all"] else named
    for name in named:
        if name not in every:
            raise ConfigError(
                f"strategy {name!r} is unknown; expected all, or some of {', '.join(every)}."
                f"{did_you_mean(name, [*every, *EARLIER_NAMES])}"
            )
    for names in (named, networks):
        if len(set(names)) < len(names):
            raise ConfigError(f"a name stands twice in {','.join(names)}; expected each once.")
    return tuple(
        Contender(
            name=strategy if len(networks) == 1 else network if len(named) == 1 else f"{network} {strategy}",
            backbone=network,
            strategy=strategy,
        )
        for network in networks
        for strategy in every
        if strategy in named
    )


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]
