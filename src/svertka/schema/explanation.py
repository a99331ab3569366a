"""Explanation: what a classifier looks at, and the reasons to doubt it."""

from dataclasses import dataclass
from typing import Literal

from svertka.schema.evaluation import Estimate
from svertka.schema.images import Preprocess

MethodName = Literal["grad_cam", "occlusion"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AttributionMap:
    """Which places of an image speak for a class.

    Attributes:
        rows: a square map over the image, row by row; above 0 where a place speaks for the class, below 0 against.
            Its unit is the logit for Grad-CAM (the map's mean is the logit) and the loss of log-odds for occlusion.
        left: occlusion: the probability of the class that is left where covering one square hurts most.
    """

    method: MethodName
    label: int
    rows: tuple[tuple[float, ...], ...]
    left: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """One image with what the network saw in it: its true class, its probabilities, and maps of the best two classes.

    ``why`` says why this image was chosen; ``truth`` is None where nobody has labelled it.
    """

    path: str
    why: Literal["right", "wrong", "unsure", "asked"]
    truth: int | None
    probabilities: tuple[float, ...]
    heats: tuple[AttributionMap, ...]


FeatureLevel = Literal["first", "middle", "last"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Patch:
    """A part of a prepared image (top, left, bottom, right in pixels) and how strongly a channel responds to it."""

    path: str
    box: tuple[int, int, int, int]
    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class StagePatches:
    """What some channels of a stage respond to most.

    Attributes:
        stage: its number, from 0.
        level: in the hierarchy of features.
        size: rows of its maps.
        field_px: side of what one number sees, were the image endless; 0 means all of it.
        channels: number of the channel to its patches, strongest image first.
    """

    stage: int
    level: FeatureLevel
    size: int
    field_px: int
    channels: dict[int, tuple[Patch, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureMap:
    """Test images as points on a plane; ``trustworthiness`` (0 to 1) says how far near points were near before."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    labels: tuple[int, ...]
    predicted: tuple[int, ...]
    paths: tuple[str, ...]
    trustworthiness: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SanityCheck:
    """Rank correlation of explanations of the network and of the same with weights shuffled; low is good.

    Attributes:
        shuffled: the head's weights, or all.
        correlation: Spearman's, mean over images.
        passed: the explanation depends on what was learnt.
    """

    method: MethodName
    shuffled: Literal["head", "all"]
    correlation: float
    standard_error: float
    n: int
    passed: bool


ShortcutVerdict = Literal["nothing to learn", "chance", "better than chance", "near the model"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassPair:
    """Two classes, and how well something tells the images of one from those of the other."""

    first: str
    second: str
    roc_auc: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class ShortcutProbe:
    """A classifier that sees only what should not matter, judged on the test images; None: nothing to learn from.

    ``pairs``: of three or more classes those that it tells apart nearly always, the surest first.
    """

    name: str
    verdict: ShortcutVerdict
    accuracy: Estimate | None
    roc_auc: Estimate | None
    pairs: tuple[ClassPair, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Insight:
    """What was seen of a trained classifier.

    Attributes:
        preprocess: of its images; boxes and maps refer to them.
        patches: what channels respond to; empty where the network's features are no means of maps.
        feature_map: None with too few images.
        shortcuts: probes that must not succeed.
    """

    preprocess: Preprocess
    examples: tuple[Explanation, ...]
    patches: tuple[StagePatches, ...]
    feature_map: FeatureMap | None
    sanity: tuple[SanityCheck, ...]
    shortcuts: tuple[ShortcutProbe, ...]
