"""Feature extraction: a linear probe on the untouched backbone's features."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from svertka.data.folds import make_folds
from svertka.data.loader import ImageSource
from svertka.evaluate import fit_temperature
from svertka.features.extractor import FeatureExtractor, TorchExtractor
from svertka.features.feature_table import FeatureTable, extract
from svertka.features.linear_head import LinearHead
from svertka.features.linear_probe import Probe, fit_probe
from svertka.features.probe_ensemble import fit_folds, joined
from svertka.schema import Predictions
from svertka.training.job import TrainingJob
from svertka.training.trained_classifier import TrainedClassifier

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, kw_only=True)
class ProbeClassifier(TrainedClassifier):
    """A linear head on the frozen backbone; with folds the mean of a head a fold, which is a linear head again."""

    extractor: FeatureExtractor
    """The backbone."""

    cache: Path
    """Folder of its features."""

    out_of_fold: tuple[Predictions, ...]
    """What was said of each image to learn from by a probe that hadn't seen it: validation, then training images."""

    def features(self, source: ImageSource) -> Iterator[NDArray[np.float32]]:
        """Features of a source's images, in blocks [n, D]; from the cache where they are known."""
        return (x_ND for _, x_ND in extract(self.extractor, source, self.cache).blocks())

    def reference(self, source: ImageSource) -> NDArray[np.float32]:
        """Logits of a source's images [N, K] by torch, for the parity check."""
        return _logits(self.head, extract(TorchExtractor(self.extractor), source, self.cache))

    def graph(self) -> "onnx.ModelProto":
        """The backbone's graph."""
        return self.extractor.graph()

    def weights(self) -> dict[str, NDArray[Any]]:
        """Parameters by name, the head's included."""
        return self.extractor.weights() | self.head_weights()


def train_probe(job: TrainingJob) -> ProbeClassifier:
    """Fits the probe, with folds a probe a fold."""
    head, val, others = _mean_of_folds(job) if job.experiment.config.folds else _single(job)
    return ProbeClassifier(
        strategy="probe",
        head=head,
        val=val,
        temperature=fit_temperature(val, *others),
        extractor=job.experiment.extractor,
        cache=job.experiment.cache,
        out_of_fold=(val, *others),
    )


def _single(job: TrainingJob) -> tuple[LinearHead, Predictions, list[Predictions]]:
    """A probe of the training images, what it says of the validation images, and its folds of the training images."""
    experiment, table = job.experiment, job.tables["train"]
    names, units_N = experiment.catalog.class_names, np.array(experiment.split.units)[list(experiment.split.train)]
    fitted = fit_probe(table, len(names), experiment.config.seed, units_N)
    val = Predictions(
        logits_NK=_logits(fitted.head, job.tables["val"]),
        labels_N=job.tables["val"].y_N,
        paths=experiment.paths("val"),
        class_names=names,
    )
    return fitted.head, val, cross_validated(fitted, table, experiment.paths("train"), names)


def cross_validated(
    fitted: Probe, table: FeatureTable, paths: tuple[str, ...], class_names: tuple[str, ...]
) -> list[Predictions]:
    """What cross-validation said of the images that a probe was fitted to; nothing where classes were too small."""
    if not len(fitted.judged_n):
        return []
    return [
        Predictions(
            logits_NK=fitted.unseen_nK,
            labels_N=table.y_N[fitted.judged_n],
            paths=tuple(paths[row] for row in fitted.judged_n),
            class_names=class_names,
        )
    ]


def _mean_of_folds(job: TrainingJob) -> tuple[LinearHead, Predictions, list[Predictions]]:
    """The mean of a probe a fold; training and validation images are judged by the probe that hasn't seen them."""
    catalog, split, config = job.experiment.catalog, job.experiment.split, job.experiment.config
    indices = job.judging
    row = {index: number for number, index in enumerate(indices)}
    folds = make_folds(catalog, split, config.folds, config.val_fraction)
    held = [np.array([row[index] for index in fold.test], np.int64) for fold in folds]
    table, units_N = joined(job.tables["train"], job.tables["val"]), np.array(split.units)[list(indices)]
    head, unseen_NK = fit_folds(table, held, len(catalog.class_names), config.seed, units_N)
    val = Predictions(
        logits_NK=unseen_NK,
        labels_N=table.y_N,
        paths=(*job.experiment.paths("train"), *job.experiment.paths("val")),
        class_names=catalog.class_names,
    )
    return head, val, []  # these are all images already


def _logits(head: LinearHead, table: FeatureTable) -> NDArray[np.float32]:
    return np.concatenate([head.logits(x_ND) for _, x_ND in table.blocks()])
