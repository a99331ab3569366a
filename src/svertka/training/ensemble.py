"""A k-fold ensemble: a network a fold, averaged; each image is judged by the network that didn't learn from its fold.

The mean of the logits of networks with linear heads is one linear head on all their features side by side, exactly. So
what comes out is a classifier like any other: features, a head, a temperature, and a graph. Each network's logits are
taken at its own temperature, so that none outweighs the others by being surer.

Validation figures are those of single networks, each on the fold that chose its epoch; the mean is a little better, and
its confidences, at a temperature fitted to single networks, are a little low.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from svertka.bundle.classifier_graph import check_joinable, join_features
from svertka.config import StrategyName
from svertka.data.folds import make_folds
from svertka.data.loader import ImageSource
from svertka.evaluate import fit_temperature
from svertka.features.experiment import Experiment
from svertka.features.probe_ensemble import joined, joint_head
from svertka.schema import Event, EventSink, Notice, Predictions, TrainingPlanned
from svertka.training import finetune
from svertka.training.job import TrainingJob, cut_table
from svertka.training.probe import train_probe
from svertka.training.trained_classifier import TrainedClassifier

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, kw_only=True)
class Member:
    """One network of an ensemble, and the images that it learnt from and was chosen on."""

    classifier: TrainedClassifier
    experiment: Experiment


@dataclass(frozen=True, kw_only=True)
class Ensemble(TrainedClassifier):
    """Networks whose logits are averaged."""

    members: tuple[Member, ...]
    """One a fold, each with its temperature in its head."""

    @property
    def networks(self) -> list[TrainedClassifier]:
        """The members' classifiers."""
        return [member.classifier for member in self.members]

    def features(self, source: ImageSource) -> Iterator[NDArray[np.float32]]:
        """Features of all networks side by side, in blocks [n, D1 + D2 + …]."""
        for blocks in zip(*(network.features(source) for network in self.networks), strict=True):
            yield np.concatenate(blocks, axis=1)

    def reference(self, source: ImageSource) -> NDArray[np.float32]:
        """Mean logits of a source's images [N, K] by torch, for the parity check."""
        mean_NK: NDArray[np.float32] = np.stack([network.reference(source) for network in self.networks]).mean(axis=0)
        return mean_NK

    def graph(self) -> "onnx.ModelProto":
        """One graph that gives the features of all networks."""
        return join_features([network.graph() for network in self.networks])

    def weights(self) -> dict[str, NDArray[Any]]:
        """Each network's own under ``networkN.``, as the tensors of the graph are named, and the common head's."""
        own = {
            f"network{number}.{name}": value
            for number, network in enumerate(self.networks, 1)
            for name, value in network.weights().items()
        }
        return own | self.head_weights()


def train(
    job: TrainingJob, name: StrategyName, on_event: EventSink, *, insist: bool
) -> tuple[TrainedClassifier | None, Notice]:
    """Trains a network a fold by one strategy, all of them by one plan, and takes the mean of their logits.

    Args:
        job: whose configuration has folds; each network has a folder of its own inside the job's.
        name: of a strategy that trains weights.
        on_event: hears what happens.
        insist: see ``finetune.plan``.

    Returns:
        The ensemble, None where the budget is too small; and what the budget allowed.

    Raises:
        DataError: a class has too few images for so many folds.
        TrainingError: training diverged before one epoch was good.
        BundleError: such networks can't be joined in one graph.
    """
    check_joinable(job.experiment.extractor.graph(), job.experiment.config.folds)
    jobs = _job_a_fold(job)
    probes = [train_probe(one) for one in jobs]
    planned = finetune.plan(jobs[0], probes[0], name, insist=insist, networks=len(jobs))
    if planned.strategy is None:
        return None, planned.why
    members = []
    for number, (one, probe) in enumerate(zip(jobs, probes, strict=True), 1):
        on_event(Notice("trial", {"name": name, "fold": number, "folds": len(jobs)}))
        trained = finetune.train(one, probe, planned, on_event if number == 1 else _without_plan(on_event))
        members.append(Member(classifier=_at_its_temperature(trained), experiment=one.experiment))
    return _mean(tuple(members), job), planned.why


def _job_a_fold(job: TrainingJob) -> list[TrainingJob]:
    """For each fold the job that learns from the others and chooses epoch and temperature on it.

    Each has a seed of its own, so that networks differ in the order of images and in their random changes too.
    """
    experiment, config = job.experiment, job.experiment.config
    table, jobs = joined(job.tables["train"], job.tables["val"]), []
    folds = make_folds(experiment.catalog, experiment.split, config.folds, config.val_fraction)
    for number, fold in enumerate(folds, 1):
        split = replace(experiment.split, train=tuple(sorted((*fold.train, *fold.val))), val=fold.test)
        folder, seed = job.folder / f"fold-{number}", (config.seed + number - 1) % 2**32
        folder.mkdir(exist_ok=True)
        own = replace(experiment, split=split, config=replace(config, folds=0, seed=seed))
        jobs.append(replace(job, experiment=own, tables=cut_table(table, job.judging, split), folder=folder))
    return jobs


def _without_plan(on_event: EventSink) -> EventSink:
    """Hears all but the plan, which is the first network's."""

    def hear(event: Event) -> None:
        if not isinstance(event, TrainingPlanned):
            on_event(event)

    return hear


def _at_its_temperature(network: TrainedClassifier) -> TrainedClassifier:
    """The same classifier with its temperature, fitted on its fold, in its head."""
    factor = 1 / network.temperature
    val = replace(network.val, logits_NK=np.float32(factor) * network.val.logits_NK)
    return replace(network, head=network.head.scaled(factor), val=val, temperature=1.0)


def _mean(members: tuple[Member, ...], job: TrainingJob) -> Ensemble:
    networks = [member.classifier for member in members]
    val = _out_of_fold(members, job)
    return Ensemble(
        strategy=networks[0].strategy,
        head=joint_head([network.head for network in networks]),
        val=val,
        temperature=fit_temperature(val),
        history=networks[0].history,
        phases=networks[0].phases,
        notices=_distinct(networks),
        members=members,
    )


def _out_of_fold(members: Sequence[Member], job: TrainingJob) -> Predictions:
    """What each image got from the network that has not learnt from it, in the order of ``job.judging``."""
    catalog, records = job.experiment.catalog, list(job.judging)
    row = {record: number for number, record in enumerate(records)}
    logits_NK = np.empty((len(row), len(catalog.class_names)), np.float32)
    for member in members:
        logits_NK[[row[record] for record in member.experiment.split.val]] = member.classifier.val.logits_NK
    return Predictions(
        logits_NK=logits_NK,
        labels_N=catalog.labels()[records],
        paths=tuple(catalog.records[record].path for record in records),
        class_names=catalog.class_names,
    )


def _distinct(networks: Sequence[TrainedClassifier]) -> tuple[Notice, ...]:
    """The notices of all networks, those that are equal once."""
    distinct: list[Notice] = []
    for network in networks:
        distinct += [notice for notice in network.notices if notice not in distinct]
    return tuple(distinct)
