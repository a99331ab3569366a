"""The explanations in a run's report: examples, patches, an embedding, sanity checks and shortcut probes."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from svertka.data.loader import ImageSource
from svertka.evaluate import predicted_labels, probabilities
from svertka.explain.cam import evidence
from svertka.explain.embedding import MOST, map_features
from svertka.explain.occlusion import COARSE, covered_probability, occlude, occlusion_map
from svertka.explain.opened_bundle import F32, Image, OpenedBundle
from svertka.explain.patches import top_patches
from svertka.explain.sanity import METHODS, check_sanity
from svertka.explain.shortcuts import probe_shortcuts
from svertka.schema import (
    AttributionMap,
    Catalog,
    Evaluation,
    Explanation,
    Insight,
    MethodName,
    Predictions,
    SanityCheck,
    Split,
    SplitName,
)

_EACH = 2  # examples a kind
_GRID = 28  # of a saved map
_SANITY_IMAGES: Mapping[MethodName, int] = {"grad_cam": 8, "occlusion": 3}
_SLOW = 300  # images whose features are computed anew for the map

_OTHERS = 240  # passes for covered images, shuffled networks, examples and patches

Features = Callable[[ImageSource], F32]


def looks(test: int) -> int:
    """About how many images the network is shown by ``look_inside``, with so many test images of unknown features."""
    return min(test, _SLOW) + _OTHERS


def look_inside(
    network: OpenedBundle,
    *,
    catalog: Catalog,
    split: Split,
    sources: Mapping[SplitName, ImageSource],
    test: Predictions,
    evaluation: Evaluation,
    seed: int,
    features: Features | None = None,
) -> Insight:
    """Explains a trained classifier on its test images; nothing is chosen by what is seen.

    ``features`` gives those of a source's images where they are known already; None computes some anew.
    """
    source = sources["test"]
    few = _spread(len(test), MOST if features is not None else _SLOW)
    chosen = source.rows(few)
    x_ND = features(chosen) if features is not None else network.features(chosen.read(np.arange(len(chosen))))
    paths = [test.paths[row] for row in few]
    patches = top_patches(network, x_ND, lambda row: chosen.read(np.array([row]))[0], paths) if network.stages else ()
    return Insight(
        preprocess=network.preprocess,
        examples=explain_examples(network, source, test, evaluation.temperature),
        patches=patches,
        feature_map=map_features(x_ND, network.head, test, few, seed),
        sanity=_sanity(network, source, test, seed),
        shortcuts=probe_shortcuts(catalog, split, sources, evaluation.metrics.get("roc_auc"), seed),
    )


def explain_examples(
    network: OpenedBundle, source: ImageSource, test: Predictions, temperature: float
) -> tuple[Explanation, ...]:
    """The surest right and wrong answers and the least sure ones, with maps of the best two classes."""
    found = []
    for why, rows in choose_examples(test, temperature).items():
        for row in rows:
            image = source.read(np.array([row]))[0]
            found.append(explain_image(network, image, test.paths[row], why=why, truth=int(test.labels_N[row])))
    return tuple(found)


def choose_examples(test: Predictions, temperature: float) -> dict[str, list[int]]:
    """Rows of the test images to show: the surest right answers (of different classes), surest wrong, least sure."""
    p_NK = probabilities(test, temperature)
    top_N2 = np.sort(p_NK, axis=1)[:, -2:]
    predicted_N, sure_N = predicted_labels(test), top_N2[:, 1]
    order = np.argsort(-sure_N, kind="stable")
    right = predicted_N == test.labels_N
    firsts = {int(predicted_N[row]): int(row) for row in reversed(order) if right[row]}
    unsure = np.argsort(top_N2[:, 1] - top_N2[:, 0], kind="stable")
    wrong = [int(row) for row in order if not right[row]][:_EACH]
    return {
        "right": sorted(firsts.values(), key=lambda row: -sure_N[row])[:_EACH],
        "wrong": wrong,
        "unsure": [int(row) for row in unsure if row not in wrong][:_EACH],
    }


def explain_image(
    network: OpenedBundle,
    image_SSC: Image,
    path: str,
    *,
    why: str = "asked",
    truth: int | None = None,
    grid: int = _GRID,
    cells: int = 0,
) -> Explanation:
    """Maps of the best and the second-best class of one prepared image.

    The class activation map has ``grid`` places a side, the occlusion map ``cells``; 0 leaves that out where there is a
    class activation map.
    """
    look = network.look(image_SSC)
    p_K = network.probabilities(look.features_D[None])[0]
    best = [int(label) for label in np.argsort(-p_K, kind="stable")[:2]]
    maps = []
    if network.stages:
        maps += [_attribution_map("grad_cam", label, evidence(network, look, label, grid)) for label in best]
    if cells or not network.stages:
        covered = occlude(network, look, cells or COARSE)
        maps += [
            _attribution_map(
                "occlusion",
                label,
                occlusion_map(network, look, covered, label),
                covered_probability(network, covered, label),
            )
            for label in best
        ]
    return Explanation(
        path=path,
        why=why,  # type: ignore[arg-type]
        truth=truth,
        probabilities=tuple(float(p) for p in p_K),
        heats=tuple(maps),
    )


def _attribution_map(method: MethodName, label: int, plane: F32, left: float | None = None) -> AttributionMap:
    return AttributionMap(
        method=method,
        label=label,
        rows=tuple(tuple(round(float(value), 4) for value in row) for row in plane),
        left=left,
    )


def _sanity(network: OpenedBundle, source: ImageSource, test: Predictions, seed: int) -> tuple[SanityCheck, ...]:
    found: list[SanityCheck] = []
    for method in METHODS if network.stages else METHODS[1:]:
        rows = _spread(len(test), _SANITY_IMAGES[method.name])
        images = source.rows(rows).read(np.arange(len(rows)))
        labels = [int(label) for label in predicted_labels(test)[rows]]
        found += check_sanity(network, method, list(images), labels, seed)
    return tuple(found)


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """Rows spread evenly over all."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(np.int64))
