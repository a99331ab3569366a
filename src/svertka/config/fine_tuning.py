"""Training settings and presets, as frozen records.

``training.strategies`` turns these numbers into phases; ``RECIPES`` are named sets of configuration fields.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args, get_origin

from svertka.errors import ConfigError, check_known, did_you_mean

BatchNormMode = Literal["frozen", "batch"]
Rates = Literal["decay", "ladder", "listed"]

SMALLEST_PX = 28
"""Side of the smallest input: five halvings leave one number of it."""


def make_plain(settings: Any) -> None:
    """Turns what Python callers pass into plain values: NumPy's numbers, whole floats for ints, 0 and 1 for booleans.

    Raises:
        ConfigError: a value is of another type than its field.
    """
    for field in fields(settings):
        kind, given = field.type, getattr(settings, field.name)
        if kind not in (bool, int, float, str):
            continue
        value = given.item() if hasattr(given, "item") else given
        convertible = isinstance(value, bool | int | float) and kind is not str and kind(value) == value
        if not (isinstance(value, kind) or convertible):
            raise ConfigError(f"{field.name} is {given!r:.80}; expected {kind.__name__}.")
        object.__setattr__(settings, field.name, kind(value))


@dataclass(frozen=True, kw_only=True, slots=True)
class Augment:
    """Random changes of training images, drawn from (seed, epoch, step) or (seed, epoch, image).

    In TOML a name of ``AUGMENTS`` may stand in place of the table: ``augment = "strong"``.
    """

    mirror: bool = False
    """Flip left to right with probability 1/2."""

    upside_down: bool = False
    """Flip top to bottom with probability 1/2."""

    alternate: bool = False
    """Draw a flip in the first epoch only, then alternate, so that in two epochs an image is seen both ways (Jordan
    2024, arXiv 2404.00498, section 3.6)."""

    min_area: float = 0.85
    """Random crops keep at least this share of the area and are scaled back. 1.0: no crop."""

    shift: float = 0.0
    """Largest shift, as a share of the side. What comes in is reflected."""

    rotate_deg: float = 0.0
    """Largest rotation either way, in degrees."""

    brightness: float = 0.15
    """Brightness factor drawn from 1 ± this."""

    contrast: float = 0.15
    """Contrast factor drawn from 1 ± this."""

    trivial: bool = False
    """One operation of torchvision's ``TrivialAugmentWide`` for each image (arXiv 2103.10158)."""

    erase: float = 0.0
    """Probability that a rectangle is erased (torchvision's ``RandomErasing``, arXiv 1708.04896)."""

    mix: float = 0.0
    """Probability that a batch is mixed, by MixUp (arXiv 1710.09412) or CutMix (arXiv 1905.04899) in equal parts."""

    def __post_init__(self) -> None:
        make_plain(self)
        if not 0 < self.min_area <= 1:
            raise ConfigError(f"min_area is {self.min_area}; expected above 0, at most 1.")
        for name in ("brightness", "contrast", "shift"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 0 or more, below 1.")
        for name in ("erase", "mix"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected a probability of 0 to 1.")
        if not 0 <= self.rotate_deg <= 180:
            raise ConfigError(f"rotate_deg is {self.rotate_deg}; expected 0 to 180 degrees.")

    @classmethod
    def named(cls, name: str) -> "Augment":
        """A preset.

        Raises:
            ConfigError: there is none of this name.
        """
        if name not in AUGMENTS:
            hint = did_you_mean(name, AUGMENTS)
            raise ConfigError(f"augment is {name!r}; expected a table, or one of {', '.join(AUGMENTS)}.{hint}")
        return AUGMENTS[name]


# "flips" is for images that are all framed alike (cells, plates, faces), where moving the frame can do harm
# (benchmarks/LOG.md). Which flips are used is measured, see ``FineTune.measure_flips``.
AUGMENTS: Mapping[str, Augment] = {
    "none": Augment(min_area=1.0, brightness=0.0, contrast=0.0),
    "flips": Augment(alternate=True, min_area=1.0, brightness=0.0, contrast=0.0),
    "light": Augment(),
    "strong": Augment(min_area=0.5, shift=0.05, rotate_deg=10.0, trivial=True, erase=0.25, mix=0.5),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class FineTune:
    """How pretrained weights are trained further.

    The defaults are tuned for linear probe, then fine-tuning (LP-FT, Kumar et al. 2022, arXiv 2202.10054): all stages
    are thawed and rates grow toward the last; the head, which starts from the probe, learns most gently.
    """

    max_epochs: int = 24
    """Most epochs over all phases that train stages. The time budget may allow fewer."""

    min_epochs: int = 4
    """Where the time budget allows fewer epochs than this (and than ``max_epochs``), an epoch covers only a part of the
    images, so that validation still has so many epochs to choose from."""

    head_epochs: int = 10
    """Epochs of the phase in which a fresh head learns alone (gradual-unfreezing, two-stage)."""

    second_epochs: int = 10
    """Epochs of the second stage of two-stage training."""

    epoch_images: int = 0
    """Images in an epoch, taken in turn so that none comes twice before all came once. 0: all."""

    batch_size: int = 32
    """Images in an optimizer step."""

    micro_batch: int = 0
    """Images that go through the network at once; their gradients add up to the step's. 0: the whole batch. Halved
    automatically where memory runs out. BatchNorm's statistics are those of the micro-batch."""

    head_scale: float = 0.2
    """A head that starts from the probe starts with its logits times this. At full strength the probe is so sure of the
    images it was fitted to that they have nothing left to teach."""

    head_rate: float = 1e-4
    """Peak learning rate of a head that starts from the probe."""

    fresh_head_rate: float = 1e-3
    """Peak learning rate of a head that starts from zero. The second stage of two-stage training uses a tenth of it
    everywhere."""

    stage_rate: float = 8e-4
    """Peak learning rate of the last stage. Lower where the time budget cuts fine-tuning short."""

    stage_decay: float = 0.8
    """Discriminative learning rates: each stage further from the head learns at this factor of the next one's rate."""

    rates: Rates = "decay"
    """``"decay"``: ``stage_rate`` and ``stage_decay``. ``"ladder"``: from 1e-5 at the first stage to 1e-2 at the head,
    by equal factors. ``"listed"``: ``listed_rates``."""

    listed_rates: tuple[float, ...] = ()
    """Peak learning rate of each stage, input to output, then of the head."""

    norm_bias_factor: float = 1.0
    """Biases of BatchNorm learn at this many times the rate of their stage."""

    weight_decay: float = 0.02
    """Weight decay of AdamW, on the weights of convolutions and linear layers (not on biases and BatchNorm)."""

    warmup: float = 0.1
    """Share of a phase's steps in which the learning rate rises linearly; then it falls to zero along half a cosine."""

    label_smoothing: float = 0.1
    """Share of the target that is spread over all classes."""

    balance: Literal["none", "weights", "sampling"] = "none"
    """Class imbalance: ``"weights"`` weights the loss so that every class counts alike, ``"sampling"`` draws the
    classes equally often."""

    average_decay: float = 0.98
    """Decay of the exponential moving average of the weights. The averaged weights are judged and kept."""

    clip_norm: float = 1.0
    """Largest L2 norm of a step's gradients; larger ones are scaled down (Pascanu et al. 2013, arXiv 1211.5063,
    algorithm 1). 0: no clipping."""

    batch_norm: BatchNormMode = "frozen"
    """BatchNorm of the stages that train: ``"frozen"`` keeps the stored statistics, ``"batch"`` normalises by the batch
    and updates them. Frozen stages always keep theirs."""

    precision: Literal["auto", "float32", "bf16"] = "auto"
    """Precision of the convolutions' gradients; all else is float32. ``"auto"`` is ``"bf16"`` where the processor has
    matrix units for it (ResNets and VGG then take half to two thirds of the time), else ``"float32"``."""

    epochs_by: Literal["log_loss", "fitted_log_loss"] = "log_loss"
    """What chooses the best epoch on validation: ``"log_loss"``, or ``"fitted_log_loss"``, the log loss at the best
    temperature. The plain loss misleads where label smoothing is strong."""

    patience: int = 6
    """Early stopping: a phase ends after so many epochs without a better one, at its half time at the earliest."""

    measure_flips: bool = True
    """Measure on validation which of the two flips leave the probe's judgement as good as it was, and use those,
    whatever ``augment`` says of them: a flipped cell is a cell, a flipped 3 is no digit."""

    average_views: bool = True
    """Test-time augmentation: the network judges an image and its flips and takes the mean. Costs one pass a view."""

    average_shifts: bool = False
    """Test-time augmentation also by shifts of one pixel both ways, which together count half."""

    augment: Augment = Augment()
    """Random changes of the training images."""

    def __post_init__(self) -> None:
        make_plain(self)
        for name in ("min_epochs", "max_epochs", "head_epochs", "second_epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 1 or more.")
        if self.epoch_images < 0:
            raise ConfigError(f"epoch_images is {self.epoch_images}; expected 1 or more, or 0 for all images.")
        if not 0 <= self.micro_batch <= self.batch_size:
            raise ConfigError(f"micro_batch is {self.micro_batch}; expected 0 to batch_size ({self.batch_size}).")
        for name in ("head_rate", "fresh_head_rate", "stage_rate", "norm_bias_factor"):
            if not 0 < getattr(self, name) < math.inf:
                what = "factor" if name == "norm_bias_factor" else "rate"
                raise ConfigError(f"{name} is {getattr(self, name)}; expected a finite {what} above 0.")
        if not all(0 <= rate < math.inf for rate in self.listed_rates):
            raise ConfigError(f"listed_rates are {list(self.listed_rates)}; expected finite rates of 0 or more.")
        if bool(self.listed_rates) != (self.rates == "listed"):
            raise ConfigError(
                f"rates is {self.rates!r} with {len(self.listed_rates)} listed_rates; expected both "
                "rates = 'listed' and one listed rate for each stage and the head, or neither."
            )
        for name in ("stage_decay", "head_scale"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected above 0, at most 1.")
        for name in ("weight_decay", "warmup", "label_smoothing", "average_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 0 or more, below 1.")
        if not 0 <= self.clip_norm < math.inf:
            raise ConfigError(f"clip_norm is {self.clip_norm}; expected a finite norm above 0, or 0 for no clipping.")
        for field in fields(FineTune):
            allowed, name = get_args(field.type), field.name
            if get_origin(field.type) is Literal and getattr(self, name) not in allowed:
                wanted = f"{', '.join(allowed[:-1])} or {allowed[-1]}"
                hint = did_you_mean(str(getattr(self, name)), allowed)
                raise ConfigError(f"{name} is {getattr(self, name)!r}; expected {wanted}.{hint}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Scratch(FineTune):
    """How random weights are trained: longer, at higher rates, equal over the stages, with the batch's statistics."""

    largest_px: int = 224
    """The input has the size of the images, but no side longer than this."""

    max_epochs: int = 60
    fresh_head_rate: float = 2e-3
    stage_rate: float = 2e-3
    stage_decay: float = 1.0
    weight_decay: float = 0.05
    average_decay: float = 0.99
    batch_norm: BatchNormMode = "batch"
    epochs_by: Literal["log_loss", "fitted_log_loss"] = "fitted_log_loss"
    patience: int = 15
    augment: Augment = Augment(alternate=True, min_area=0.6, shift=0.05)

    def __post_init__(self) -> None:
        FineTune.__post_init__(self)
        if self.largest_px < SMALLEST_PX:
            raise ConfigError(f"largest_px is {self.largest_px}; expected {SMALLEST_PX} or more.")


_SMALL = Scratch(
    largest_px=64,
    max_epochs=20,
    batch_size=64,
    fresh_head_rate=1e-2,
    stage_rate=1e-2,
    norm_bias_factor=4.0,
    label_smoothing=0.2,
    average_shifts=True,
    augment=Augment(alternate=True, min_area=0.7, shift=0.1, rotate_deg=12.0, brightness=0.0, contrast=0.1),
)
_SMALL_ALIGNED = replace(
    _SMALL,
    fresh_head_rate=3e-3,
    stage_rate=3e-3,
    label_smoothing=0.1,
    average_decay=0.98,
    average_shifts=False,
    augment=AUGMENTS["flips"],
)
_SMALL_CNN = {"backbone": "small_cnn", "weights": "none", "strategy": "scratch"}

RECIPES: Mapping[str, Mapping[str, Any]] = {
    "small": {**_SMALL_CNN, "scratch": _SMALL},
    "small-aligned": {**_SMALL_CNN, "scratch": _SMALL_ALIGNED},
}
"""``--recipe NAME``: fields of ``RunConfig``, which a file and the command line may still change.

``small``, for images of 28 to 64 px (larger ones are shrunk): what carries over from the speed records of CIFAR-10
(Jordan 2024, arXiv 2404.00498) to a processor and few images; the network is ``architectures.small``. ``small-aligned``
is for those that are all framed alike (cells, plates, faces): no shifts, turns or crops, and a gentler rate.
"""


def recipe(name: str) -> dict[str, Any]:
    """Fields that a recipe sets; none for the empty name.

    Raises:
        ConfigError: there is no such recipe.
    """
    if not name:
        return {}
    check_known("recipe", name, RECIPES)
    return dict(RECIPES[name])
