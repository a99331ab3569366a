"""Caches explanations: the same graph and the same images are explained only once."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from svertka.bundle.manifest import MODEL, file_facts
from svertka.data.loader import ImageSource
from svertka.explain.insight import look_inside
from svertka.explain.opened_bundle import open_network
from svertka.features.experiment import Experiment
from svertka.schema import Bundle, Evaluation, EventSink, Insight, Notice, Predictions, ignore_events
from svertka.util import runtime
from svertka.util.atomic_files import read_sealed_json, write_sealed_json
from svertka.util.from_dict import from_dict

_FORMAT = 4
_PACKAGES = ("svertka", "numpy", "scikit-learn", "onnxruntime", "pillow")


def insight_of(
    bundle: Bundle,
    experiment: Experiment,
    test: Predictions,
    evaluation: Evaluation,
    features: Callable[[ImageSource], NDArray[np.float32]] | None = None,
    on_event: EventSink = ignore_events,
) -> Insight:
    """Explains a classifier on its test images, or remembers what an earlier run saw of the very same one.

    ``features`` gives those of a source's images where they are known already; None computes some anew. ``on_event``
    hears a notice if what was remembered was damaged.
    """
    path = experiment.cache / "insights" / f"{_key(bundle, experiment, test)}.json"
    try:
        return from_dict(Insight, read_sealed_json(path))
    except FileNotFoundError:
        pass  # never seen
    except (OSError, ValueError, TypeError):
        on_event(Notice("cached_explanation_damaged", level="warning"))
    insight = look_inside(
        open_network(bundle, experiment.extractor.threads),
        catalog=experiment.catalog,
        split=experiment.split,
        sources=experiment.sources,
        test=test,
        evaluation=evaluation,
        seed=experiment.config.seed,
        features=features,
    )
    with contextlib.suppress(OSError):  # a full or read-only disk costs the next run time, not this one its result
        path.parent.mkdir(parents=True, exist_ok=True)
        write_sealed_json(path, asdict(insight))
    return insight


def _key(bundle: Bundle, experiment: Experiment, test: Predictions) -> str:
    """Digest of all that is looked at: graph, predictions, split, seed, and the files themselves."""
    digest = hashlib.blake2b(file_facts(bundle, MODEL)[1].encode(), digest_size=16)
    digest.update(np.ascontiguousarray(test.logits_NK).tobytes())
    split, versions = experiment.split, runtime.versions(_PACKAGES)
    facts = (_FORMAT, versions, experiment.config.seed, split.train, split.test, list(_files(experiment)))
    digest.update(json.dumps(facts, sort_keys=True).encode())
    return digest.hexdigest()


def _files(experiment: Experiment) -> Iterator[tuple[object, ...]]:
    """Each image's path, label and pixels, and what may have changed of its file beside them."""
    for record in experiment.catalog.records:
        try:
            found = experiment.catalog.file(record).stat()
        except OSError:  # taken away since the scan
            yield record.path, None
        else:
            yield record.path, record.label, record.pixel_hash, found.st_size, found.st_mtime_ns
