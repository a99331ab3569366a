"""Trains on images in memory or by path; the result can be pickled or written as a bundle.

The steps are those of ``pipeline.run`` without a test part, which an estimator's caller keeps to himself.
"""

import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
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
from svertka.estimators.image_input import Images, catalog_of, is_paths, source_of, warn
from svertka.evaluate import fit_temperature, probabilities
from svertka.features.experiment import Experiment
from svertka.features.extractor import FeatureExtractor, open_extractor, torch_features
from svertka.features.feature_table import extract
from svertka.features.linear_head import LinearHead
from svertka.features.linear_probe import fit_probe
from svertka.inference.onnxruntime_session import FEATURES, open_session, run_in_batches
from svertka.model_selection.select import learn
from svertka.pipeline import PACKAGES, checked_images
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
from svertka.util import runtime

WORTH_KEEPING = 32
"""Images from which on their features are kept on disk; a file for a few of them costs more than it saves."""


@dataclass(frozen=True, kw_only=True)
class Fitted(ABC):
    """A classifier that answers: one that has learnt here, or one from a bundle."""

    config: RunConfig
    """That it learnt with, or is opened with."""
    class_names: tuple[str, ...]
    """One a column."""
    preprocess: Preprocess
    """Of its images."""
    temperature: float
    """That logits are divided by before softmax."""
    val: Predictions | None = None
    """Predictions on the images that were held out, with folds on all; None where there are none."""
    strategy: str = "loaded"
    """That was kept."""
    history: tuple[EpochRow, ...] = ()
    """Learning curve, empty for a probe."""

    def logits(self, images: Images) -> NDArray[np.float32]:
        """Logits [N, K], before temperature."""
        source = source_of(images, self.config, self.preprocess, cache_dir())
        return np.concatenate(list(self._logits(source)))

    @abstractmethod
    def _logits(self, source: ImageSource) -> Iterator[NDArray[np.float32]]:
        """Logits of a source's images, in blocks."""

    @abstractmethod
    def write(self, directory: Path, metrics: Mapping[str, Estimate], conformal: Conformal | None) -> Bundle:
        """Writes the bundle; see ``ImageClassifier.save``."""

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: not the open engines, which another process opens for itself."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, kw_only=True)
class FineTunedNetwork:
    """A network whose weights have changed."""

    graph: bytes
    """Of the features, a serialised ONNX model."""
    weights: dict[str, NDArray[Any]]
    """Parameters by name, the head's included."""
    reference_NK: NDArray[np.float64]
    """The torch network's probabilities of the checked images."""


@dataclass(frozen=True, kw_only=True)
class Trained(Fitted):
    """A classifier that has learnt; ``config`` opens the frozen backbone again."""

    head: LinearHead
    """On the features."""
    network: FineTunedNetwork | None = None
    """None where the backbone stayed frozen; features then come from the cache."""
    val_rows: tuple[int, ...] = ()
    """Which images ``val`` is of."""
    checked_NSSC: NDArray[np.uint8]
    """Some prepared images, on which a bundle's engines are compared."""
    notices: tuple[Notice, ...]
    """Why the strategy was kept."""
    source: Source
    """Of the pretrained weights."""
    hashes: tuple[str, ...]
    """Of the images that it learnt from."""
    data_hash: str
    """Of all of them."""

    def _logits(self, source: ImageSource) -> Iterator[NDArray[np.float32]]:
        blocks: Iterator[NDArray[np.float32]]
        if self.network is not None:
            blocks = (run_in_batches(self._session, batch, [FEATURES])[0] for batch in _prepared(source))
        elif len(source) < WORTH_KEEPING:
            blocks = map(self._extractor, _prepared(source))
        else:
            blocks = (x_ND for _, x_ND in extract(self._extractor, source, cache_dir()).blocks())
        return map(self.head.logits, blocks)

    def write(self, directory: Path, metrics: Mapping[str, Estimate], conformal: Conformal | None) -> Bundle:
        """Writes the bundle.

        Raises:
            BundleError: its two engines disagree.
        """
        if self.network is None:
            graph, weights = self._extractor.graph(), self._extractor.weights()
            weights |= {f"head.{name}": value for name, value in asdict(self.head).items()}
            features_ND = torch_features(self._extractor.backbone.module, self.preprocess, self.checked_NSSC)
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
            threads=self._extractor.threads,
        )

    @cached_property
    def _extractor(self) -> FeatureExtractor:
        extractor = open_extractor(self.config, cache_dir(), runtime.setup(self.config.threads).threads)
        return extractor.seeing(self.preprocess.ranges)

    @cached_property
    def _session(self) -> Any:
        assert self.network is not None
        return open_session(self.network.graph, runtime.setup(self.config.threads).threads)


@dataclass(frozen=True, kw_only=True)
class Loaded(Fitted):
    """A classifier from a bundle. It stays in its folder, and is opened when it is first asked."""

    bundle: Bundle

    @classmethod
    def of(cls, bundle: Bundle, threads: int) -> "Loaded":
        """The classifier of a bundle."""
        return cls(
            bundle=bundle,
            config=RunConfig(data="-", threads=threads),
            class_names=bundle.class_names,
            preprocess=bundle.preprocess,
            temperature=bundle.temperature,
        )

    def _logits(self, source: ImageSource) -> Iterator[NDArray[np.float32]]:
        return (self._predictor.infer(batch)[0] for batch in _prepared(source))

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
    started, cache = time.monotonic(), cache_dir()
    if config.from_scratch and not config.size_px:
        sides = longer_sides(images) if is_paths(images) else [max(np.asarray(image).shape[:2]) for image in images]
        config = replace(config, size_px=natural_size(sides, SMALL_PX, config.scratch.largest_px))
    extractor = open_extractor(config, cache, runtime.setup(config.threads).threads, on_event)
    catalog, store = catalog_of(images, config, extractor.preprocess, cache, labels_N=labels_N, groups=groups)
    catalog = replace(catalog, class_names=class_names)
    split = hold_out(catalog, validation_fraction, config)
    experiment = Experiment.of(config, extractor, catalog, split, cache, store, weights_N)
    warn(experiment.catalog.notices)
    return _learn(experiment, started, on_event) if split.val else _probe_alone(experiment, on_event)


def _learn(experiment: Experiment, started: float, on_event: EventSink) -> Trained:
    """Does what the strategy says; validation images decide."""
    sources, cache = experiment.sources, experiment.cache
    with tempfile.TemporaryDirectory(prefix="svertka-") as folder:
        tables = {part: extract(experiment.extractor, sources[part], cache, on_event) for part in LEARNT}
        job = TrainingJob(experiment=experiment, tables=tables, folder=Path(folder), started=started)
        selection = learn(job, on_event)
        chosen = selection.chosen
        network = None
        if chosen is not selection.probe:
            logits_NK = chosen.reference(checked_images(sources["train"]))
            network = FineTunedNetwork(
                graph=chosen.graph().SerializeToString(),
                weights=chosen.weights(),
                reference_NK=_probabilities(logits_NK, experiment.catalog.class_names, chosen.temperature),
            )
    return Trained(
        head=chosen.head,
        temperature=chosen.temperature,
        network=network,
        val=chosen.val,
        val_rows=job.judging,
        strategy=chosen.strategy,
        history=chosen.history,
        notices=(*experiment.catalog.notices, *selection.decision.reasons, *selection.notices),
        **_facts(experiment),
    )


def _probe_alone(experiment: Experiment, on_event: EventSink) -> Trained:
    """A probe of all images; cross-validation fits its temperature."""
    names, units_N = experiment.catalog.class_names, np.array(experiment.split.units)
    table = extract(experiment.extractor, experiment.sources["train"], experiment.cache, on_event)
    probe = fit_probe(table, len(names), experiment.config.seed, units_N)
    return Trained(
        head=probe.head,
        temperature=fit_temperature(*cross_validated(probe, table, experiment.paths("train"), names)),
        strategy="probe",
        notices=experiment.catalog.notices,
        **_facts(experiment),
    )


def _facts(experiment: Experiment) -> dict[str, Any]:
    """What a classifier keeps of its experiment, whatever has learnt."""
    catalog, split = experiment.catalog, experiment.split
    checked = checked_images(experiment.sources["train"])
    return {
        "config": experiment.config,
        "class_names": catalog.class_names,
        "preprocess": experiment.extractor.preprocess,
        "checked_NSSC": checked.read(np.arange(len(checked))),
        "source": experiment.extractor.source,
        "hashes": tuple(catalog.records[index].pixel_hash for index in (*split.train, *split.val)),
        "data_hash": catalog.hash,
    }


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
