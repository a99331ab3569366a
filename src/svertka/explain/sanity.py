"""Sanity checks of explanations: with randomised weights the maps must change (Adebayo et al. 2018).

The model parameter randomisation test of Adebayo et al. 2018, Sanity Checks for Saliency Maps (arXiv 1810.03292), which
popular methods fail: their maps show edges of the image whatever the network. Here each tensor keeps its numbers in
another order, so the network stays as loud as it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from svertka.explain.cam import evidence
from svertka.explain.occlusion import COARSE, Occlusion, occlude, occlusion_map
from svertka.explain.opened_bundle import F32, Image, Look, OpenedBundle
from svertka.features.linear_head import LinearHead
from svertka.schema import MethodName, SanityCheck

LARGEST_CORRELATION = 0.5
"""Between maps of the trained and a shuffled network, in the mean over images: above it, less than three quarters of
the ranks' variance come from what was learnt."""

_GRID = 14
_HEADS = 4  # shuffled ones; trying another costs no pass


@dataclass(frozen=True, slots=True)
class Method:
    """A way to explain: what it asks the network of an image, and the map that it draws of the answers for a class.

    Only asking costs passes, so another head is tried on the same answers.
    """

    name: MethodName
    ask: Callable[[OpenedBundle, Image], Any]
    draw: Callable[[OpenedBundle, Any, int], F32]


def _ask_with_squares_covered(network: OpenedBundle, image_SSC: Image) -> tuple[Look, Occlusion]:
    look = network.look(image_SSC)
    return look, occlude(network, look, COARSE)


METHODS = (
    # The sign is kept: without it a map may be empty and have no ranks.
    Method("grad_cam", OpenedBundle.look, lambda network, look, label: evidence(network, look, label, _GRID)),
    Method(
        "occlusion",
        _ask_with_squares_covered,
        lambda network, asked, label: occlusion_map(network, asked[0], asked[1], label),
    ),
)


def check_sanity(
    network: OpenedBundle, method: Method, images: Sequence[Image], labels: Sequence[int], seed: int = 0
) -> tuple[SanityCheck, ...]:
    """Compares a method's maps of the trained network with those of the same network with shuffled weights.

    For each prepared image its label names the class to explain. There is one record for the head shuffled alone, and
    one for all weights shuffled.
    """
    asked = [method.ask(network, image) for image in images]
    trained = [method.draw(network, answer, label) for answer, label in zip(asked, labels, strict=True)]
    heads = [shuffled(network, seed + number) for number in range(_HEADS)]
    by_head = [
        rank_correlation(drawn, method.draw(other, answer, label))
        for other in heads
        for drawn, answer, label in zip(trained, asked, labels, strict=True)
    ]
    other = shuffled(network, seed, body=True)
    by_all = [
        rank_correlation(drawn, method.draw(other, method.ask(other, image), label))
        for drawn, image, label in zip(trained, images, labels, strict=True)
    ]
    return _record(method, "head", by_head, len(images)), _record(method, "all", by_all, len(images))


def _record(method: Method, depth: Literal["head", "all"], correlations: Sequence[float], images: int) -> SanityCheck:
    mean = float(np.mean(correlations))
    error = float(np.std(correlations, ddof=1) / np.sqrt(images)) if images > 1 else 1.0
    return SanityCheck(
        method=method.name,
        shuffled=depth,
        correlation=mean,
        standard_error=error,
        n=images,
        passed=abs(mean) < LARGEST_CORRELATION,
    )


def shuffled(network: OpenedBundle, seed: int, *, body: bool = False) -> OpenedBundle:
    """The same network with the numbers of each tensor in another order: the head's, or those of every layer."""
    rng = np.random.default_rng(seed)
    head = network.head
    weight_KD = rng.permuted(head.scaled_weight_KD, axis=1)
    other = LinearHead(head.mean_D, np.ones_like(head.mean_D), weight_KD, head.bias_K)
    constants = {}
    if body:
        for name in network.anatomy.weights:
            values = network.anatomy.constants[name]
            constants[name] = rng.permutation(values.ravel()).reshape(values.shape)
    return network.with_weights(other, constants)


def rank_correlation(a: F32, b: F32) -> float:
    """Spearman's coefficient of two maps of one shape; a map without differences goes with none: 0."""
    from scipy.stats import rankdata

    ranks = [rankdata(one).astype(np.float32) for one in (a, b)]
    if any(np.ptp(one) == 0 for one in ranks):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
