"""The frozen records that cross rooms.

Every step of the main job takes records and returns a record; each record has one producer. Arrays carry shape
suffixes: N images, K classes, D features, H height, W width, C channels. Nothing here imports torch.

The file is long because the whole vocabulary is in one place, in the order of the steps; there is no logic to split.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from svertka.config import Resize, RunConfig, StrategyName
from svertka.errors import ConfigError

SplitName = Literal["train", "val", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = get_args(SplitName)


# --- Preprocess: the thread through the whole house ------------------------------------------------------------


DeepMode = Literal["I;16", "I", "F", "RGB;16"]
"""Kinds of samples deeper than 8 bits: unsigned 16-bit, other integers, floats, and colours of 16 bits a channel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueRange:
    """What becomes black and what white in every image of a mode of deep samples.

    Attributes:
        mode: of the samples.
        low: this and less becomes black.
        high: this and more becomes white.
        window: it was chosen to cut samples off, so that images leave it is nothing to tell.
    """

    mode: DeepMode
    low: float
    high: float
    window: bool = False

    def __post_init__(self) -> None:
        if self.mode not in get_args(DeepMode):
            raise ConfigError(f"mode is {self.mode!r:.100}; expected one of {', '.join(get_args(DeepMode))}.")
        if not all(type(value) in (int, float) and abs(value) < 1e300 for value in (self.low, self.high)):
            raise ConfigError(f"the range of {self.mode} is not of two finite numbers.")
        if type(self.window) is not bool:
            raise ConfigError(f"window of the range of {self.mode} is {self.window!r:.100}; expected true or false.")
        if not self.low < self.high:
            raise ConfigError(f"the range of {self.mode} is {self.low:g} to {self.high:g}; expected a rising one.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocess:
    """How an image becomes the network's input. ``data.preprocess`` is its one implementation.

    An RGB uint8 image is brought to ``size_px`` × ``size_px`` (uint8); the network then sees
    ``(pixel / 255 - mean) / std`` per channel.

    Attributes:
        size_px: side of the square input.
        resize: ``"squash"`` scales both sides (nothing is cut off), ``"crop"`` scales the shorter side and cuts
            the centre, ``"pad"`` scales the longer side and fills the rest with the mean colour.
        interpolation: Pillow's filter by name, with antialiasing.
        mean: per channel, for pixels in 0..1.
        std: per channel, for pixels in 0..1.
        ranges: how samples deeper than 8 bits come to 8, at most one a mode; what has none is scaled image by image.
    """

    size_px: int = 224
    resize: Resize = "squash"
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    ranges: tuple[ValueRange, ...] = ()

    def __post_init__(self) -> None:
        if not 16 <= self.size_px <= 4096:
            raise ConfigError(f"size_px is {self.size_px}; expected 16 to 4096 pixels.")
        if len({known.mode for known in self.ranges}) < len(self.ranges):
            raise ConfigError("ranges name one mode twice; expected at most one range a mode.")

    def as_fields(self) -> dict[str, object]:
        """The fields as plain values. No ranges are no field: what knows 8 bits only keeps its hash, old or new."""
        values = asdict(self)
        return values if self.ranges else {name: value for name, value in values.items() if name != "ranges"}

    @property
    def hash(self) -> str:
        """Hex digest that names this preprocessing in caches and manifests."""
        return _digest(self.as_fields())

    @property
    def pixels_hash(self) -> str:
        """Hex digest of the part that decides the uint8 pixels (mean and std do not)."""
        return _digest(
            {"size_px": self.size_px, "resize": self.resize, "interpolation": self.interpolation}
            | ({"fill": self.mean} if self.resize == "pad" else {})
            | ({"ranges": [asdict(known) for known in self.ranges]} if self.ranges else {})
        )


def _digest(value: object) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=8).hexdigest()


# --- scan and split ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueSpan:
    """What the samples of an image deeper than 8 bits span.

    Attributes:
        mode: of the samples.
        low: the smallest one that is a finite number.
        high: the largest.
        declared: what the file says is black and white, None where it says nothing.
    """

    mode: DeepMode
    low: float
    high: float
    declared: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRecord:
    """One usable image.

    Attributes:
        path: relative to ``Catalog.root`` (POSIX separators), or absolute where it lies outside.
        label: index into ``Catalog.class_names``.
        split: the split that the user's folders or table name, if any.
        group: images of one group (patient, module, scene) must stay on one side of the split.
        width_px: after EXIF orientation.
        height_px: after EXIF orientation.
        mode: Pillow's mode of the stored file (``"L"``, ``"RGB"``, ``"I;16"`` …).
        pixel_hash: hex digest of the decoded RGB pixels (or the deep samples) and their size: equal hash, equal image.
        perceptual_hash: 64-bit difference hash; near duplicates differ in few bits.
        detail_hash: 256 bits of fine structure that tell near duplicates from look-alikes; 0 where unknown.
        sketch: what finds altered copies, see ``data.fingerprint``; empty where unknown, and in a stored run.
        span: of samples deeper than 8 bits; None for all other images.
        notes: what was done to read it rightly, as codes (``"exif_rotated"``, ``"alpha_composited"`` …).
    """

    path: str
    label: int
    split: SplitName | None
    group: str | None
    width_px: int
    height_px: int
    mode: str
    pixel_hash: str
    perceptual_hash: int
    notes: tuple[str, ...] = ()
    detail_hash: int = 0
    sketch: str = field(default="", compare=False, repr=False)
    span: ValueSpan | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """A file that was left out: where, the stable reason code, and what was found."""

    path: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know. ``messages.sentences`` puts it into words, in any language of the catalogue.

    Attributes:
        code: stable; the sentence is ``notice.<code>.body`` of the catalogue.
        values: what fills the sentence, as plain JSON values: numbers, text, lists and dictionaries of these.
        level: how loud it is.
    """

    code: str
    values: Mapping[str, object] = field(default_factory=dict)
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalog:
    """Everything that a scan learnt about a folder or table of images. Files are never changed.

    Attributes:
        root: the folder that record paths are relative to (absolute path).
        layout: how classes were found.
        class_names: sorted; a record's label indexes them.
        records: usable images, in a stable order (natural order of the path).
        rejected: files that could not be used.
        notices: what the user should know (class missing in a split, links skipped …).
        decoded: how many files this scan had to decode (0 when nothing changed since the last one).
        ranges: that samples deeper than 8 bits are scaled by, once they are decided (see ``data.ranges``).
    """

    root: Path
    layout: Literal["class folders", "split folders", "table"]
    class_names: tuple[str, ...]
    records: tuple[ImageRecord, ...]
    rejected: tuple[Rejection, ...] = ()
    notices: tuple[Notice, ...] = ()
    decoded: int = 0
    ranges: tuple[ValueRange, ...] = ()

    def file(self, record: ImageRecord) -> Path:
        """Absolute path of a record's file."""
        return self.root / record.path

    def labels(self) -> NDArray[np.int64]:
        """Labels of all records, shape [N]."""
        return np.array([record.label for record in self.records], dtype=np.int64)

    @property
    def hash(self) -> str:
        """Hex digest of what was learnt from: every image's pixels, label and split."""
        rows = sorted((r.pixel_hash, self.class_names[r.label], r.split or "") for r in self.records)
        return _digest([list(self.class_names), rows])


@dataclass(frozen=True, kw_only=True, slots=True)
class Leak:
    """The same image, nearly the same, an altered copy or a group on two sides of a split, or one under two labels."""

    kind: Literal["exact", "near", "altered", "group", "label conflict"]
    path_a: str
    where_a: str
    path_b: str
    where_b: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Which records train, choose and judge: indices into ``Catalog.records``, disjoint and sorted.

    Attributes:
        train: records that parameters are fitted to.
        val: records that choices are made on (epoch, strategy, temperature).
        test: records that are judged once.
        seed: of the draw.
        origin: ``"made"`` by svertka, ``"brought"`` by the user, ``"completed"`` where a missing part was made.
        leaks: pairs that stand on two sides (only in splits that the user brought).
        conflicts: the same image under two labels.
        dropped: records taken out (leaked images with ``--drop-leaks``).
        grouped: whether groups were named, by a column or a pattern.
        units: for each record the number of its unit: images of one group, or that show the same, share it.
    """

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]
    seed: int
    origin: Literal["made", "brought", "completed"] = "made"
    leaks: tuple[Leak, ...] = ()
    conflicts: tuple[Leak, ...] = ()
    dropped: tuple[int, ...] = ()
    units: tuple[int, ...] = ()
    notices: tuple[Notice, ...] = ()

    grouped: bool = False

    def of(self, name: SplitName) -> tuple[int, ...]:
        """Indices of one part by name."""
        return {"train": self.train, "val": self.val, "test": self.test}[name]


# --- learning ---------------------------------------------------------------------------------------------------


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
        parameters: in it.
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


# --- advising and comparing ---------------------------------------------------------------------------------------

Size = Literal["little", "between", "much"]
Similarity = Literal["similar", "different"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval and the number of images behind it."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureScore:
    """How well some frozen features tell the classes apart: cross-validated accuracy.

    Attributes:
        width: number of features.
        probe: of a linear probe.
        neighbours: of the nearest neighbours.
    """

    width: int
    probe: Estimate
    neighbours: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """A cell of the matrix (how much data, how similar to what the network has learnt), and what follows from it.

    Attributes:
        size: of the data.
        similarity: of the images to what the network has learnt.
        strategy: that the cell names.
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
    """Accuracy of a candidate minus another's, on the images that both judged, and what that shows."""

    other: str
    difference: Estimate
    verdict: Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How one candidate stands.

    Attributes:
        name: of the candidate, unique in its comparison.
        backbone: by name.
        strategy: by name.
        folds: that it was judged on, in order; the rest was not run.
        accuracy: over all images of those folds; None where nothing was run.
        log_loss: likewise, in nats.
        seconds: a fold, wall time, features not counted; 0 where nothing was run.
        epochs: fewest and most of its folds; (0, 0) for what has no epochs.
        versus_cheapest: None for the cheapest itself and where nothing was run.
        versus_best: None for the best itself and where nothing was run.
        error: why it failed, if it did.
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
    """Candidates on the same folds.

    Attributes:
        standings: best first; what was not run comes last.
        images: to learn from and to judge, by folds.
        set_aside: test images, which nobody has looked at.
        folds: how many.
        seed: of split, folds and learning.
        minutes: budget.
        seconds: used.
        complete: whether every candidate was judged on every fold.
    """

    standings: tuple[Standing, ...]
    images: int
    set_aside: int
    folds: int
    seed: int
    minutes: float
    seconds: float
    complete: bool


# --- judging ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """What a model said of labelled images; saved, so that metrics and report rebuild without torch.

    Attributes:
        logits_NK: before temperature and softmax, float32.
        labels_N: true labels, int64.
        paths: one a row.
        class_names: one a column.
    """

    logits_NK: NDArray[np.float32]
    labels_N: NDArray[np.int64]
    paths: tuple[str, ...]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels_N)


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelDoubt:
    """A label that looks wrong; see ``evaluate.doubts``.

    Attributes:
        path: of the image.
        label: its class as it was given.
        likely: the class that the image looks like to a classifier that has not learnt from it.
        probability: of that class.
        own: probability of the given class.
    """

    path: str
    label: str
    likely: str
    probability: float
    own: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScores:
    """Precision, recall and F1 of one class (one against the rest); ``support`` is its number of images."""

    name: str
    support: int
    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A line of a figure: points (x, y) in order, and the figure that sums it up."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    summary: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ReliabilityBin:
    """Images whose confidence fell in one bin: mean confidence, share that was right, how many."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Conformal:
    """When a class may be the true one: where 1 minus its probability (without temperature) is at most its threshold.

    Attributes:
        target: the share of each class's images whose set of possible classes shall hold the true one.
        thresholds: one a class, from the validation images.
        counts: validation images behind each.
    """

    target: float
    thresholds: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Abstention:
    """How sets of possible classes did on the test images. A set of one class, the predicted one, is an answer.

    Attributes:
        target: of the coverage.
        coverage: share of images whose set holds the true class.
        per_class: the same of each class.
        answered: share of images with an answer; the others are "unsure".
        accuracy: share of the answers that are right.
        counts: validation images of each class, which set the thresholds.
        thresholds: 1 minus the least probability (without temperature) with which a class is possible, by class; empty
            in older files.
        empty: images for which no class is possible; None in older files.
    """

    target: float
    coverage: Estimate
    per_class: tuple[Estimate, ...]
    answered: Estimate
    accuracy: Estimate
    counts: tuple[int, ...]
    thresholds: tuple[float, ...] = ()
    empty: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Every figure with its interval.

    Attributes:
        n: images judged.
        class_names: order of the confusion matrix.
        temperature: that logits are divided by before softmax; fitted on validation, 1.0 if not fitted.
        metrics: name to estimate: ``accuracy``, ``balanced_accuracy``, ``macro_f1``, ``roc_auc`` (one against the
            rest, macro mean), ``average_precision`` (the same), ``log_loss``, ``log_loss_uncalibrated``,
            ``calibration_error`` (root mean square over bins, less what luck explains),
            ``calibration_error_uncalibrated``.
        per_class: one entry a class.
        confusion_KK: rows true, columns predicted.
        roc: one curve a class (two classes: one, for the class to be found).
        precision_recall: likewise.
        reliability: before and after temperature scaling.
        reliability_uncalibrated: likewise.
        baselines: the same metric names for ``"majority class"`` and, where there is one, ``"probe"``.
        notices: what limits these figures (a class without images, few images …).
        abstention: how often "unsure" would have been said, and what it is worth; None without thresholds.
        positive: of two classes the one to be found, which ROC AUC, average precision and curves are of; empty with
            more classes, and in older files, where it was the second.
    """

    n: int
    class_names: tuple[str, ...]
    temperature: float
    metrics: dict[str, Estimate]
    per_class: tuple[ClassScores, ...]
    confusion_KK: tuple[tuple[int, ...], ...]
    roc: tuple[Curve, ...]
    precision_recall: tuple[Curve, ...]
    reliability: tuple[ReliabilityBin, ...]
    reliability_uncalibrated: tuple[ReliabilityBin, ...]
    baselines: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    abstention: Abstention | None = None
    positive: str = ""


@dataclass(frozen=True, slots=True)
class OrderCheck:
    """Does the order of the files predict the labels? Same probe, same images, two ways to cut five folds.

    Attributes:
        shuffled: mean ROC AUC over shuffled folds.
        contiguous: mean ROC AUC over folds of neighbouring files.
        standard_error: of the difference, over the folds.
        suspicious: contiguous is clearly lower: images come in groups, and a random split is optimistic.
    """

    shuffled: float
    contiguous: float
    standard_error: float
    suspicious: bool


# --- explaining ---------------------------------------------------------------------------------------------------


MethodName = Literal["grad_cam", "occlusion"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Heat:
    """Which places of an image speak for a class.

    Attributes:
        method: how it was found.
        label: the class.
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
    heats: tuple[Heat, ...]


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
        method: of explaining.
        shuffled: the head's weights, or all.
        correlation: Spearman's, mean over images.
        standard_error: of that mean.
        n: images.
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
        examples: some test images, explained.
        patches: what channels respond to; empty where the network's features are no means of maps.
        feature_map: None with too few images.
        sanity: of the explanations.
        shortcuts: probes that must not succeed.
    """

    preprocess: Preprocess
    examples: tuple[Explanation, ...]
    patches: tuple[StagePatches, ...]
    feature_map: FeatureMap | None
    sanity: tuple[SanityCheck, ...]
    shortcuts: tuple[ShortcutProbe, ...]


# --- handing over -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where weights or data come from, and under which licence."""

    name: str
    origin: str
    licence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Parity:
    """How closely ONNX Runtime and torch agree on the user's own test images."""

    n: int
    max_probability_difference: float
    same_labels: int


_ENGINES_APART = 1e-5
"""Distances that ONNX Runtime and the NumPy twin compute for one image differ by less."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Novelty:
    """From which distance on an image is unlike the training images; see ``transfer.novelty``.

    Attributes:
        threshold: larger distances are flagged.
        quantiles: of the validation images' distances, 0 to 100 %, in equal steps.
        n: validation images behind both.
    """

    threshold: float
    quantiles: tuple[float, ...]
    n: int

    def is_unlike(self, distance: float) -> bool:
        """Whether a distance is flagged; one at the threshold isn't, whichever engine computed it."""
        return bool(distance > self.threshold + _ENGINES_APART)

    def percentile(self, distance: float) -> float:
        """Which share of the validation images is nearer, 0 to 100."""
        return float(np.interp(distance, self.quantiles, np.linspace(0, 100, len(self.quantiles))))


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """A model as it is handed over: a folder with ``model.onnx``, ``weights.safetensors`` and ``manifest.json``.

    Attributes:
        directory: the folder.
        class_names: order of the probabilities.
        preprocess: how files become the graph's uint8 input.
        temperature: already inside the graph.
        parity: measured when it was written.
        manifest: the whole parsed manifest.
        conformal: when to say "unsure"; None where there were too few validation images, and in older bundles.
        novelty: which distances are far; None where the graph gives none.
        engine: ``"onnx"`` or ``"numpy"``, whichever runs it more quickly; see ``export.engines``.
    """

    directory: Path
    class_names: tuple[str, ...]
    preprocess: Preprocess
    temperature: float
    parity: Parity
    manifest: dict[str, object]
    conformal: Conformal | None = None
    novelty: Novelty | None = None
    engine: str = "onnx"


# --- the run ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class StepCost:
    """Time and memory of one step: wall seconds, and the process's peak resident memory at its end."""

    step: str
    seconds: float
    peak_memory_mb: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """All that a report shows: records only, no live objects.

    Attributes:
        name: of the run folder.
        command: the exact command line.
        started: ISO 8601 with time zone.
        config: as stored.
        catalog: what was scanned.
        split: who trains and judges.
        history: learning curve, empty for a probe alone.
        phases: what trained when, empty likewise.
        decision: which strategy was kept and why.
        evaluation: on the test images.
        test: predictions on the test images.
        order: of files against labels; None where it cannot be measured (too few images).
        parity: of the bundle; None where it could not be written.
        costs: time and memory a step.
        sources: weights and data with licences.
        versions: package to version, and the machine.
        notices: what the user should know, loudest first.
        doubts: labels of training and validation images that look wrong, the likeliest first.
        insight: what was seen of the classifier; None in a run that couldn't, or of an older svertka.
    """

    name: str
    command: str
    started: str
    config: RunConfig
    catalog: Catalog
    split: Split
    history: tuple[EpochRow, ...]
    decision: Decision
    evaluation: Evaluation
    test: Predictions
    order: OrderCheck | None
    parity: Parity | None
    costs: tuple[StepCost, ...]
    sources: tuple[Source, ...]
    versions: dict[str, str]
    notices: tuple[Notice, ...]
    phases: tuple[PhaseRow, ...] = ()
    insight: Insight | None = None
    doubts: tuple[LabelDoubt, ...] = ()


# --- events: the library never prints -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins, or goes on, in this folder."""

    folder: str


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step begins. ``total`` items will be done, None where it isn't known."""

    step: str
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Advanced:
    """``done`` items of the running step are done."""

    done: int


@dataclass(frozen=True, slots=True)
class TrainingPlanned:
    """Before training: what will train when, as ``transfer.strategies.describe`` gives it."""

    strategy: StrategyName
    phases: tuple[PhaseRow, ...]


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """A training epoch ended; ``of`` is how many the phase may have."""

    row: EpochRow
    of: int
    best: bool


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A step ended; ``summary`` says in a few words what came of it."""

    cost: StepCost
    summary: str = ""


Event = RunStarted | StepStarted | Advanced | TrainingPlanned | EpochEnded | StepEnded | Notice
EventSink = Callable[[Event], None]


def ignore_events(event: Event) -> None:
    """The sink of those who don't listen."""
