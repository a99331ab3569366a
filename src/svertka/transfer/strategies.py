"""What a training strategy is: a frozen record of numbers. One loop (``loop.train``) runs them all."""

from dataclasses import dataclass
from typing import Literal

from svertka.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Augment:
    """Random changes of a training image; each keeps the class of most photographs and micrographs.

    Attributes:
        flip: mirror left to right with probability 1/2.
        flip_vertical: mirror top to bottom with probability 1/2.
        transpose: swap rows and columns with probability 1/2; with both flips, all eight symmetries of a square.
        min_area: a crop keeps at least this share of the area and is scaled back (1.0: no crop).
        brightness: factor drawn from 1 ± this.
        contrast: likewise.
    """

    flip: bool = True
    flip_vertical: bool = False
    transpose: bool = False
    min_area: float = 0.7
    brightness: float = 0.1
    contrast: float = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class FineTune:
    """Linear probe, then fine-tuning (LP-FT, Kumar et al. 2022, arXiv 2202.10054).

    The head starts from the probe, all stages are thawed, and rates grow toward the head.

    Attributes:
        max_epochs: upper bound; the time budget may allow fewer.
        min_epochs: with fewer, fine-tuning is not begun.
        batch_size: images a step.
        head_rate: peak learning rate of the head.
        stage_rate: peak learning rate of the last stage.
        stage_decay: each stage further from the head learns at this factor of the next one's rate.
        weight_decay: of AdamW, on weights of convolutions and linear layers (not on biases and BatchNorm).
        warmup: share of all steps in which the rate rises linearly; then it falls as a half cosine to zero.
        label_smoothing: share of the target spread over all classes.
        average_decay: of the exponential moving average of the weights, which is what is judged and kept.
        batch_norm: ``"frozen"`` keeps the stored statistics; ``"batch"`` normalises by the batch and updates them.
        precision: ``"float32"``, or ``"bfloat16"`` for convolutions where the processor has it.
        patience: epochs without a better validation loss before stopping.
        augment: random changes of the training images.
    """

    max_epochs: int = 12
    min_epochs: int = 2
    batch_size: int = 32
    head_rate: float = 1e-3
    stage_rate: float = 1e-3
    stage_decay: float = 0.7
    weight_decay: float = 0.01
    warmup: float = 0.1
    label_smoothing: float = 0.05
    average_decay: float = 0.99
    batch_norm: Literal["frozen", "batch"] = "frozen"
    precision: Literal["float32", "bfloat16"] = "float32"
    patience: int = 4
    augment: Augment = Augment()

    def __post_init__(self) -> None:
        if not 0 < self.min_epochs <= self.max_epochs:
            raise ConfigError(f"min_epochs is {self.min_epochs}; expected 1 to max_epochs ({self.max_epochs}).")
        if not 0 < self.stage_decay <= 1:
            raise ConfigError(f"stage_decay is {self.stage_decay}; expected above 0, at most 1.")

    def stage_rates(self, stages: int) -> tuple[float, ...]:
        """Peak learning rate of each stage, input to output."""
        return tuple(self.stage_rate * self.stage_decay ** (stages - 1 - number) for number in range(stages))

    def with_epochs(self, epochs: int) -> "FineTune":
        """The same strategy with another number of epochs."""
        from dataclasses import replace

        return replace(self, max_epochs=epochs, min_epochs=min(self.min_epochs, epochs))
