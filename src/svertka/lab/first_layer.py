"""First-layer filters, each beside the patches of real images with the highest activation.

As Zeiler and Fergus show features beside the patches that excite them (2014, Visualizing and Understanding
Convolutional Networks, figure 2); in the first layer the filters themselves can be seen as well.

Shapes: O filters, C channels, K/L kernel, H/W image, P/Q answers.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from svertka.engine.convolution import conv2d
from svertka.errors import NotFoundError, ShapeError
from svertka.schema import Preprocess

BEST = 8
_SILENT = 0.01  # of the loudest filter's norm

F32 = NDArray[np.float32]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class FirstLayer:
    """A network's first convolution."""

    network: str
    """Its name, to stand in a sentence."""
    layer: str
    kernels_OCKL: F32
    """With BatchNorm folded in, where it follows."""
    biases_O: F32
    """Likewise."""
    preprocess: Preprocess
    """From files to the network's pixels."""
    see: Callable[[Pixels], F32]
    """These pixels [S, S, 3] to the convolution's input [C, S, S], without padding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterPatch:
    """A place in an image, and how strongly one filter answers to it."""

    filter: int
    """From 1."""
    rank: int
    """1 for the strongest answer."""
    answer: float
    """Of the convolution with its BatchNorm, before the activation."""
    deviations: float
    """The same in standard deviations from the filter's mean answer over all patches."""
    image: int
    """Number in the order of the images, from 1."""
    row: int
    """Of the patch's upper edge, in the network's pixels."""
    column: int
    """Of its left edge."""
    colour_share: float
    """Of the filter: how much of its squared norm tells colours apart (the rest is equal in all)."""
    even_share: float
    """How much is the same all over the patch: it answers to light or colour itself, not to a change."""


# --- where filters come from -------------------------------------------------------------------------------------


def of_backbone(name: str, weights: str, seed: int = 0) -> FirstLayer:
    """The first layer of a network by name; arguments as in ``backbones.load_backbone``.

    Raises:
        NotFoundError: the name or the weights are unknown, or the network has no convolution.
        WeightsError: the weights cannot be fetched or do not fit.
    """
    from torch import nn

    from svertka.architectures.small import Whitening
    from svertka.backbones.load import load_backbone

    backbone = load_backbone(name, weights, seed=seed)
    leaves = [
        (path, module)
        for path, module in backbone.module.body.named_modules()
        # timm's BatchNorm has its activation inside; the convolution's answer is meant before that.
        if isinstance(module, nn.BatchNorm2d) or not list(module.children())
    ]
    found = [number for number, (_, leaf) in enumerate(leaves) if isinstance(leaf, nn.Conv2d | Whitening)]
    if not found:
        raise NotFoundError(f"{name} has no convolution; expected a convolutional network, such as resnet18.")
    (path, first), after = leaves[found[0]], leaves[found[0] + 1 : found[0] + 2]
    assert isinstance(first, nn.Conv2d | Whitening)
    kernels = first.weight.detach().numpy()
    biases = np.zeros(len(kernels), np.float32) if first.bias is None else first.bias.detach().numpy()
    for _, norm in after:
        if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None:
            mean, variance = norm.running_mean.numpy(), norm.running_var.numpy()
            gain = norm.weight.detach().numpy() / np.sqrt(variance + norm.eps)
            kernels, biases = kernels * gain[:, None, None, None], (biases - mean) * gain + norm.bias.detach().numpy()
    mean_C, std_C = np.array(backbone.preprocess.mean), np.array(backbone.preprocess.std)

    def see(pixels: Pixels) -> F32:
        return np.asarray((pixels / 255 - mean_C) / std_C, np.float32).transpose(2, 0, 1)

    return FirstLayer(
        network=f"{name} ({backbone.source.name})",
        layer=path,
        kernels_OCKL=np.asarray(kernels, np.float32),
        biases_O=np.asarray(biases, np.float32),
        preprocess=backbone.preprocess,
        see=see,
    )


def of_bundle(path: str) -> FirstLayer:
    """The first layer of a trained network of the user's own, from a bundle or a run folder with one; needs no torch.

    Raises:
        NotFoundError: there is no bundle, or its network has no convolution.
        BundleError: it is damaged.
    """
    from svertka.bundle.bundle import open_bundle
    from svertka.bundle.manifest import MODEL
    from svertka.inference.backends import as_graph_error, open_numpy
    from svertka.inference.outputs import check_finite

    bundle, model = open_bundle(path)
    twin, where = open_numpy(model), str(bundle.directory / MODEL)
    node = next((node for node in twin.graph.nodes if node.op == "Conv"), None)
    if node is None:
        raise NotFoundError(f"the network of {path} has no convolution; expected one with a convolution to show.")
    if node.inputs[1] not in twin.graph.constants:
        raise NotFoundError(f"the first convolution of {path} has no fixed weights; expected filters to show.")
    kernels = np.asarray(twin.graph.constants[node.inputs[1]], np.float32)
    biases = twin.graph.constants[node.inputs[2]] if any(node.inputs[2:3]) else np.zeros(len(kernels))
    check_finite(kernels, node.name, where)

    def see(pixels: Pixels) -> F32:
        with as_graph_error("fails on an image"):
            seen: F32 = twin(pixels[None], [node.inputs[0]])[node.inputs[0]][0]
        check_finite(seen, node.inputs[0], where)
        return seen

    return FirstLayer(
        network=f"the network of {path}",
        layer=node.name,
        kernels_OCKL=kernels,
        biases_O=np.asarray(biases, np.float32),
        preprocess=bundle.preprocess,
        see=see,
    )


# --- what they answer to -----------------------------------------------------------------------------------------


def best_patches(first: FirstLayer, images: Iterable[Pixels], best: int = BEST) -> tuple[list[FilterPatch], int]:
    """For each filter the ``best`` patches with the strongest answers; two of one image don't overlap.

    Images are the network's pixels, uint8 [S, S, 3], looked at one after another. The kernel stands at every pixel
    where it fits into the image, whatever the network's stride.

    Returns:
        The patches, filter by filter, the strongest first; and how many there were to choose from.

    Raises:
        ShapeError: there is no image, or the kernel doesn't fit into one.
    """
    filters = len(first.kernels_OCKL)
    size = first.kernels_OCKL.shape[2:]
    found: list[list[tuple[float, int, int, int]]] = [[] for _ in range(filters)]
    total, total_squared, count = np.zeros(filters), np.zeros(filters), 0
    for number, pixels in enumerate(images, 1):
        answers = conv2d(first.see(pixels)[None], first.kernels_OCKL, first.biases_O)[0]
        count += answers[0].size
        total += answers.sum((1, 2), dtype=np.float64)
        total_squared += np.square(answers, dtype=np.float64).sum((1, 2))
        for own, plane in zip(found, answers, strict=True):
            own += [(answer, number, row, column) for answer, row, column in _peaks(plane, size, best)]
            own.sort(reverse=True)
            del own[best:]
    if not count:
        raise ShapeError("there is no image to look at; expected at least one.")
    means = total / count
    deviations = np.sqrt(np.maximum(total_squared / count - means**2, 1e-30))
    shares = [(colour_share(kernel), even_share(kernel)) for kernel in first.kernels_OCKL]
    patches = [
        FilterPatch(
            filter=index + 1, rank=rank, answer=answer, deviations=float((answer - means[index]) / deviations[index]),
            image=number, row=row, column=column, colour_share=shares[index][0], even_share=shares[index][1],
        )
        for index, own in enumerate(found)
        for rank, (answer, number, row, column) in enumerate(own, 1)
    ]  # fmt: skip
    return patches, count


def _peaks(plane_PQ: NDArray[np.floating], size: tuple[int, ...], best: int) -> Iterator[tuple[float, int, int]]:
    """The largest answers, each at least a kernel away from those before it: a bright spot counts once."""
    left = plane_PQ.copy()
    for _ in range(best):
        row, column = (int(index) for index in np.unravel_index(int(left.argmax()), left.shape))
        if left[row, column] == -math.inf:
            return
        yield float(left[row, column]), row, column
        rows, columns = (slice(max(0, at - k + 1), at + k) for at, k in zip((row, column), size, strict=True))
        left[rows, columns] = -math.inf


def colour_share(kernel_CKL: F32) -> float:
    """Share of the squared norm that is left when the mean over the channels is taken away: 0 for a gray filter."""
    return _share(kernel_CKL, kernel_CKL - kernel_CKL.mean(0))


def even_share(kernel_CKL: F32) -> float:
    """Share of the squared norm that is the same at all places: 1 for a filter that averages, 0 for an edge."""
    return _share(kernel_CKL, np.broadcast_to(kernel_CKL.mean((1, 2), keepdims=True), kernel_CKL.shape))


def _share(kernel_CKL: F32, part_CKL: F32) -> float:
    whole = float(np.square(kernel_CKL, dtype=np.float64).sum())
    return float(np.square(part_CKL, dtype=np.float64).sum()) / whole if whole else 0.0


def loud(first: FirstLayer) -> list[int]:
    """Numbers (from 1) of the filters that do something: BatchNorm can all but switch one off."""
    norms = np.sqrt(np.square(first.kernels_OCKL, dtype=np.float64).sum((1, 2, 3)))
    return [number for number, norm in enumerate(norms, 1) if norm > _SILENT * norms.max()]


def resemblance(first: FirstLayer, number: int, seen: Sequence[F32]) -> float:
    """Correlation of a filter with the mean of patches, as the layer sees them: [C, K, L] each."""
    kernel, mean = first.kernels_OCKL[number - 1].ravel(), np.mean(seen, axis=0).ravel()
    kernel, mean = kernel - kernel.mean(), mean - mean.mean()
    norms = float(np.linalg.norm(kernel) * np.linalg.norm(mean))
    return float(kernel @ mean) / norms if norms else 0.0


def sentences(
    first: FirstLayer, patches: Sequence[FilterPatch], count: int, images: str, alike: Sequence[float]
) -> tuple[str, str]:
    """What the filters are, and what they answer to; ``patches`` and ``count`` are from ``best_patches``.

    ``images`` says what was looked at, such as ``"2 photographs"``; ``alike`` is the ``resemblance`` of each loud
    filter.
    """
    filters, channels, height, width = first.kernels_OCKL.shape
    heard = set(loud(first))
    best = [patch for patch in patches if patch.rank == 1 and patch.filter in heard]
    even = sum(patch.even_share > 0.5 for patch in best)
    coloured = sum(patch.colour_share > 0.5 for patch in best)
    silent = f", {filters - len(heard)} are all but switched off" if filters > len(heard) else ""
    return (
        f"Of the {filters} filters of {height} × {width} × {channels} in {first.layer} of {first.network}, "
        f"{len(best) - even} answer mostly to change across the patch (edges, lines, dots) and {even} to its overall "
        f"light or colour{silent}; {coloured} tell mostly colours apart.",
        f"Among {count:,} patches of {images} the one that a filter answers to most stands "
        f"{median(patch.deviations for patch in best):.1f} standard deviations above its mean answer (median over "
        f"filters), and the mean of a filter's {max(patch.rank for patch in patches)} best patches looks like the "
        f"filter itself: correlation {median(alike):.2f} (median).",
    )
