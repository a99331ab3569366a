"""Which way to compute a convolution: by what its sizes would cost."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from svertka.engine.geometry import NO_PADS, Window
from svertka.inference.numpy_backend.kernels.depthwise import depthwise
from svertka.inference.numpy_backend.kernels.gemm import gathered_windows, rows_by_matrix
from svertka.inference.numpy_backend.kernels.kernel import Kernel, Piece, on_pixels, shares_outputs
from svertka.inference.numpy_backend.kernels.winograd import transform_kernels, winograd
from svertka.onnx_graph.graph import F32, Array, Node

Pack = Callable[[str, Callable[[], F32]], F32]
"""Gives weights in another form under a name: made once, kept for plans of other sizes."""


def convolution(
    node: Node, weight_OCKL: F32, bias_O: F32, window: Window, out_shape: tuple[int, ...], workers: int, pack: Pack
) -> Kernel:
    """The kernel for a Conv node.

    Args:
        node: with what passes have noted on it.
        weight_OCKL: its weights [O, C / groups, K, L].
        bias_O: its bias.
        window: how it moves.
        out_shape: [N, O, P, Q].
        workers: that share the work.
        pack: keeps transformed weights.
    """
    groups, activation = node.get("group", 1), node.get("activation", None)
    if groups > 1:
        return _grouped(node, weight_OCKL, bias_O, window, out_shape, workers)
    is_plain = window.stride == (1, 1) and window.pads == NO_PADS
    if window.kernel == (1, 1) and is_plain:
        weight_CO = pack("matrix", lambda: np.ascontiguousarray(weight_OCKL[:, :, 0, 0].T))
        return on_pixels(rows_by_matrix(weight_CO, bias_O, activation, workers, node.get("pre", None)))
    if m := winograd_tile(weight_OCKL.shape, window, out_shape, workers):
        kernels_tCO = pack(f"winograd {m}", lambda: transform_kernels(weight_OCKL, m))
        return winograd(kernels_tCO, bias_O, window.before, out_shape, activation, workers)
    return gathered_windows(weight_OCKL, bias_O, window, out_shape, activation, workers)


def _seconds(products: int, rows: int, channels: int, outputs: int, workers: int) -> float:
    """Of so many matrix products, up to a factor: with few rows, packing the weights takes longer than multiplying."""
    together = rows if shares_outputs(rows, outputs, workers) else rows / workers
    return products * rows * channels * outputs * (1 + 21 / together)


def winograd_tile(weight: tuple[int, ...], window: Window, out_shape: tuple[int, ...], workers: int) -> int:
    """Side of the output tile of Winograd's method that would be quickest, or 0 for plain windows."""
    cost = costs(weight, window, out_shape, workers)
    return min(cost, key=lambda m: cost[m])


def costs(weight: tuple[int, ...], window: Window, out_shape: tuple[int, ...], workers: int) -> dict[int, float]:
    """What a convolution would cost, up to a factor, by side of Winograd's output tile; 0 stands for plain windows.

    A transform costs as much as some 20 products for each number that it reads or writes.

    Args:
        weight: sizes [O, C / groups, K, L].
        window: how it moves.
        out_shape: [N, O, P, Q].
        workers: that share the work.
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


def _grouped(
    node: Node, weight_OCKL: F32, bias_O: F32, window: Window, out_shape: tuple[int, ...], workers: int
) -> Kernel:
    """Each group is a convolution of its own between parts of the channels."""
    groups, activation = node.get("group", 1), node.get("activation", None)
    n, out_channels, rows, columns = out_shape
    per_group = weight_OCKL.shape[1]
    if per_group == 1:
        # Every channel makes `multiple` new ones that lie beside each other: the first of all, the second of all, …
        multiple = out_channels // groups
        parts = [(slice(None), slice(j, None, multiple)) for j in range(multiple)]
        kernels = [
            depthwise(weight_OCKL[out], bias_O[out], window, (n, groups, rows, columns), activation, workers)
            for _, out in parts
        ]
        return _side_by_side(parts, kernels)
    size = out_channels // groups
    parts = [(slice(g * per_group, (g + 1) * per_group), slice(g * size, (g + 1) * size)) for g in range(groups)]
    kernels = [
        gathered_windows(weight_OCKL[out], bias_O[out], window, (n, size, rows, columns), activation, workers)
        for _, out in parts
    ]
    return _side_by_side(parts, kernels)


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
