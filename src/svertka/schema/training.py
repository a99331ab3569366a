"""Training: learning curves, phases, advice, and comparisons."""

import math
from dataclasses import dataclass
from typing import Literal

from svertka.config import StrategyName
from svertka.schema.evaluation import Estimate
from svertka.schema.images import Notice


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRow:
    """One line of the learning curve. Losses are means over images, in nats.

    Attributes:
        selection_loss: by which the epoch to keep is chosen: ``val_loss``, or the log loss at a fitted temperature; NaN
            in runs of an older svertka.
    """

    phase: str
    epoch: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float
    selection_loss: float = math.nan


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseRow:
    """How one part of the network is treated in one phase of training.

    Attributes:
        phase: from 1.
        name: its code: ``"head"``, ``"partial"`` or ``"fine-tune"`` (all stages).
        epochs: of the phase, at most.
        part: a stage, or ``"head"``.
        learning_rate: at its peak; 0: frozen.
        batch_norm: ``"frozen"`` normalises by stored statistics, ``"batch"`` by the batch's; ``"none"`` has none.
        computed: ``"once"``: its outputs are remembered, or in ``"each step"``.
    """

    phase: int
    name: str
    epochs: int
    part: str
    parameters: int
    learning_rate: float
    batch_norm: str
    computed: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """Which strategy was kept, the reasons, and the validation figures behind it.

    ``val_scores`` maps a strategy's name to its mean log loss and accuracy on the validation images.
    """

    strategy: StrategyName
    reasons: tuple[Notice, ...]
    val_scores: dict[str, dict[str, float]]


Size = Literal["little", "between", "much"]
Similarity = Literal["similar", "different"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureScore:
    """How well some frozen features tell the classes apart: cross-validated accuracy."""

    width: int
    probe: Estimate
    neighbours: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """A cell of the matrix (how much data, how similar to what the network has learnt), and what follows from it.

    Attributes:
        similarity: of the images to what the network has learnt.
        rivals: what it is worth racing it against, the likeliest first.
        reasons: two sentences, evidence and conclusion.
        images: to learn from, test images not counted.
        smallest_class: images of the rarest class.
        taps: scores of each tap alone, early to late.
        whole: score of all taps together.
        random: the same with random weights.
        gain: accuracy of the probe on ``whole`` minus that on ``random``, in pairs.
        errors_removed: share of the errors on ``random`` that ``whole`` doesn't make; negative where it makes more.
        late: accuracy of the probe on the last tap minus that on the best one, in pairs.
    """

    size: Size
    similarity: Similarity
    strategy: StrategyName
    rivals: tuple[StrategyName, ...]
    reasons: tuple[Notice, ...]
    images: int
    smallest_class: int
    taps: tuple[FeatureScore, ...]
    whole: FeatureScore
    random: FeatureScore
    gain: Estimate
    errors_removed: float
    late: Estimate


Verdict = Literal["better", "worse", "no difference shown"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Versus:
    """Accuracy of a contender minus another's, on the images that both judged, and what that shows."""

    other: str
    difference: Estimate
    verdict: Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaderboardRow:
    """How one contender stands.

    Attributes:
        name: of the contender, unique in its comparison.
        folds: that it was judged on, in order; the rest was not run.
        accuracy: over all images of those folds; None where nothing was run.
        log_loss: likewise, in nats.
        seconds: a fold, wall time, features not counted; 0 where nothing was run.
        epochs: fewest and most of its folds; (0, 0) for what has no epochs.
        versus_cheapest: None for the cheapest itself and where nothing was run; ``versus_best`` likewise.
    """

    name: str
    backbone: str
    strategy: StrategyName
    folds: tuple[int, ...] = ()
    accuracy: Estimate | None = None
    log_loss: Estimate | None = None
    seconds: float = 0.0
    epochs: tuple[int, int] = (0, 0)
    versus_cheapest: Versus | None = None
    versus_best: Versus | None = None
    error: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Contenders on the same folds.

    Attributes:
        standings: best first; what was not run comes last.
        images: to learn from and to judge, by folds.
        set_aside: test images, which nobody has looked at.
        seed: of split, folds and learning.
        complete: whether every contender was judged on every fold.
    """

    standings: tuple[LeaderboardRow, ...]
    images: int
    set_aside: int
    folds: int
    seed: int
    minutes: float
    seconds: float
    complete: bool
