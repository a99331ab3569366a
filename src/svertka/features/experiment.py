"""An experiment: the frozen network, the images, and which of them train, choose and judge."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svertka.config import RunConfig
from svertka.data.loader import ImageSource
from svertka.data.pixels import PixelStore, cache_dir
from svertka.data.ranges import decide
from svertka.data.scan import scan
from svertka.data.split import make_split
from svertka.features.extractor import FeatureExtractor, open_extractor
from svertka.schema import SPLIT_NAMES, Catalog, EventSink, Split, SplitName, StepStarted, ignore_events
from svertka.util import runtime


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What learning works with."""

    config: RunConfig
    """Of the run."""

    extractor: FeatureExtractor
    """The untouched backbone."""

    catalog: Catalog
    """All images."""

    split: Split
    """Which train, choose and judge."""

    store: PixelStore
    """Gives prepared pixels."""

    cache: Path
    """Folder of prepared pixels and features."""

    weights_N: NDArray[np.float64] | None = None
    """How much each record counts in learning, None where all count alike."""

    @classmethod
    def open(cls, config: RunConfig, on_event: EventSink = ignore_events) -> "Experiment":
        """Opens the network, reads the images, and makes the split that ``svertka train`` would make.

        Raises:
            SvertkaError: with what is wrong and what to do.
        """
        process, cache = runtime.setup(config.threads), cache_dir()
        on_event(StepStarted("backbone"))
        extractor = open_extractor(config, cache, process.threads, on_event)
        on_event(StepStarted("scan"))
        catalog = scan(config.data, config=config, preprocess=extractor.preprocess, cache=cache, on_event=on_event)
        experiment = cls.of(config, extractor, catalog, make_split(catalog, config), cache)
        for notice in experiment.catalog.notices[len(catalog.notices) :]:
            on_event(notice)
        return experiment

    @classmethod
    def of(
        cls,
        config: RunConfig,
        extractor: FeatureExtractor,
        catalog: Catalog,
        split: Split,
        cache: Path,
        store: PixelStore | None = None,
        weights_N: NDArray[np.float64] | None = None,
    ) -> "Experiment":
        """From parts that are known already; the images to learn from decide what is black and white in deep samples.

        Args:
            config: of the run.
            extractor: the untouched backbone.
            catalog: all images.
            split: which train, choose and judge.
            cache: folder of prepared pixels and features.
            store: that holds prepared pixels already; None: the cache's.
            weights_N: how much each record counts in learning, None where all count alike.
        """
        catalog = decide(catalog, (*split.train, *split.val), config)
        extractor = extractor.seeing(catalog.ranges)
        store = store if store and not catalog.ranges else PixelStore(cache, extractor.preprocess)
        return cls(
            config=config,
            extractor=extractor,
            catalog=catalog,
            split=split,
            store=store,
            cache=cache,
            weights_N=weights_N,
        )

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
