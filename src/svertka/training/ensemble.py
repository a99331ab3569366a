"""A network a fold, averaged: every image is judged by the one network that learns without the image's fold.

The mean of the logits of networks with linear heads is one linear head on all their features side by side, exactly. So
what comes out is a candidate like any other: features, a head, a temperature, and a graph. Each network's logits are
taken at its own temperature, so that none outweighs the others by being surer.

Validation figures are those of single networks, each on the fold that chose its epoch; the mean is a little better, and
its confidences, at a temperature fitted to single networks, are a little low.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from svertka.bundle.classifier_graph import check_joinable, join_features
from svertka.config import StrategyName
from svertka.data.folds import make_folds
from svertka.data.loader import ImageSource
from svertka.evaluate import fit_temperature
from svertka.features.probe_ensemble import joined, joint_head
from svertka.schema import Event, EventSink, Notice, Predictions, Split, TrainingPlanned
from svertka.training import candidates
from svertka.training.candidates import Member, TrainedClassifier, TrainingJob


def train(
    job: TrainingJob, name: StrategyName, on_event: EventSink, *, insist: bool
) -> tuple[TrainedClassifier | None, Notice]:
    """Trains a network a fold by one strategy, all of them by one plan, and takes the mean of their logits.

    Args:
        job: whose configuration has folds; each network has a folder of its own inside the job's.
        name: of a strategy that trains weights.
        on_event: hears what happens.
        insist: see ``candidates.plan``.

    Returns:
        The candidate, None where the budget is too small; and what the budget allowed.

    Raises:
        DataError: a class has too few images for so many folds.
        TrainingError: training diverged before one epoch was good.
        BundleError: such networks can't be joined in one graph.
    """
    check_joinable(job.experiment.engine.graph(), job.experiment.config.folds)
    jobs = _lesson_a_fold(job)
    probes = [candidates.probe(one) for one in jobs]
    planned = candidates.plan(jobs[0], probes[0], name, insist=insist, networks=len(jobs))
    if planned.strategy is None:
        return None, planned.why
    members = []
    for number, (one, probe) in enumerate(zip(jobs, probes, strict=True), 1):
        on_event(Notice("trial", {"name": name, "fold": number, "folds": len(jobs)}))
        trained = candidates.train(one, probe, planned, on_event if number == 1 else _without_plan(on_event))
        members.append(Member(candidate=_at_its_temperature(trained), experiment=one.experiment))
    return _mean(members, job), planned.why


def _lesson_a_fold(job: TrainingJob) -> list[TrainingJob]:
    """For each fold the job that learns from the others and chooses epoch and temperature on it.

    Each has a seed of its own, so that networks differ in the order of images and in their random changes too.
    """
    experiment, config = job.experiment, job.experiment.config
    table = joined(job.tables["train"], job.tables["val"])
    row = {record: number for number, record in enumerate(job.judging)}
    jobs = []
    for number, fold in enumerate(
        make_folds(experiment.catalog, experiment.split, config.folds, config.val_fraction), 1
    ):
        split: Split = replace(experiment.split, train=tuple(sorted((*fold.train, *fold.val))), val=fold.test)
        folder, seed = job.folder / f"fold-{number}", (config.seed + number - 1) % 2**32
        folder.mkdir(exist_ok=True)
        jobs.append(
            replace(
                job,
                experiment=replace(experiment, split=split, config=replace(config, folds=0, seed=seed)),
                tables={
                    "train": table.rows([row[record] for record in split.train]),
                    "val": table.rows([row[record] for record in split.val]),
                },
                folder=folder,
            )
        )
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
    head = network.head.scaled(factor)

    def reference(source: ImageSource) -> NDArray[np.float32]:
        return np.float32(factor) * network.reference(source)

    return replace(
        network,
        head=head,
        val=replace(network.val, logits_NK=np.float32(factor) * network.val.logits_NK),
        temperature=1.0,
        reference=reference,
        weights=lambda: network.weights() | candidates.head_weights(head),
    )


def _mean(members: Sequence[Member], job: TrainingJob) -> TrainedClassifier:
    networks = [member.candidate for member in members]
    first = networks[0]
    head = joint_head([network.head for network in networks])
    val = _unseen(members, job)

    def side_by_side(source: ImageSource) -> Iterator[NDArray[np.float32]]:
        for blocks in zip(*(network.features(source) for network in networks), strict=True):
            yield np.concatenate(blocks, axis=1)

    def mean_reference(source: ImageSource) -> NDArray[np.float32]:
        logits_MNK = np.stack([network.reference(source) for network in networks])
        mean_NK: NDArray[np.float32] = logits_MNK.mean(axis=0)
        return mean_NK

    return TrainedClassifier(
        strategy=first.strategy,
        head=head,
        val=val,
        temperature=fit_temperature(val),
        features=side_by_side,
        reference=mean_reference,
        graph=lambda: join_features([network.graph() for network in networks]),
        weights=lambda: _weights(networks) | candidates.head_weights(head),
        history=first.history,
        phases=first.phases,
        notices=tuple(notice for number, network in enumerate(networks) for notice in _new(networks[:number], network)),
        members=tuple(members),
    )


def _unseen(members: Sequence[Member], job: TrainingJob) -> Predictions:
    """What each image got from the network that has not learnt from it, in the order of ``job.judging``."""
    catalog = job.experiment.catalog
    row = {record: number for number, record in enumerate(job.judging)}
    logits_NK = np.empty((len(row), len(catalog.class_names)), np.float32)
    for member in members:
        logits_NK[[row[record] for record in member.experiment.split.val]] = member.candidate.val.logits_NK
    records = list(job.judging)
    return Predictions(
        logits_NK=logits_NK,
        labels_N=catalog.labels()[records],
        paths=tuple(catalog.records[record].path for record in records),
        class_names=catalog.class_names,
    )


def _weights(networks: Sequence[TrainedClassifier]) -> dict[str, NDArray[np.generic]]:
    """Each network's own under ``networkN.``, as the tensors of the graph are named."""
    return {
        f"network{number}.{name}": value
        for number, network in enumerate(networks, 1)
        for name, value in network.weights().items()
    }


def _new(earlier: Sequence[TrainedClassifier], network: TrainedClassifier) -> list[Notice]:
    """What none of the earlier networks said."""
    return [notice for notice in network.notices if not any(notice in one.notices for one in earlier)]
