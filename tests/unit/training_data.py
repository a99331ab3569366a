"""What tests of training share: tiny images with a plain rule, and a classifier that knows nothing of it."""

import numpy as np

from svertka.data.loader import ImageSource
from svertka.features.linear_head import LinearHead
from svertka.training.classifier import Classifier

SIZE = 32


class Store:
    """Images by name, as a PixelStore gives them."""

    def __init__(self, images):
        self.images = images

    def read(self, files_and_hashes, max_pixels):
        return np.stack([self.images[name] for _, name in files_and_hashes])


def source_of(images, labels):
    names = [str(number) for number in range(len(images))]
    return ImageSource(Store(dict(zip(names, images, strict=True))), names, names, np.asarray(labels, np.int64))


def bright_half(count, seed, *, axis, size=SIZE):
    """Class 1 is brighter at the end of an axis, class 0 at its start."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 100, (count, size, size, 3), dtype=np.uint8)
    labels = np.arange(count) % 2
    for image, label in zip(images, labels, strict=True):
        half = slice(size // 2, None) if label else slice(0, size // 2)
        image[(half, slice(None)) if axis == 0 else (slice(None), half)] += 120
    return source_of(images, labels)


def classifier(task):
    """The task's backbone itself (not a copy) with a head of zeros for two classes."""
    d = sum(task.backbone.widths)
    zeros = np.zeros((2, d), np.float32)
    return Classifier(task.backbone.module, LinearHead(zeros[0], zeros[0] + 1, zeros, np.zeros(2, np.float32)))
