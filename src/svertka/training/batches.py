"""Batches of a phase: augmented images, or features that were computed once.

Imports torch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from svertka.backbones.tensors import normalise, predict, to_input
from svertka.config import Augment
from svertka.data.loader import ImageSource, batches
from svertka.schema import Preprocess
from svertka.training import augmentation
from svertka.training.classifier import Classifier

Rows = NDArray[np.int64]


class Batches(Protocol):
    """Training and validation data of one phase."""

    def batches(self, rows: Rows, size: int) -> Iterator[tuple[Rows, Any]]:
        """Raw batches of training rows, in order."""

    def inputs(self, rows: Rows, raw: Any, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Network inputs and targets (labels [N] or shares of classes [N, K]) of a raw batch."""

    def forward(self, model: Classifier, x: Tensor) -> Tensor:
        """Logits [N, K]."""

    def validate(self, model: Classifier) -> Tensor:
        """Logits of all validation images."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageBatches:
    """Images, changed at random where ``augment`` says so; in ``parts`` epochs all of them come once."""

    train: ImageSource
    val: ImageSource
    preprocess: Preprocess
    augment: Augment | None
    classes: int
    seed: int
    parts: int = 1

    def batches(self, rows: Rows, size: int) -> Iterator[tuple[Rows, Any]]:
        """Prepared uint8 images [n, S, S, 3]."""
        return batches(self.train, rows, size)

    def inputs(self, rows: Rows, raw: Any, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Changed and normalised images; the draw depends on seed, epoch and step alone."""
        change, labels = self.augment, torch.from_numpy(self.train.labels[rows])
        if change is None:
            return normalise(to_input(raw), self.preprocess), labels
        rng = np.random.default_rng([self.seed, epoch, step, 1])
        signs = (
            augmentation.alternating(rows, len(self.train), self.seed, epoch // self.parts)
            if change.alternate
            else None
        )
        drawn = augmentation.draw(change, len(rows), rng, signs)
        x = augmentation.apply(drawn, to_input(augmentation.trivial(raw) if change.trivial else raw))
        if change.erase:
            x = augmentation.erase(x, change.erase)
        x = normalise(x, self.preprocess)
        if change.mix and rng.random() < change.mix:
            x, labels = augmentation.mix(x, labels, self.classes, rng)
        return x.contiguous(memory_format=torch.channels_last), labels

    def forward(self, model: Classifier, x: Tensor) -> Tensor:
        """Through the whole network."""
        logits: Tensor = model(x)
        return logits

    def validate(self, model: Classifier) -> Tensor:
        """Logits of all validation images."""
        return torch.from_numpy(predict(model, self.val, self.preprocess))


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureBatches:
    """Features [N, D] of a frozen body, which costs nothing any more.

    Attributes:
        train: of the training images.
        val: of the validation images.
        labels: of the training images [N].
    """

    train: Tensor
    val: Tensor
    labels: Tensor

    def batches(self, rows: Rows, size: int) -> Iterator[tuple[Rows, Any]]:
        """Features [n, D]."""
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            yield some, self.train[torch.from_numpy(some)]

    def inputs(self, rows: Rows, raw: Any, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """The features as they are."""
        return raw, self.labels[torch.from_numpy(rows)]

    def forward(self, model: Classifier, x: Tensor) -> Tensor:
        """Through the head alone."""
        return model.classify(x)

    def validate(self, model: Classifier) -> Tensor:
        """Logits of all validation images."""
        with torch.inference_mode():
            return model.classify(self.val)
