"""Runs the advisor on a folder: which strategy suits these data.

Test images, brought or set aside by the split that ``train`` would make, take no part.
"""

from dataclasses import replace

import numpy as np

from svertka.config import RunConfig
from svertka.errors import ConfigError
from svertka.features.experiment import Experiment
from svertka.features.extractor import open_extractor
from svertka.features.feature_table import extract
from svertka.model_selection import advisor
from svertka.schema import Advanced, Advice, EventSink, StepStarted, ignore_events


def advise(config: RunConfig, on_event: EventSink = ignore_events) -> Advice:
    """Says which cell of the matrix the data are in, and which strategy follows.

    Looks at no more than about a thousand images, twice: through the pretrained network and through the same network
    with random weights.

    Raises:
        ConfigError: the network is to start from random weights, so there is nothing to transfer.
        SvertkaError: with what else is wrong and what to do.
    """
    if config.weights == "none":
        raise ConfigError(
            "weights is 'none'; expected pretrained weights: advice is on how to transfer what they know."
        )
    return advise_on(Experiment.open(config, on_event), on_event)


def advise_on(experiment: Experiment, on_event: EventSink = ignore_events) -> Advice:
    """The same for an experiment that is open already."""
    config = experiment.config
    random = open_extractor(with_random_weights(config), experiment.cache, experiment.extractor.threads, on_event)
    random = random.seeing(experiment.catalog.ranges)
    learnable = experiment.learnable
    labels_N = experiment.catalog.labels()[learnable]
    rows = advisor.choose_rows(labels_N, config.seed)
    source = experiment.source(learnable[rows])
    on_event(StepStarted("features", 2 * len(source)))
    return advisor.advise(
        extract(experiment.extractor, source, experiment.cache, on_event),
        extract(random, source, experiment.cache, _after(on_event, len(source))),
        np.bincount(labels_N, minlength=len(experiment.catalog.class_names)),
        np.array(experiment.split.units)[learnable[rows]],
        config.seed,
    )


def with_random_weights(config: RunConfig) -> RunConfig:
    """The very same network, taps and stem, that has learnt nothing; not one to be trained from scratch."""
    return replace(config, weights="none", strategy="probe", folds=0)


def _after(on_event: EventSink, done: int) -> EventSink:
    return lambda event: on_event(Advanced(done + event.done) if isinstance(event, Advanced) else event)
