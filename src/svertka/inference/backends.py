"""The two backends that run a bundle's graph, ONNX Runtime and NumPy, and which of them suits a network.

ONNX Runtime is the quicker one for most networks. Where nearly all the work lies in 3×3 convolutions with many channels
(VGG, ResNet-34), Winograd's method, which ONNX Runtime lacks, makes the NumPy backend quicker.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from svertka.errors import GraphError, ShapeError, SvertkaError, one_line
from svertka.inference.onnxruntime_session import BATCH, in_batches, open_session, run_in_batches
from svertka.util import runtime

if TYPE_CHECKING:
    from svertka.inference.numpy_backend import NumpySession

ONNX, NUMPY = "onnx", "numpy"
ENGINES = (ONNX, NUMPY)

Outputs = tuple[NDArray[np.float32], ...]
Run = Callable[[NDArray[np.uint8], Sequence[str]], Outputs]
"""Prepared images, uint8 [N, S, S, 3], and names of outputs to the outputs, [N, …] each."""

_LITTLE_LEFT = 0.5
"""Below, the twin is chosen. VGG-16 at 224 px leaves 0.32 of the work and takes 99 ms an image where ONNX Runtime takes
170, ResNet-34 leaves 0.49 and takes 31 ms instead of 40; ResNet-18 leaves 0.54 and takes 18 instead of 20, which does
not make up for opening it in 0.4 s instead of 0.2 (four images a call, two Zen 3 cores)."""


def suitable(graph: bytes, size_px: int) -> str:
    """The engine that is quicker for a graph, by its arithmetic: the same on every machine.

    The graph has one input, uint8 [N, S, S, 3]; S is ``size_px``.
    """
    from svertka.inference.numpy_backend import NumpySession

    try:
        left = NumpySession.from_onnx(graph).work_left((BATCH, size_px, size_px, 3))
    except (GraphError, ShapeError):  # a network that the twin doesn't know
        return ONNX
    return NUMPY if left < _LITTLE_LEFT else ONNX


def open_graph(graph: bytes, engine: str, threads: int = 0) -> Run:
    """Opens a graph in one of ``ENGINES``.

    Raises:
        BundleError: ONNX Runtime cannot open it.
        GraphError: the twin doesn't know one of its operators.
    """
    if engine == ONNX:
        return partial(run_in_batches, open_session(graph, threads))
    return partial(run_numpy, open_numpy(graph, runtime.compute_threads(threads)))


def open_numpy(graph: bytes, threads: int = 1) -> "NumpySession":
    """Opens a graph in the NumPy backend.

    Raises:
        GraphError: the twin doesn't know one of its operators, or cannot work out its constants.
    """
    from svertka.inference.numpy_backend import NumpySession

    with as_graph_error("cannot be opened"):
        return NumpySession.from_onnx(graph, threads)


def run_numpy(session: "NumpySession", images_NSSC: NDArray[np.uint8], outputs: Sequence[str]) -> Outputs:
    """Runs images through a graph, ``batch_size`` at a time, as ``run_in_batches`` does.

    Raises:
        GraphError: it fails on them.
    """

    def call(some_NSSC: NDArray[np.uint8]) -> list[NDArray[Any]]:
        found = session(some_NSSC, outputs)
        return [found[name] for name in outputs]

    with as_graph_error(f"fails on an input of {list(images_NSSC.shape)}"):
        return in_batches(call, images_NSSC)


@contextmanager
def as_graph_error(what: str) -> Iterator[None]:
    """Makes one error of all that the twin may raise: a stranger's graph may fail anywhere in NumPy.

    What comes out is to be looked at afterwards, so warnings of NumPy's on the way tell nothing more.
    """
    try:
        with np.errstate(all="ignore"):
            yield
    except (SvertkaError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise GraphError(f"The graph {what} in the NumPy engine: {one_line(error)}.") from error
