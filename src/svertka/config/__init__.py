"""Everything that a person may set: a run's configuration and, inside it, how a network's weights are trained."""

from svertka.config.fine_tuning import Augment, FineTune, Scratch
from svertka.config.run_config import (
    MIN_IMAGES_PER_CLASS,
    STRATEGY_NAMES,
    Resize,
    RunConfig,
    StrategyName,
    check_crop,
    strategy_name,
)

__all__ = [
    "MIN_IMAGES_PER_CLASS",
    "STRATEGY_NAMES",
    "Augment",
    "FineTune",
    "Resize",
    "RunConfig",
    "Scratch",
    "StrategyName",
    "check_crop",
    "strategy_name",
]
