"""What learning works with: the frozen network, the images, and who trains, chooses and judges."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svertka.config import RunConfig
from svertka.data.loader import ImageSource
from svertka.data.pixels import PixelStore
from svertka.features.extractor import FeatureExtractor
from svertka.schema import SPLIT_NAMES, Catalog, Split, SplitName


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What learning works with.

    Attributes:
        config: of the run.
        engine: the untouched backbone.
        catalog: all images.
        split: who trains, chooses and judges.
        store: gives prepared pixels.
        cache: folder of prepared pixels and features.
        weights_N: how much each record counts in learning, None where all count alike.
    """

    config: RunConfig
    engine: FeatureExtractor
    catalog: Catalog
    split: Split
    store: PixelStore
    cache: Path
    weights_N: NDArray[np.float64] | None = None

    @property
    def learnable(self) -> NDArray[np.int64]:
        """Records that may be looked at before the end: all but the test images."""
        return np.array(sorted((*self.split.train, *self.split.val)), dtype=np.int64)

    def source(self, indices: NDArray[np.int64] | Sequence[int]) -> ImageSource:
        """Prepared images of some records."""
        source = ImageSource.of(self.catalog, list(indices), self.store, int(self.config.max_megapixels * 1e6))
        return source if self.weights_N is None else replace(source, weights=self.weights_N[list(indices)])

    @cached_property
    def sources(self) -> dict[SplitName, ImageSource]:
        """Prepared images of each part."""
        return {name: self.source(self.split.of(name)) for name in SPLIT_NAMES}

    def paths(self, part: SplitName) -> tuple[str, ...]:
        """Paths of one part of the split."""
        return tuple(self.catalog.records[index].path for index in self.split.of(part))
