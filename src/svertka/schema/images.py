"""Images: preprocessing, catalogue, and split."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from svertka.config import Resize, check_crop
from svertka.errors import ConfigError
from svertka.util.atomic_files import json_digest

SplitName = Literal["train", "val", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = get_args(SplitName)


DeepMode = Literal["I;16", "I", "F", "RGB;16"]
"""Kinds of samples deeper than 8 bits: unsigned 16-bit, other integers, floats, and colours of 16 bits a channel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueRange:
    """What of a mode's samples becomes black (``low`` and less) and what white (``high`` and more).

    Attributes:
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
    """

    size_px: int = 224
    """Side of the square input."""

    resize: Resize = "squash"
    """``"squash"`` scales both sides; ``"crop"`` scales the shorter side and cuts out the centre; ``"pad"`` scales the
    longer side and fills the rest with the mean colour. Squash is the default because it cuts nothing off: a defect at
    the edge stays visible, and the network learns the changed aspect ratio."""

    crop_pct: float = 1.0
    """For ``"crop"``, as published with ImageNet weights: the shorter side is scaled to ``floor(size_px / crop_pct)``
    first, as timm does it. 1.0 cuts out the largest square."""

    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    """Pillow's filter by name, with antialiasing."""

    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Per channel, for pixels in 0..1."""

    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Per channel, for pixels in 0..1."""

    ranges: tuple[ValueRange, ...] = ()
    """Intensity ranges by which samples deeper than 8 bits come to 8, at most one a mode. A mode without a range is
    scaled image by image."""

    def __post_init__(self) -> None:
        if not 16 <= self.size_px <= 4096:
            raise ConfigError(f"size_px is {self.size_px}; expected 16 to 4096 pixels.")
        check_crop(self.resize, self.crop_pct)
        if len({known.mode for known in self.ranges}) < len(self.ranges):
            raise ConfigError("ranges name one mode twice; expected at most one range a mode.")

    def as_fields(self) -> dict[str, object]:
        """The fields as plain values; without those that older versions lacked, where they say nothing new.

        So what knows 8 bits only, or crops the largest square, keeps its hash.
        """
        silent = {"ranges": not self.ranges, "crop_pct": self.crop_pct == 1}
        return {name: value for name, value in asdict(self).items() if not silent.get(name)}

    @property
    def hash(self) -> str:
        """Hex digest that names this preprocessing in caches and manifests."""
        return json_digest(self.as_fields())

    @property
    def pixels_hash(self) -> str:
        """Hex digest of the part that decides the uint8 pixels (mean and std do not)."""
        return json_digest(
            {"size_px": self.size_px, "resize": self.resize, "interpolation": self.interpolation}
            | ({"fill": self.mean} if self.resize == "pad" else {})
            | ({"crop_pct": self.crop_pct} if self.crop_pct != 1 else {})
            | ({"ranges": [asdict(known) for known in self.ranges]} if self.ranges else {})
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueSpan:
    """What the samples of an image deeper than 8 bits span.

    Attributes:
        low: the smallest one that is a finite number.
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
        width_px: after EXIF orientation, as ``height_px``.
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
    """

    code: str
    values: Mapping[str, object] = field(default_factory=dict)
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalog:
    """Everything that a scan learnt about a folder or table of images. Files are never changed.

    Attributes:
        root: the folder that record paths are relative to (absolute path).
        class_names: sorted; a record's label indexes them.
        records: usable images, in a stable order (natural order of the path).
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
        return json_digest([list(self.class_names), rows])


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
    """Train, validation and test part: indices into ``Catalog.records``, disjoint and sorted.

    Attributes:
        val: on which choices are made (epoch, strategy, temperature).
        test: on which the chosen model is evaluated, once.
        seed: that decided which records go where.
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
