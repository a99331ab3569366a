"""Checks that ONNX Runtime and torch give the same probabilities before a model is handed over.

Shapes: N images, D features, K classes.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from svertka.errors import BundleError
from svertka.inference.backends import ONNX, Run, open_graph
from svertka.inference.onnxruntime_session import FEATURES, PROBABILITIES
from svertka.onnx_graph.edit import rewired
from svertka.schema import Parity

LARGEST_DIFFERENCE = 1e-4
"""Between probabilities of ONNX Runtime and torch where the head says nothing else: float32 in another order gives
about 1e-6, a wrong graph far more."""

ROUNDINGS = 8.0
"""Relative error of a feature, in units of float32's epsilon. Measured on EfficientNet-Lite0: 0.05 to 0.4 of them."""

LARGEST_ALLOWED = 1e-2
"""No head may ask for more: one whose probabilities are unknown in the second decimal is not handed over."""

_TIE = 1e-5  # two classes whose reference probabilities are this close are a tie: either label is right

Head = Mapping[str, NDArray[np.float32]]
"""``mean`` [D], ``weight`` [K, D] and ``temperature`` [] as ``classifier_graph.attach_head`` writes them."""


def rounding_bound(head: Head, x_ND: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far probabilities of two engines may be apart by rounding alone, [N].

    A feature x that two engines compute in float32 is known to about ``c · eps · |x|`` (c is ``ROUNDINGS``, eps is
    float32's epsilon), and so is the mean m that is taken away from it. With ``logit = Σ w (x - m) / T`` thus

        ``|Δlogit| ≤ c · eps · Σ |w| (|x| + |m|) / T``

    however small x - m is: where features hardly vary, weights are large and nearly all digits cancel. Softmax turns
    that into ``Δp = p (Δlogit - Σ p Δlogit)``, which is at most ``p (1 - p)`` times the range of the Δlogits. Since
    p (1 - p) ≤ 1/4 and the range is at most twice the largest of them, ``|Δp| ≤ max |Δlogit| / 2``.
    """
    size_ND = np.abs(x_ND).astype(np.float64) + np.abs(head["mean"])
    spread_NK = size_ND @ np.abs(head["weight"]).astype(np.float64).T
    bound_N: NDArray[np.float64] = (
        0.5 * ROUNDINGS * np.finfo(np.float32).eps * spread_NK.max(axis=1) / float(head["temperature"])
    )
    return bound_N


def tolerance(model: bytes, head: Head, images_NSSC: NDArray[np.uint8], threads: int) -> NDArray[np.float64]:
    """What ``compare`` should forgive for each image, [N]: ``rounding_bound``, between the two constants above.

    The head is that of the classifier graph; an empty one says nothing.
    """
    if not head or not len(images_NSSC):
        return np.full(len(images_NSSC), LARGEST_DIFFERENCE)
    (x_ND,) = open_graph(rewired(model, [FEATURES]), ONNX, threads)(images_NSSC, [FEATURES])
    return np.clip(rounding_bound(head, x_ND), LARGEST_DIFFERENCE, LARGEST_ALLOWED)


def compare(
    run: Run,
    images_NSSC: NDArray[np.uint8],
    reference_NK: NDArray[np.floating],
    allowed_N: NDArray[np.float64] | None = None,
) -> Parity:
    """Compares an engine's probabilities with the reference network's on the same images.

    Args:
        run: the engine.
        images_NSSC: prepared.
        reference_NK: the network's own probabilities of them.
        allowed_N: largest difference for each image; ``LARGEST_DIFFERENCE`` if there is none.

    Raises:
        BundleError: they differ by more, or in a label that is no tie.
    """
    n = len(images_NSSC)
    if n == 0:
        raise BundleError("There are no images to compare ONNX Runtime and torch on; expected at least 1.")
    allowed_N = np.full(n, LARGEST_DIFFERENCE) if allowed_N is None else allowed_N
    (probabilities_NK,) = run(images_NSSC, [PROBABILITIES])
    if probabilities_NK.shape != reference_NK.shape:
        raise BundleError(
            f"The graph gives probabilities {list(probabilities_NK.shape)}, the network {list(reference_NK.shape)}; "
            "expected the same shape. The graph belongs to another network."
        )
    apart_N = np.abs(probabilities_NK - reference_NK).max(axis=1)
    labels_N, expected_N = probabilities_NK.argmax(axis=1), reference_NK.argmax(axis=1)
    lost_N = reference_NK.max(axis=1) - reference_NK[np.arange(n), labels_N]
    tie_N = np.where(allowed_N > LARGEST_DIFFERENCE, 2 * allowed_N, _TIE)
    wrong = int((lost_N > tie_N).sum())
    if not (apart_N <= allowed_N).all() or wrong:
        worst = int(np.argmax(np.where(np.isnan(apart_N), np.inf, apart_N - allowed_N)))
        raise BundleError(
            f"The exported graph and the network disagree on {n} test images: probabilities differ by up to "
            f"{apart_N[worst]:.2g} (expected at most {allowed_N[worst]:.2g}) and {wrong} labels differ (expected "
            "none). No bundle was written; the exported graph is wrong for this network."
        )
    return Parity(n=n, max_probability_difference=float(apart_N.max()), same_labels=int((labels_N == expected_N).sum()))
