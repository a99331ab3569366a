"""The configuration of a run: everything that a person may set.

The command line sets the common fields; a TOML file (``--config``) or Python sets any of them.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from svertka.config.fine_tuning import FineTune, Scratch, make_plain
from svertka.errors import ConfigError, check_known

StrategyName = Literal["auto", "probe", "lp-ft", "full", "gradual-unfreezing", "two-stage", "scratch"]
STRATEGY_NAMES: tuple[StrategyName, ...] = get_args(StrategyName)
EARLIER_NAMES = {"finetune": "lp-ft", "plain": "full", "gradual": "gradual-unfreezing"}
Resize = Literal["squash", "crop", "pad"]
Language = Literal["en", "ru"]
MIN_IMAGES_PER_CLASS = 5
"""Different images of a class that training, choosing and judging need."""


_LIMITS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("folds", lambda count: count == 0 or 2 <= count <= 20, "2 to 20, or 0 for none"),
    ("seed", lambda seed: 0 <= seed < 2**32, f"0 to {2**32 - 1}"),
    ("minutes", lambda minutes: 0 < minutes < math.inf, "a finite budget above 0"),
    ("test_fraction", lambda share: 0.02 <= share <= 0.6, "0.02 to 0.6 of the images"),
    ("val_fraction", lambda share: 0.02 <= share <= 0.6, "0.02 to 0.6 of the images"),
    ("max_megapixels", lambda size: 0 < size < math.inf, "a finite number above 0"),
    (
        "value_range",
        lambda ends: not ends or (len(ends) == 2 and -1e300 < ends[0] < ends[1] < 1e300),
        "two numbers, the first of them smaller: what is black and what is white",
    ),
    ("near_duplicate_bits", lambda bits: 0 <= bits <= 16, "0 to 16"),
    ("threads", lambda count: count >= 0, "0 (one a core) or more"),
    (
        "min_images",
        lambda count: count == 0 or count >= MIN_IMAGES_PER_CLASS,
        f"at least {MIN_IMAGES_PER_CLASS}, the fewest images of a class that can be learnt, or 0 to leave none out",
    ),
)
"""Field, what holds of a sound value, and what an error says was expected."""


def check_crop(resize: Resize, crop_pct: float) -> None:
    """Refuses a share of the side that cannot be cut out, or that would be ignored.

    Raises:
        ConfigError: it says which.
    """
    if not 0.1 <= crop_pct <= 1:
        raise ConfigError(f"crop_pct is {crop_pct}; expected 0.1 to 1.")
    if crop_pct != 1 and resize != "crop":
        raise ConfigError(f"crop_pct is {crop_pct}, but resize is {resize!r}; expected resize = 'crop', or crop_pct 1.")


def strategy_name(name: str) -> str:
    """The name of a strategy, also where it is one that older versions used."""
    return EARLIER_NAMES.get(name, name) if isinstance(name, str) else name


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """Everything that decides a run; stored verbatim in ``config.toml`` of the run folder."""

    data: str
    """A folder of images, or a CSV or TSV table. Like the other paths, ``str`` or ``Path``."""

    out: str = ""
    """The run folder. Empty: ``runs/<name of data>-<n>``."""

    backbone: str = "efficientnet_lite0"
    """Name of the network, see ``svertka models``."""

    weights: str = "default"
    """``"default"``, ``"none"`` (random weights), a torchvision weights name, or a file."""

    strategy: StrategyName = "auto"
    """How the network learns, see ``training.strategies``. ``"auto"`` trains the linear probe, fine-tunes if time
    allows, and keeps the better of the two on validation; with random weights it is ``"scratch"``."""

    folds: int = 0
    """Number of folds of a k-fold ensemble, 0 for a single classifier. Each member learns without one fold of the
    training and validation images and is judged on it. An ensemble of probes is one probe again; an ensemble of
    networks takes as many times as long to train and to predict."""

    minutes: float = 10.0
    """Time budget of the whole run; training gets what reading, judging and explaining leave."""

    seed: int = 0
    """Seed of the split, the order of images and augmentation."""

    size_px: int = 0
    """Side of the network's input in pixels. 0: the backbone's own; from scratch, the size of the images."""

    resize: Resize = "squash"
    """How images become square, see ``Preprocess``."""

    crop_pct: float = 1.0
    """Share of the side that a centre crop keeps, for ``resize = "crop"``, see ``Preprocess``."""

    test_fraction: float = 0.2
    """Share of the images that are set aside for the test, where svertka makes the split."""

    val_fraction: float = 0.15
    """Share of the images for validation, where svertka makes the split."""

    images: str = ""
    """Folder of a table's images. Empty: beside the table."""

    path_column: str = ""
    """Column of a table with the files. Empty: found by its name, as are the three columns below."""

    label_column: str = ""
    """Column with the class."""

    group_column: str = ""
    """Column with a group such as a patient; images of one group stay on one side of the split."""

    split_column: str = ""
    """Column that says train, val or test."""

    encoding: str = ""
    """Text encoding of a table, as Python names it, such as ``"cp1251"``. Empty: detected."""

    min_images: int = 0
    """Classes with fewer different images are left out. 0: none is left out."""

    group_regex: str = ""
    """Regular expression over file names; the first group that it captures, or the whole match, names the image's
    group."""

    positive: str = ""
    """Of two classes the one to be found (the defect, the disease): ROC and precision-recall curves, average precision
    and sensitivity are of this class. Empty: the rarer class. With more than two classes each is judged."""

    drop_leaks: bool = False
    """Take leaked images out of training."""

    max_megapixels: float = 100.0
    """Larger images are rejected by their header."""

    value_range: tuple[float, ...] = ()
    """What is black and what is white in samples deeper than 8 bits, such as ``(-160, 240)`` for soft tissue in CT.
    Empty: the images decide, see ``data.ranges``."""

    near_duplicate_bits: int = 3
    """Images are near duplicates if their perceptual hashes differ in at most so many bits. Images of at most 32 px are
    compared for equality only."""

    threads: int = 0
    """Threads for computing. 0, or more than the processors that this process may use: one for each of them."""

    language: Language = "en"
    """Language of the report."""

    finetune: FineTune = field(default_factory=FineTune)
    """How pretrained weights are trained further; a table ``[finetune]`` in TOML."""

    scratch: Scratch = field(default_factory=Scratch)
    """How random weights are trained; a table ``[scratch]`` in TOML."""

    def __post_init__(self) -> None:
        for name in ("data", "out", "weights", "images"):  # text in config.toml; in Python a Path as well
            if isinstance(path := getattr(self, name), os.PathLike):
                object.__setattr__(self, name, os.fspath(path))
        make_plain(self)
        object.__setattr__(self, "strategy", strategy_name(self.strategy))
        check_known("strategy", self.strategy, STRATEGY_NAMES, EARLIER_NAMES)
        check_known("resize", self.resize, get_args(Resize))
        check_known("language", self.language, get_args(Language))
        if self.strategy == "scratch" and self.weights != "none":
            raise ConfigError(
                f"strategy is 'scratch', but weights is {self.weights!r}; expected weights 'none' (--weights none), as "
                "training from scratch starts from random weights."
            )
        for name, is_sound, expected in _LIMITS:
            if not is_sound(value := getattr(self, name)):
                shown = list(value) if isinstance(value, tuple) else value
                raise ConfigError(f"{name} is {shown!r}; expected {expected}.")
        check_crop(self.resize, self.crop_pct)

    @property
    def from_scratch(self) -> bool:
        """Whether the network starts from random weights and is trained whole."""
        return self.strategy == "scratch" or (self.strategy == "auto" and self.weights == "none")

    @property
    def training(self) -> FineTune:
        """The record that says how weights are trained in this run."""
        return self.scratch if self.from_scratch else self.finetune
