"""Learning from images in memory or by path, and what it leaves behind: plain values that pickle, or become a bundle.

The steps are those of ``pipeline.run`` without a test part, which an estimator's caller keeps to himself.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svertka.architectures.registry import SMALL_PX
from svertka.bundle.bundle import write_bundle
from svertka.bundle.classifier_graph import attach_head
from svertka.bundle.predictor import Predictor, open_predictor
from svertka.config import RunConfig
from svertka.data.loader import ImageSource, batches
from svertka.data.pixels import cache_dir
from svertka.data.sizes import longer_sides, natural_size
from svertka.data.split import hold_out
from svertka.errors import ConfigError
from svertka.estimators.image_input import Images, catalog_of, is_paths, named, source_of, warn
from svertka.evaluate import fit_temperature, probabilities
from svertka.features.experiment import Experiment
from svertka.features.extractor import FeatureExtractor, open_engine, torch_features
from svertka.features.feature_table import extract
from svertka.features.linear_head import LinearHead
from svertka.features.linear_probe import fit_probe
from svertka.inference.onnxruntime_session import FEATURES, open_session, run_in_batches
from svertka.model_selection.select import learn
from svertka.pipeline import CHECKED_IMAGES, PACKAGES
from svertka.schema import (
    Bundle,
    Conformal,
    EpochRow,
    Estimate,
    EventSink,
    Notice,
    Predictions,
    Preprocess,
    Source,
)
from svertka.training.job import LEARNT, TrainingJob
from svertka.training.probe import cross_validated
from svertka.training.trained_classifier import TrainedClassifier
from svertka.util import runtime

WORTH_KEEPING = 32
"""Images from which on their features are kept on disk; a file for a few of them costs more than it saves."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A fine-tuned network.

    Attributes:
        graph: of the features, a serialised ONNX model.
        weights: parameters by name, the head's included.
        reference_NK: the torch network's probabilities of the checked images.
    """

    graph: bytes
    weights: dict[str, NDArray[Any]]
    reference_NK: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A classifier that has learnt.

    Attributes:
        config: that it learnt with; opens the frozen backbone again.
        class_names: one a column.
        preprocess: of its images.
        head: on the features.
        temperature: that logits are divided by before softmax.
        network: None where the backbone stayed frozen; features then come from the cache.
        val: predictions on the images that were held out, with folds on all; None where there were none.
        val_rows: which images these were.
        checked_NSSC: some prepared images, on which a bundle's engines are compared.
        strategy: that was kept.
        history: learning curve, empty for a probe.
        notices: why it was kept.
        source: of the pretrained weights.
        hashes: of the images that it learnt from.
        data_hash: of all of them.
    """

    config: RunConfig
    class_names: tuple[str, ...]
    preprocess: Preprocess
    head: LinearHead
    temperature: float
    network: Network | None
    val: Predictions | None
    val_rows: tuple[int, ...]
    checked_NSSC: NDArray[np.uint8]
    strategy: str
    history: tuple[EpochRow, ...]
    notices: tuple[Notice, ...]
    source: Source
    hashes: tuple[str, ...]
    data_hash: str

    def logits(self, images: Images) -> NDArray[np.float32]:
        """Logits [N, K], before temperature."""
        cache = cache_dir()
        source = source_of(images, self.config, self.preprocess, cache)
        if self.network is None and len(source) < WORTH_KEEPING:
            return np.concatenate([self.head.logits(self._engine(batch)) for batch in _prepared(source)])
        if self.network is None:
            table = extract(self._engine, source, cache)
            return np.concatenate([self.head.logits(x_ND) for _, x_ND in table.blocks()])
        parts = (run_in_batches(self._session, batch, [FEATURES])[0] for batch in _prepared(source))
        return np.concatenate([self.head.logits(x_ND) for x_ND in parts])

    def write(self, directory: Path, metrics: Mapping[str, Estimate], conformal: Conformal | None) -> Bundle:
        """Writes the bundle; see ``ImageClassifier.save``.

        Raises:
            BundleError: its two engines disagree.
        """
        if self.network is None:
            graph, weights = self._engine.graph(), self._engine.weights()
            weights |= {f"head.{name}": getattr(self.head, name) for name in self.head.__slots__}
            features_ND = torch_features(self._engine.backbone.module, self.preprocess, self.checked_NSSC)
            reference_NK = _probabilities(self.head.logits(features_ND), self.class_names, self.temperature)
        else:
            from onnx import load_from_string

            graph = load_from_string(self.network.graph)
            weights, reference_NK = self.network.weights, self.network.reference_NK
        return write_bundle(
            directory,
            graph=attach_head(graph, self.head, self.temperature),
            weights=weights,
            class_names=self.class_names,
            preprocess=self.preprocess,
            temperature=self.temperature,
            check_images_NSSC=self.checked_NSSC,
            reference_NK=reference_NK,
            training_hashes=self.hashes,
            sources=(self.source,),
            data_hash=self.data_hash,
            metrics=metrics,
            versions=runtime.versions(PACKAGES),
            conformal=conformal,
            threads=self._engine.threads,
        )

    @cached_property
    def _engine(self) -> FeatureExtractor:
        engine = open_engine(self.config, cache_dir(), runtime.setup(self.config.threads).threads)
        return engine.seeing(self.preprocess.ranges)

    @cached_property
    def _session(self) -> Any:
        assert self.network is not None
        return open_session(self.network.graph, runtime.setup(self.config.threads).threads)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: not the open engines, which another process opens for itself."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_engine", "_session")}


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A classifier from a bundle. It stays in its folder, and is opened when it is first asked."""

    bundle: Bundle
    config: RunConfig
    val: Predictions | None = None

    @property
    def temperature(self) -> float:
        """That logits are divided by before softmax."""
        return self.bundle.temperature

    @property
    def class_names(self) -> tuple[str, ...]:
        """One a column."""
        return self.bundle.class_names

    def logits(self, images: Images) -> NDArray[np.float32]:
        """Logits [N, K], before temperature."""
        source = source_of(images, self.config, self.bundle.preprocess, cache_dir())
        return np.concatenate([self._predictor.infer(batch)[0] for batch in _prepared(source)])

    def write(self, directory: Path, metrics: Mapping[str, Estimate], conformal: Conformal | None) -> Bundle:
        """Copies the bundle.

        Raises:
            ConfigError: there is something at ``directory`` already.
        """
        if directory.exists():
            raise ConfigError(f"{directory} is there already; a loaded model is copied, so name another folder.")
        shutil.copytree(self.bundle.directory, directory)
        return replace(self.bundle, directory=directory)

    @cached_property
    def _predictor(self) -> Predictor:
        return open_predictor(self.bundle, self.config.threads)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: not the open engine."""
        return {name: value for name, value in self.__dict__.items() if name != "_predictor"}


def train_on(
    images: Images,
    labels_N: NDArray[np.int64],
    class_names: tuple[str, ...],
    config: RunConfig,
    *,
    validation_fraction: float,
    groups: Sequence[str] | None,
    on_event: EventSink,
    weights_N: NDArray[np.float64] | None = None,
) -> Trained:
    """Learns: features once for each image, the probe, and what else the strategy asks for.

    Args:
        images: from ``as_images``.
        labels_N: numbers of ``class_names``; each occurs.
        class_names: in the order of the columns.
        config: strategy, backbone, budget, seed.
        validation_fraction: of the images, held out by group to make choices on; 0 only for the probe alone.
        groups: of each image; None means that every image stands alone.
        on_event: hears what happens.
        weights_N: how much each image counts in learning, above 0; None: all alike.

    Raises:
        SvertkaError: with what is wrong and what to do.
    """
    clock, cache = time.monotonic(), cache_dir()
    if config.from_scratch and not config.size_px:
        sides = longer_sides(images) if is_paths(images) else [max(np.asarray(image).shape[:2]) for image in images]
        config = replace(config, size_px=natural_size(sides, SMALL_PX, config.scratch.largest_px))
    engine = open_engine(config, cache, runtime.setup(config.threads).threads, on_event)
    catalog, store = catalog_of(images, config, engine.preprocess, cache, labels_N=labels_N, groups=groups)
    catalog = named(catalog, class_names)
    split = hold_out(catalog, validation_fraction, config)
    experiment = Experiment.of(config, engine, catalog, split, cache, store, weights_N)
    engine, catalog = experiment.engine, experiment.catalog
    warn(catalog.notices)
    sources = experiment.sources
    checked = sources["train"].rows(_spread(len(split.train), CHECKED_IMAGES))
    learnt_from = (*split.train, *split.val)
    common: dict[str, Any] = {
        "config": config,
        "class_names": class_names,
        "preprocess": engine.preprocess,
        "checked_NSSC": checked.read(np.arange(len(checked))),
        "source": engine.source,
        "hashes": tuple(catalog.records[index].pixel_hash for index in learnt_from),
        "data_hash": catalog.hash,
    }
    if not split.val:
        units_N = np.array(split.units)
        table = extract(engine, sources["train"], cache, on_event)
        probe = fit_probe(table, len(class_names), config.seed, units_N)
        return Trained(
            head=probe.head,
            temperature=fit_temperature(*cross_validated(probe, table, experiment.paths("train"), class_names)),
            network=None,
            val=None,
            val_rows=(),
            strategy="probe",
            history=(),
            notices=catalog.notices,
            **common,
        )
    with tempfile.TemporaryDirectory(prefix="svertka-") as folder:
        job = TrainingJob(
            experiment=experiment,
            tables={part: extract(engine, sources[part], cache, on_event) for part in LEARNT},
            folder=Path(folder),
            started=clock,
        )
        selection = learn(job, on_event)
        chosen = selection.chosen
        return Trained(
            head=chosen.head,
            temperature=chosen.temperature,
            network=None if chosen is selection.probe else _network(chosen, checked, class_names),
            val=chosen.val,
            val_rows=job.judging,
            strategy=chosen.strategy,
            history=chosen.history,
            notices=(*catalog.notices, *selection.decision.reasons, *selection.notices),
            **common,
        )


def _network(chosen: TrainedClassifier, checked: ImageSource, class_names: tuple[str, ...]) -> Network:
    return Network(
        graph=chosen.graph().SerializeToString(),
        weights=chosen.weights(),
        reference_NK=_probabilities(chosen.reference(checked), class_names, chosen.temperature),
    )


def as_predictions(
    logits_NK: NDArray[np.float32], class_names: tuple[str, ...], labels_N: NDArray[np.int64] | None = None
) -> Predictions:
    """Logits as the record that judging takes."""
    return Predictions(
        logits_NK=logits_NK,
        labels_N=np.zeros(len(logits_NK), np.int64) if labels_N is None else labels_N,
        paths=tuple(map(str, range(len(logits_NK)))),
        class_names=class_names,
    )


def _probabilities(
    logits_NK: NDArray[np.float32], class_names: tuple[str, ...], temperature: float
) -> NDArray[np.float64]:
    return probabilities(as_predictions(logits_NK, class_names), temperature)


def _prepared(source: ImageSource) -> Iterator[NDArray[np.uint8]]:
    return (images for _, images in batches(source, np.arange(len(source)), 32))


def _spread(n: int, count: int) -> NDArray[np.int64]:
    """At most ``count`` rows at even distances."""
    return np.linspace(0, n - 1, min(count, n)).astype(np.int64)
