"""Everything that a person may set: a run's configuration and, inside it, how a network is fine-tuned.

The command line sets the common fields; a TOML file (``--config``) or Python sets any of them.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from svertka.errors import ConfigError, did_you_mean

StrategyName = Literal["auto", "probe", "finetune"]
STRATEGY_NAMES: tuple[StrategyName, ...] = get_args(StrategyName)
Resize = Literal["squash", "crop", "pad"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Augment:
    """Random changes of a training image; each keeps the class of most photographs and micrographs.

    Attributes:
        mirror: left to right with probability 1/2.
        upside_down: top to bottom with probability 1/2.
        min_area: a crop keeps at least this share of the area and is scaled back (1.0: no crop).
        brightness: factor drawn from 1 ± this.
        contrast: likewise.
    """

    mirror: bool = False
    upside_down: bool = False
    min_area: float = 0.85
    brightness: float = 0.15
    contrast: float = 0.15

    def __post_init__(self) -> None:
        if not 0 < self.min_area <= 1:
            raise ConfigError(f"min_area is {self.min_area}; expected above 0, at most 1.")
        for name in ("brightness", "contrast"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 0 or more, below 1.")


@dataclass(frozen=True, kw_only=True, slots=True)
class FineTune:
    """Linear probe, then fine-tuning (LP-FT, Kumar et al. 2022, arXiv 2202.10054).

    All stages are thawed and rates grow toward the last; the head, which starts from the probe, learns most gently.

    Attributes:
        max_epochs: upper bound; the time budget may allow fewer.
        min_epochs: with a budget for fewer (and fewer than ``max_epochs``), fine-tuning is not begun.
        batch_size: images a step.
        head_rate: peak learning rate of the head.
        stage_rate: peak learning rate of the last stage.
        stage_decay: each stage further from the head learns at this factor of the next one's rate.
        weight_decay: of AdamW, on weights of convolutions and linear layers (not on biases and BatchNorm).
        warmup: share of all steps in which the rate rises linearly; then it falls as a half cosine to zero.
        label_smoothing: share of the target spread over all classes.
        average_decay: of the exponential moving average of the weights, which is what is judged and kept.
        batch_norm: ``"frozen"`` keeps the stored statistics; ``"batch"`` normalises by the batch and updates them.
        patience: epochs without a better validation loss before stopping, counted from half time at the earliest.
        measure_flips: try on validation which of the two flips leave the probe's judgement as good as it was, and use
            those, whatever ``augment`` says of them: a flipped cell is a cell, a flipped 3 is no digit.
        average_views: the finished network judges an image and its flips and takes the mean; costs as many passes.
        augment: random changes of the training images.
    """

    max_epochs: int = 24
    min_epochs: int = 4
    batch_size: int = 32
    head_rate: float = 1e-4
    stage_rate: float = 8e-4
    stage_decay: float = 0.8
    weight_decay: float = 0.02
    warmup: float = 0.1
    label_smoothing: float = 0.1
    average_decay: float = 0.98
    batch_norm: Literal["frozen", "batch"] = "frozen"
    patience: int = 6
    measure_flips: bool = True
    average_views: bool = True
    augment: Augment = Augment()

    def __post_init__(self) -> None:
        for name in ("min_epochs", "max_epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 1 or more.")
        for name in ("head_rate", "stage_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected a finite rate above 0.")
        if not 0 < self.stage_decay <= 1:
            raise ConfigError(f"stage_decay is {self.stage_decay}; expected above 0, at most 1.")
        for name in ("weight_decay", "warmup", "label_smoothing", "average_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 0 or more, below 1.")
        if self.batch_norm not in ("frozen", "batch"):
            raise ConfigError(f"batch_norm is {self.batch_norm!r}; expected frozen or batch.")

    def stage_rates(self, stages: int) -> tuple[float, ...]:
        """Peak learning rate of each stage, input to output."""
        return tuple(self.stage_rate * self.stage_decay ** (stages - 1 - number) for number in range(stages))

    def with_epochs(self, epochs: int) -> "FineTune":
        """The same strategy with another number of epochs."""
        return replace(self, max_epochs=epochs)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """Everything that decides a run; stored verbatim in ``config.toml`` of the run folder.

    Attributes:
        data: a folder of images or a CSV/TSV table.
        out: the run folder; empty means ``runs/<name of data>-<n>``.
        backbone: by name, see ``backbones``.
        weights: ``"default"``, ``"none"``, a torchvision weights name, or a file.
        strategy: ``"auto"`` does the probe, fine-tunes if time allows, keeps the better on validation.
        folds: the probe becomes the mean of so many, each fitted without one fold of the training and validation
            images and judged on it; 0 means one probe. With strategy ``"probe"`` only.
        minutes: budget for learning.
        seed: of split, order and augmentation.
        size_px: side of the network's input; 0 means the backbone's own.
        resize: see ``Preprocess``.
        test_fraction: of the images, when svertka makes the split.
        val_fraction: of the images, when svertka makes the split.
        images: folder of the images of a table; empty means beside the table.
        path_column: of a table; empty means found by name. The same for the three below.
        label_column: the class.
        group_column: images with equal value stay on one side.
        split_column: train, val or test.
        group_regex: over the file name; the first group that it captures (or the whole match) is the group.
        drop_leaks: take leaked images out of training.
        max_megapixels: larger images are rejected by their header.
        near_duplicate_bits: perceptual hashes that differ in at most so many bits are near duplicates.
        threads: for compute; 0 means one a physical core.
        language: of the report.
        finetune: how the network is fine-tuned; a table ``[finetune]`` in TOML.
    """

    data: str
    out: str = ""
    backbone: str = "efficientnet_lite0"
    weights: str = "default"
    strategy: StrategyName = "auto"
    folds: int = 0
    minutes: float = 10.0
    seed: int = 0
    size_px: int = 0
    resize: Resize = "squash"
    test_fraction: float = 0.2
    val_fraction: float = 0.15
    images: str = ""
    path_column: str = ""
    label_column: str = ""
    group_column: str = ""
    split_column: str = ""
    group_regex: str = ""
    drop_leaks: bool = False
    max_megapixels: float = 100.0
    near_duplicate_bits: int = 3
    threads: int = 0
    language: Literal["en", "ru"] = "en"
    finetune: FineTune = FineTune()

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGY_NAMES:
            hint = did_you_mean(self.strategy, STRATEGY_NAMES)
            raise ConfigError(f"strategy is {self.strategy!r}; expected one of {', '.join(STRATEGY_NAMES)}.{hint}")
        if self.folds < 0 or self.folds == 1 or self.folds > 20:
            raise ConfigError(f"folds is {self.folds}; expected 2 to 20, or 0 for none.")
        if self.folds and self.strategy != "probe":
            raise ConfigError(
                f"folds is {self.folds} with strategy {self.strategy!r}; folds average probes only, because as many "
                "fine-tuned networks would take that many times as long to train and to predict. Add --strategy probe."
            )
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed is {self.seed}; expected 0 to {2**32 - 1}.")
        if not 0 < self.minutes < math.inf:
            raise ConfigError(f"minutes is {self.minutes}; expected a finite budget above 0.")
        for name in ("test_fraction", "val_fraction"):
            if not 0.02 <= getattr(self, name) <= 0.6:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 0.02 to 0.6 of the images.")
        if not 0 < self.max_megapixels < math.inf:
            raise ConfigError(f"max_megapixels is {self.max_megapixels}; expected a finite number above 0.")
        if not 0 <= self.near_duplicate_bits <= 16:
            raise ConfigError(f"near_duplicate_bits is {self.near_duplicate_bits}; expected 0 to 16.")
        if self.threads < 0:
            raise ConfigError(f"threads is {self.threads}; expected 0 (one a core) or more.")
        if self.language not in ("en", "ru"):
            raise ConfigError(f"language is {self.language!r}; expected en or ru.")
        if self.resize not in ("squash", "crop", "pad"):
            raise ConfigError(f"resize is {self.resize!r}; expected squash, crop or pad.")
