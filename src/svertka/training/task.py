"""A training task: the backbone, the strategy, and the images."""

import math
from dataclasses import dataclass

from svertka.backbones.load import Backbone
from svertka.data.loader import ImageSource
from svertka.features.feature_table import FeatureTable
from svertka.training.budget import Allowance
from svertka.training.strategies import Strategy


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What is trained on what: images by source, all in memory-light form.

    Attributes:
        backbone: that the classifier was made of.
        strategy: what trains when.
        train: images that are learnt from.
        val: images that choose the epoch.
        seed: of order and augmentation.
        features: of the untouched backbone for both, where they are known; a phase of the head alone uses them.
        allowance: of time; None: as long as it takes.
    """

    backbone: Backbone
    strategy: Strategy
    train: ImageSource
    val: ImageSource
    seed: int
    features: tuple[FeatureTable, FeatureTable] | None = None
    allowance: Allowance | None = None

    @property
    def epoch_images(self) -> int:
        """Images of an epoch."""
        return min(self.strategy.settings.epoch_images or len(self.train), len(self.train))

    @property
    def parts(self) -> int:
        """Epochs in which all images come once."""
        return math.ceil(len(self.train) / self.epoch_images)

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return math.ceil(self.epoch_images / self.strategy.settings.batch_size)
