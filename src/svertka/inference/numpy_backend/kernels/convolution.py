"""Chooses the convolution kernel by the cost of its sizes."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from svertka.engine.geometry import NO_PADS, Window
from svertka.inference.numpy_backend.kernels.depthwise import depthwise
from svertka.inference.numpy_backend.kernels.gemm import gathered_windows, rows_by_matrix
from svertka.inference.numpy_backend.kernels.kernel import Convolution, Kernel, Piece, on_pixels, shares_outputs
from svertka.inference.numpy_backend.kernels.winograd import transform_kernels, winograd
from svertka.onnx_graph.graph import F32, Array, Node

Pack = Callable[[str, Callable[[], F32]], F32]
"""Gives weights in another form under a name: made once, kept for plans of other sizes."""


def convolution(conv: Convolution, node: Node, pack: Pack) -> Kernel:
    """The kernel for a Conv node with what passes have noted on it; ``pack`` keeps transformed weights."""
    weight_OCKL, window = conv.weight_OCKL, conv.window
    if node.get("group", 1) > 1:
        return _grouped(conv, node.attributes["group"])
    if window.kernel == (1, 1) and window.stride == (1, 1) and window.pads == NO_PADS:
        weight_CO = pack("matrix", lambda: np.ascontiguousarray(weight_OCKL[:, :, 0, 0].T))
        return on_pixels(rows_by_matrix(weight_CO, conv.bias_O, conv.activation, conv.workers, node.get("pre", None)))
    cost = costs(weight_OCKL.shape, window, conv.out_shape, conv.workers)
    if m := min(cost, key=lambda m: cost[m]):
        return winograd(conv, pack(f"winograd {m}", lambda: transform_kernels(weight_OCKL, m)))
    return gathered_windows(conv)


def _seconds(products: int, rows: int, channels: int, outputs: int, workers: int) -> float:
    """Of so many matrix products, up to a factor: with few rows, packing the weights takes longer than multiplying."""
    together = rows if shares_outputs(rows, outputs, workers) else rows / workers
    return products * rows * channels * outputs * (1 + 21 / together)


def costs(weight: tuple[int, ...], window: Window, out_shape: tuple[int, ...], workers: int) -> dict[int, float]:
    """What a convolution would cost, up to a factor, by side of Winograd's output tile; 0 stands for plain windows.

    A transform costs as much as some 20 products for each number that it reads or writes. Sizes are those of
    ``Convolution``.
    """
    n, out_channels, rows, columns = out_shape
    channels, pixels, places = weight[1], n * rows * columns, math.prod(window.kernel)
    gathering = 10 * places * pixels * channels
    cost = {0: _seconds(places, pixels, channels, out_channels, workers) + gathering}
    if window.kernel != (3, 3) or window.stride != (1, 1) or window.dilation != (1, 1) or channels < 16:
        return cost
    for m in (2, 4):
        tiles, t = n * -(-rows // m) * -(-columns // m), m + 2
        products = _seconds(t * t, tiles, channels, out_channels, workers)
        cost[m] = products + 20 * t * t * tiles * (channels + out_channels)
    return cost


def _grouped(conv: Convolution, groups: int) -> Kernel:
    """Each group is a convolution of its own between parts of the channels."""
    per_group, size = conv.weight_OCKL.shape[1], conv.out_shape[1] // groups
    if per_group == 1:
        # Every channel makes `size` new ones that lie beside each other: the first of all, the second of all, …
        parts = [(slice(None), slice(j, None, size)) for j in range(size)]
        return _side_by_side(parts, [depthwise(conv.of(out)) for _, out in parts])
    parts = [(slice(g * per_group, (g + 1) * per_group), slice(g * size, (g + 1) * size)) for g in range(groups)]
    return _side_by_side(parts, [gathered_windows(conv.of(out)) for _, out in parts])


def _side_by_side(parts: Sequence[tuple[slice, slice]], kernels: Sequence[Kernel]) -> Kernel:
    if len(kernels) == 1:
        return kernels[0]

    def bind(inputs: Sequence[Array], out: Array, scratch: Sequence[F32]) -> list[Piece]:
        blocks = []
        for (seen, made), kernel in zip(parts, kernels, strict=True):
            given = [inputs[0][:, seen], *(residual[:, made] for residual in inputs[1:])]
            blocks += kernel.bind(given, out[:, made], scratch)
        return blocks

    return Kernel(max(kernel.scratch for kernel in kernels), bind)
