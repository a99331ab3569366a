"""Elementwise arithmetic, global means, and everything that is too cheap for a kernel of its own."""

from collections.abc import Callable, Sequence

import numpy as np

from svertka.inference.numpy_backend.kernels.activations import Activation, in_place
from svertka.inference.numpy_backend.kernels.kernel import BLOCK, Kernel, Piece, cuts, no_scratch
from svertka.onnx_graph.graph import Array


def elementwise(compute: Callable[..., None], workers: int) -> Kernel:
    """A step whose every output needs the inputs at the same place alone.

    ``compute`` takes parts of the inputs, broadcast to each other, and the part of the output that it fills.
    """

    def blocks(inputs: Sequence[Array], out: Array) -> list[Piece]:
        # In the order in which the output lies in memory; blocks are runs along its longest outer axis.
        order = sorted(range(out.ndim), key=lambda axis: (-out.strides[axis], axis))
        views = [np.broadcast_to(x, out.shape).transpose(order) for x in inputs] + [out.transpose(order)]
        outer = next((axis for axis, size in enumerate(views[-1].shape) if size > 1), 0)
        if out.ndim == 0:
            return [_piece(compute, views)]
        length = views[-1].shape[outer]
        per_place = max(1, out.size // max(length, 1))
        runs = cuts(length, max(1, BLOCK // per_place), workers if out.size >= BLOCK else 1)
        cut = [(slice(None),) * outer + (slice(a, b),) for a, b in runs]
        return [_piece(compute, [view[part] for view in views]) for part in cut]

    return no_scratch(blocks)


def _piece(compute: Callable[..., None], views: list[Array]) -> Piece:
    return Piece(lambda worker: compute(*views), views[:-1], views[-1])


def activation_alone(activation: Activation, workers: int) -> Kernel:
    """An activation that no convolution took in."""
    act = in_place(activation)

    def compute(x: Array, out: Array) -> None:
        np.copyto(out, x)
        if act:
            act(out)

    return elementwise(compute, workers)


def affine(activation: Activation | None, workers: int) -> Kernel:
    """X · factor + shift, then an activation; factor and shift come as inputs."""
    act = in_place(activation)

    def compute(x: Array, factor: Array, shift: Array, out: Array) -> None:
        np.multiply(x, factor, out=out)
        np.add(out, shift, out=out)
        if act:
            act(out)

    return elementwise(compute, workers)


def ufunc(function: np.ufunc, workers: int) -> Kernel:
    """One NumPy function of two inputs."""
    return elementwise(lambda a, b, out: function(a, b, out=out), workers)


def copy(workers: int) -> Kernel:
    """The same numbers, laid out in another way."""
    return elementwise(lambda x, out: np.copyto(out, x), workers)


def copy_parts(axis: int, workers: int) -> Kernel:
    """Concatenation."""

    def blocks(inputs: Sequence[Array], out: Array) -> list[Piece]:
        found, start = [], 0
        for x in inputs:
            part = (slice(None),) * axis + (slice(start, start + x.shape[axis]),)
            found += copy(workers).bind([x], out[part], ())
            start += x.shape[axis]
        return found

    return no_scratch(blocks)


def spatial_mean(workers: int) -> Kernel:
    """The mean of every channel over rows and columns; [N, C, H, W] to [N, C, 1, 1]."""

    def blocks(inputs: Sequence[Array], out: Array) -> list[Piece]:
        def piece(x: Array, y: Array) -> Piece:
            scale = np.float32(1 / (x.shape[2] * x.shape[3]))

            def run(worker: int) -> None:
                np.add.reduce(x, axis=(2, 3), out=y, keepdims=True)
                np.multiply(y, scale, out=y)

            return Piece(run, [x], y)

        return [piece(inputs[0][a:b], out[a:b]) for a, b in cuts(len(out), 1)]

    return no_scratch(blocks)


def plain(run: Callable[[Sequence[Array]], Array]) -> Kernel:
    """A step that makes a new array, which is copied to its place."""

    def blocks(inputs: Sequence[Array], out: Array) -> list[Piece]:
        return [Piece(lambda worker: np.copyto(out, run(inputs)), inputs, out)]

    return no_scratch(blocks)
